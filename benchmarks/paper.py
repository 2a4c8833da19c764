"""This very paper at its smallest size, built once in a copy: what is timed on it is what its authors wait for."""

import shutil
from pathlib import Path

from benchmarks.measuring import interleaved, timed
from benchmarks.places import NOTHING, ROOT, build
from benchmarks.results import Results, beside

PRESET = "smoke"
_FILES = ("_quarto.yml", "index.qmd", "requirements.lock", "pyproject.toml")
_FOLDERS = ("paper", "params", "chapters", "src", "docs", "results")


def copy(folder: Path) -> Path:
    """A copy of the paper in which everything is built and printed; a minute."""
    root = folder / "paper"
    root.mkdir()
    for name in _FILES:
        shutil.copy(ROOT / name, root / name)
    for name in _FOLDERS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    timed(build(root, PRESET, "executed; printed"))
    return root


def measure(root: Path, results: Results, repeats: int, limit: float) -> None:
    """A build of it with nothing to do."""
    own = build(root, PRESET, NOTHING)
    results.rows += beside("no-op build of this paper (smoke)", own, interleaved([own], repeats), {}, limit)
