"""The renderer that hands the book to Quarto, which reads the same `_quarto.yml`, filter and hooks.

`quarto render` alone builds the paper through its `pre-render` hook; here the build has already run, and says so by
`LIVINGPAPER_BUILDING`, so that the hook does not start it again.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from livingpaper.execute.processes import guarded
from livingpaper.files import write_text
from livingpaper.printing import Printing
from livingpaper.render.errors import RenderError
from livingpaper.render.handover import FOLDER

RUNS = "runs"


def render_quarto(root: Path, printing: Printing, executable: str) -> None:
    """Print the book for one run with Quarto; its messages go to the terminal, a failure names where to look."""
    fragments = root / FOLDER / printing.run / "fragments.json"
    if printing.fragments.resolve() != fragments.resolve():
        write_text(fragments, printing.fragments.read_text(encoding="utf-8"))
    command = [executable, "render", str(root), *([] if printing.main else ["--profile", printing.run])]
    environment = {**os.environ, "LIVINGPAPER_BUILDING": "1"}
    if printing.main:
        environment.pop("QUARTO_PROFILE", None)
    with _runs_kept(root / printing.output if printing.main else None, root):
        done = subprocess.run(guarded(command), cwd=root, env=environment, check=False)
    if done.returncode:
        raise RenderError(f"run {printing.run}: quarto render ended with exit code {done.returncode}; see its messages")


@contextmanager
def _runs_kept(site: Path | None, root: Path) -> Iterator[None]:
    """Set the other runs' printings aside meanwhile: a full rendering of the main book empties its folder."""
    runs = site / RUNS if site else None
    if runs is None or not runs.is_dir():
        yield
        return
    with tempfile.TemporaryDirectory(prefix="runs-", dir=root / FOLDER) as aside:
        kept = Path(aside) / RUNS
        os.replace(runs, kept)
        try:
            yield
        finally:
            runs.parent.mkdir(parents=True, exist_ok=True)
            os.replace(kept, runs)
