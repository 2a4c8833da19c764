"""Prints the book: with Quarto where it is installed, else with what the project's wheels bring."""

import shutil
from pathlib import Path

from livingpaper.printing import Printing, Renderer
from livingpaper.render.errors import RenderError
from livingpaper.render.handover import record

__all__ = ["RenderError", "Renderer", "record", "render"]


def render(root: Path, printing: Printing, renderer: str = Renderer.AUTO) -> None:
    """Print one run's book into `printing.output` (relative to `root`), site and PDF.

    Errors in pages (an unknown claim, a dead reference, a work in no bibliography) are raised together as `RenderError`
    after the site is in place, so that the page shows them and the build fails.
    """
    if renderer not in list(Renderer):
        raise RenderError(f"--renderer {renderer!r}: expected one of: {', '.join(Renderer)}")
    quarto = shutil.which("quarto")
    if renderer == Renderer.QUARTO and quarto is None:
        raise RenderError(
            "--renderer quarto: quarto is not on PATH; install it, or run: livingpaper build --renderer embedded"
        )
    # imported late: a build that prints nothing should not pay for it
    if quarto is not None and renderer != Renderer.EMBEDDED:
        from livingpaper.render.quarto import render_quarto

        record(root, printing)
        render_quarto(root, printing, quarto)
    else:
        from livingpaper.render.embedded import render_embedded

        render_embedded(root, printing)
