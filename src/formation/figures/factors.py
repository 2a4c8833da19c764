"""The figure of a factor screen: when a behaviour was born, level by level, one dot a run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from formation.figures import style
from formation.figures.plotdata import SCHEMA, Axis

TITLES = {  # of the key-twin flip, which alone shows retrieval; three panels leave room for a word or two
    "retrieval_birth_step": "IID",
    "heldout_retrieval_birth_step": "Held-out pairs",
    "ood_retrieval_birth_step": "Structural OOD",
}
_SPREAD = 0.5  # of a row's height, over which the runs of a level are spread
_EDGE = 1.06  # where undated runs stand, in lengths of the training


@dataclass(frozen=True)
class Dot:
    """One run: its date with interval in steps, null where there is none; `why` says why an undated run has none."""

    run: str
    row: int
    x: float | None
    low: float | None
    high: float | None
    why: str = ""


@dataclass(frozen=True)
class DotPanel:
    """The dates of one behaviour."""

    title: str
    x: Axis
    dots: list[Dot]


@dataclass(frozen=True)
class DotPlot:
    """Panels side by side that share their rows, the first of which is the baseline; `end` is the last step."""

    name: str
    rows: list[str]
    end: float
    panels: list[DotPanel]

    def as_json(self) -> dict[str, Any]:
        """The plot as `plot-data/1`."""
        return {"schema": SCHEMA, "kind": "dots", **asdict(self)}


def births_by_level(screen: Mapping[str, Any], measures: Sequence[str] = tuple(TITLES)) -> DotPlot:
    """Plot data of a `factor-screen/1`: every run's births, with those not dated within the budget."""
    levels, end = screen["levels"], screen["last_step"]
    rows = [f"{level['level']} (baseline)" if level["baseline"] else level["level"] for level in levels]
    axis = Axis("birth", "steps", low=0, high=_EDGE**2 * end)
    panels = [
        DotPanel(
            TITLES.get(measure) or screen["measures"][measure]["what"],
            axis,
            [_dot(run, row, measure) for row, level in enumerate(levels) for run in _measured(level, measure)],
        )
        for measure in measures
    ]
    return DotPlot(f"factor-{screen['factor']}", rows, end, panels)


def draw(plot: DotPlot) -> Figure:
    """A matplotlib figure: dots with intervals; hollow triangles behind the end of training are undated runs."""
    with style.house_style():
        figure = style.new_figure(height=0.75 + 0.42 * len(plot.rows))
        every = figure.subplots(1, len(plot.panels), sharey=True, squeeze=False).flat
        for axes, panel in zip(every, plot.panels, strict=True):
            _panel(axes, panel, plot)
    return figure


def draw_screen(factor: str, screen: Mapping[str, Any] | None) -> Figure:
    """The figure of a factor's screen; without one, a note with the command that makes it."""
    if screen is None:
        return style.note(f"not screened yet: formation screen --factor {factor}")
    return draw(births_by_level(screen))


def _measured(level: Mapping[str, Any], measure: str) -> list[Mapping[str, Any]]:
    return [run for run in level["runs"] if run["entries"][measure]["n"]]


def _dot(run: Mapping[str, Any], row: int, measure: str) -> Dot:
    entry = run["entries"][measure]
    return Dot(run["run"], row, entry["value"], entry["low"], entry["high"], entry.get("reason") or "")


def _panel(axes: Axes, panel: DotPanel, plot: DotPlot) -> None:
    axes.set_title(panel.title)
    axes.axvline(plot.end, color=style.MUTED, lw=1, ls=style.DOTTED)
    for row in range(len(plot.rows)):
        own = [dot for dot in panel.dots if dot.row == row]
        for place, dot in enumerate(own):
            y = row + _SPREAD * ((place + 0.5) / len(own) - 0.5)
            _draw_dot(axes, dot, y, plot.end, style.INK if row == 0 else style.PALETTE[(row - 1) % 6])
    axes.set_yticks(range(len(plot.rows)), plot.rows)
    axes.set_ylim(len(plot.rows) - 0.5, -0.5)  # the baseline on top
    axes.set_xlim(panel.x.low, panel.x.high)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel(panel.x.text())


def _draw_dot(axes: Axes, dot: Dot, y: float, end: float, colour: str) -> None:
    if dot.x is None:
        axes.plot([_EDGE * end], [y], ">", mfc=style.PAPER, mec=colour, ms=4.5, clip_on=False)
        return
    low = dot.x if dot.low is None else dot.low
    high = _EDGE * end if dot.high is None else dot.high  # no upper bound: more draws than allowed have no birth
    axes.plot([low, high], [y, y], "-", color=colour, lw=1.2)
    axes.plot([dot.x], [y], "o", color=colour, ms=4)
