"""What the renderer is handed: one printing of the book, for one run.

The press executes chapters and judges claims; the renderer (`livingpaper.render`) turns a `Printing` into pages. Only
what stands here passes between them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Renderer(StrEnum):
    """Who prints the book."""

    AUTO = "auto"  # Quarto where it is on PATH, else embedded
    QUARTO = "quarto"
    EMBEDDED = "embedded"


@dataclass(frozen=True)
class Printing:
    """One printing of the book for one run."""

    run: str
    main: bool  # the main book of the site; the others are printed beside it
    notebooks: Mapping[str, Path]  # source path relative to the project → executed notebook
    fragments: Path  # fragments.json: {"blocks": {marker: markdown}, "values": {"pointer|format|run": text}}
    output: Path  # site folder of this printing: _site, or _site/runs/<run>
    runs: tuple[tuple[str, str], ...]  # every printed run and the relative URL of its printing, for the run switcher
    stale: Mapping[str, str] = field(default_factory=dict)  # chapter source → why its last good result is shown
    errors: Mapping[str, str] = field(default_factory=dict)  # chapter source → why there is no result
    build: tuple[str, ...] = ()  # arguments of the `livingpaper build` that it comes from
    evidence: str = ""  # one sentence on where the run's evidence comes from, shown on every page
