"""Indexes the printed pages, so that search runs in the reader's browser on files of the site alone."""

import subprocess
import sys
from pathlib import Path

from livingpaper.execute.processes import guarded
from livingpaper.render.errors import RenderError

# the site has its own search field; these are Pagefind's
_UNUSED = ("pagefind-ui.*", "pagefind-modular-ui.*", "pagefind-component-ui.*", "pagefind-highlight.js")


def index(site: Path) -> None:
    """Write `pagefind/` into `site`, over the pages that lie there now."""
    command = guarded([sys.executable, "-m", "pagefind", "--site", str(site), "--quiet"])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RenderError(f"pagefind: {' '.join((done.stderr or done.stdout).split()) or done.returncode}")
    for pattern in _UNUSED:
        for path in (site / "pagefind").glob(pattern):
            path.unlink()
