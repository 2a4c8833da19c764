"""What a printing leaves for Quarto's hooks and filter, which run outside this package.

`build/print/<run>/printing.json` names the executed notebooks and what is stale or failed, `build/print/main.json` the
main run, and `_quarto-<run>.yml` is the profile that prints another run beside the main one.
"""

from pathlib import Path
from typing import Any

from livingpaper.files import read_json, write_json, write_text
from livingpaper.printing import Printing

FOLDER = Path("build/print")
_PROFILE = """\
# Made by livingpaper: `quarto render --profile {run}` prints run {run} beside the main one.
project:
  output-dir: {output}
"""


def record(root: Path, printing: Printing) -> None:
    """Write down a printing and its profile; a build that leaves the rendering to Quarto calls this for each run."""
    hand_over(root, printing)
    if not printing.main:
        profile = root / f"_quarto-{printing.run}.yml"
        text = _PROFILE.format(run=printing.run, output=printing.output.as_posix())
        if not (profile.is_file() and profile.read_text(encoding="utf-8") == text):
            write_text(profile, text)


def hand_over(root: Path, printing: Printing) -> None:
    """Write down a printing in `build/print/`."""
    handed = {
        "run": printing.run,
        "main": printing.main,
        "notebooks": {source: _relative(root, path) for source, path in printing.notebooks.items()},
        "stale": dict(printing.stale),
        "errors": dict(printing.errors),
        "evidence": printing.evidence,
        "build": list(printing.build),
    }
    _write(root / FOLDER / printing.run / "printing.json", handed)
    if printing.main:
        _write(root / FOLDER / "main.json", {"run": printing.run})


def _write(path: Path, data: dict[str, Any]) -> None:
    if read_json(path) != data:
        write_json(path, data)


def _relative(root: Path, path: Path) -> str:
    return path.resolve().relative_to(root.resolve()).as_posix()
