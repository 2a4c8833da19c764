"""Where benchmarks work, and how the press is called there."""

import sys
from pathlib import Path

from benchmarks.measuring import Contender

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
PROGRAMS = Path(sys.executable).parent
NOTHING = r"\b0 of \d+ stages and chapters executed; no page had to be printed"
PAGES_ONLY = r"\b0 of \d+ stages and chapters executed; printed \w"


def program(name: str) -> Path:
    """A console script of this environment."""
    return PROGRAMS / name


def press(folder: Path, *arguments: str, name: str = "livingpaper", says: str = "") -> Contender:
    """The press of this checkout, called in a project's folder."""
    command = [program("livingpaper"), *arguments]
    return Contender(name, command, folder, environment={"PYTHONPATH": str(ROOT / "src")}, says=says)


def build(folder: Path, preset: str, says: str, *arguments: str) -> Contender:
    """`livingpaper build` with the renderer that every machine has."""
    return press(folder, "build", "--preset", preset, "--renderer", "embedded", *arguments, says=says)
