"""Tools that do the same work as a part of the press. Those that are not installed are named and left out."""

import subprocess
import sys
from functools import cache
from pathlib import Path

from benchmarks.places import BUILD, PROGRAMS

VENV = BUILD / "bench-venv"
PACKAGES = ("snakemake==9.27.1", "pytask==0.6.0", "dvc==3.67.1")


def install() -> None:
    """Make the environment of the peers; without a network they are left out, and that is said."""
    stamp = VENV / "installed.txt"
    if stamp.is_file() and stamp.read_text() == "\n".join(PACKAGES):
        return
    print(f"installing {', '.join(PACKAGES)} into build/{VENV.name} (a minute)", file=sys.stderr)
    pip = [VENV / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES]
    commands = [[sys.executable, "-m", "venv", VENV], pip]
    if all(subprocess.run(command, capture_output=True, check=False).returncode == 0 for command in commands):
        stamp.write_text("\n".join(PACKAGES))
    else:
        print("they could not be installed (no network?); the benchmarks go on without them", file=sys.stderr)


def find(name: str) -> Path | None:
    """The program of a peer, or `None` where it is not installed."""
    return next((path for path in (VENV / "bin" / name, PROGRAMS / name) if path.is_file()), None)


@cache
def spoken(name: str, package: str = "") -> str:
    """A peer with its version, as the page names it."""
    program = find(name)
    if program is None:
        return f"{name} (not installed: pip install {package or name})"
    asks = f"from importlib.metadata import version; print(version({package or name!r}))"
    done = subprocess.run([program.parent / "python", "-c", asks], capture_output=True, text=True, check=False)
    return f"{name} {done.stdout.strip()}".strip()


@cache
def versioned(program: str) -> str:
    """A program of the system with its version, the last word of the first line of its `--version`."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return f"{program} {done.stdout.splitlines()[0].split()[-1]}" if done.stdout else program
