"""Plot data: the compact JSON behind every figure, one schema for matplotlib and for interactive views.

A figure is a list of panels that share a layout. A `Panel` has axes with units, series (lines or points, with bands),
horizontal levels, vertical marks and shaded spans; a `Heat` is a matrix over steps. Drawing lives in
`formation.figures.lines` and `formation.figures.heat`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from formation.artifacts import write_json

SCHEMA = "plot-data/1"


@dataclass(frozen=True)
class Axis:
    """An axis: what it shows, its unit (empty for fractions and counts), limits, scale."""

    label: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "log", "symlog"] = "linear"

    def text(self) -> str:
        """Label with unit, as printed."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


@dataclass(frozen=True)
class Series:
    """One line: `y` over `x`, with an optional band from `low` to `high`; `None` leaves a gap."""

    name: str
    x: list[float]
    y: list[float | None]
    low: list[float | None] | None = None
    high: list[float | None] | None = None
    colour: str | None = None
    style: Literal["line", "dashed", "points", "steps"] = "line"
    faint: bool = False
    label_at_end: bool = False  # write the name at the line's end instead of into the legend


@dataclass(frozen=True)
class Level:
    """A horizontal line: a threshold, chance, a heuristic's score."""

    y: float
    label: str
    colour: str | None = None


@dataclass(frozen=True)
class Mark:
    """A vertical line at `x`, with its interval: a birth."""

    x: float
    label: str
    low: float | None = None
    high: float | None = None
    colour: str | None = None


def birth_mark(birth: Mapping[str, Any], label: str, colour: str) -> list[Mark]:
    """A behaviour's birth with its interval; nothing where there is none."""
    if birth["outcome"] != "born":
        return []
    return [Mark(birth["step"], label, birth["low"], birth["high"], colour)]


@dataclass(frozen=True)
class Span:
    """A shaded range of x: a window."""

    low: float
    high: float
    label: str


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    x: Axis
    y: Axis
    series: list[Series] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)


@dataclass(frozen=True)
class Heat:
    """A matrix of values in [`low`, `high`]: one row for each label of `y`, one column for each `x`."""

    title: str
    x: Axis
    y: Axis
    columns: list[float]
    rows: list[str]
    values: list[list[float | None]]  # row by row
    value_label: str
    low: float = 0.0
    high: float = 1.0
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True)
class Plot:
    """A figure of panels, `columns` to a row."""

    name: str
    panels: list[Panel] | list[Heat]
    columns: int = 1
    panel_height: float = 2.2  # inches

    def as_json(self) -> dict[str, Any]:
        """The plot as a `plot-data/1` artifact."""
        kind = "heat" if isinstance(self.panels[0], Heat) else "lines"
        return {"schema": SCHEMA, "kind": kind, **asdict(self)}

    def write(self, folder: Path) -> Path:
        """Write `<folder>/<name>.json`."""
        path = folder / f"{self.name}.json"
        write_json(path, self.as_json())
        return path
