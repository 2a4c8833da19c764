"""Figures of a window's comparison (`birth-window-compare/2`): what carries the change, where, and in which order.

Every function takes a window of the record, or null for a run without one, and draws then that there is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from formation.components.roles import Role
from formation.figures import style
from formation.figures.plotdata import SCHEMA, Axis, Mark, Panel, Plot, Series

DIRECTIONS = {"into_source": "target's, put into the source", "out_of_target": "source's, put into the target"}
METRICS = {"log_prob": "log-probability", "margin": "margin"}
MOST = 12  # components in the dot chart
NO_WINDOW, NO_CHANGE = "no formation window in this run", "no change to carry on these reads"
_COMPONENTS = ("head", "mlp", "attention", "readout")
_BEHAVIOURS = {"accuracy": "", "key_twin_flip": "follows key twin, "}

Window = Mapping[str, Any]


@dataclass(frozen=True)
class Dot:
    """A fraction with its interval; `row` counts from the top."""

    row: int
    direction: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class DotPlot:
    """Fractions of components, both directions; `note` says why there are none."""

    name: str
    title: str
    x: Axis
    rows: list[str]
    dots: list[Dot]
    note: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The plot as `plot-data/1`."""
        return {"schema": SCHEMA, "kind": "fractions", **asdict(self)}


@dataclass(frozen=True)
class Grid:
    """One direction's fractions, stage by role; 0 where a stage cannot touch the answer, null where unknown."""

    title: str
    values: list[list[float | None]]


@dataclass(frozen=True)
class GridPlot:
    """Grids that share their stages (rows, the last on top) and roles (columns)."""

    name: str
    value_label: str
    rows: list[str]
    columns: list[str]
    grids: list[Grid]
    note: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The plot as `plot-data/1`."""
        return {"schema": SCHEMA, "kind": "grids", **asdict(self)}


def largest(record: Mapping[str, Any]) -> Window | None:
    """The window in which the log-probability on test_iid changes most; null where there is none."""
    windows: Sequence[Window] = record["windows"]
    return max(windows, key=lambda window: abs(_change(window, "test_iid", "log_prob")), default=None)


# --- plot data -------------------------------------------------------------------------------------------------------


def carried(window: Window | None, split: str = "test_iid", metric: str = "log_prob") -> DotPlot:
    """The components that carry most of the change in either direction, the largest on top."""
    rows = [row for row in _rows(window, split, metric) if row["kind"] in _COMPONENTS]
    size: dict[str, float] = {}
    for row in rows:
        size[row["component"]] = max(size.get(row["component"], 0.0), abs(row["fraction"]))
    names = sorted(size, key=lambda name: -size[name])[:MOST]
    dots = [
        Dot(names.index(row["component"]), row["direction"], row["fraction"], row["low"], row["high"])
        for row in rows
        if row["component"] in names
    ]
    axis = Axis(f"fraction of the change in {METRICS[metric]}, {style.SPLIT_LABELS[split]}")
    return DotPlot("window-carried", _title(window), axis, list(map(named, names)), dots, _note(window, rows))


def where(window: Window | None, split: str = "test_iid", metric: str = "log_prob") -> GridPlot:
    """Fractions carried by each stage at each role of one read of each stream, both directions."""
    found = {
        (row["direction"], row["component"]): row["fraction"]
        for row in _rows(window, split, metric)
        if row["kind"] == "stage_role"
    }
    stages = list(dict.fromkeys(name.split("/")[0] for _, name in found))
    stages = sorted(stages, key=style.stage_order)
    roles = [role for role in Role if any(name.endswith(f"/{role}") for _, name in found)]
    grids = [
        Grid(title, [[found.get((direction, f"{stage}/{role}"), 0.0) for role in roles] for stage in stages])
        for direction, title in DIRECTIONS.items()
    ]
    label = f"fraction ({METRICS[metric]})"
    rows, columns = list(map(named, stages)), [role.replace("_", " ") for role in roles]
    return GridPlot("window-where", label, rows, columns, grids, _note(window, list(found)))


def inside(window: Window | None) -> Plot:
    """Behaviour, and attention and direct effects of the leading heads, at the replayed steps; dotted: half-way dates.

    Without a replay there is one empty panel that says so.
    """
    dense = None if window is None else window["dense"]
    if window is None or dense is None:
        title = NO_WINDOW if window is None else "This window was not replayed"
        return Plot("window-inside", [Panel(title, Axis("step"), Axis("share of reads", low=0, high=1))])
    step = Axis("step", low=dense["first_step"], high=dense["last_step"])
    titles = {
        "accuracy": ("Behaviour", Axis("share of reads", low=-0.02, high=1.03)),
        "attention_matching_value": ("Attention to the matching value, IID", Axis("attention", low=-0.02, high=1.03)),
        "attention_next_key": ("Attention to the key token behind it, IID", Axis("attention", low=-0.02, high=1.03)),
        "direct_effect": ("Direct effect on the margin, IID", Axis("effect", "nats")),
    }
    panels = []
    for metric, (title, axis) in titles.items():
        own = [one for one in dense["series"] if one["metric"] in _same_panel(metric)]
        if own:
            panels.append(_panel(title, step, axis, dense["steps"], own))
    return Plot("window-inside", panels, panel_height=2.0)


def named(component: str) -> str:
    """A component or a stage in words: `layer_1.head_2` is `head 1.2`."""
    if component == "readout":
        return "final norm, unembedding"
    if component.endswith(".attn"):
        return f"all heads of layer {component.removeprefix('layer_').partition('.')[0]}"
    return style.component_label(component) if "." in component else style.stage_label(component)


def _same_panel(metric: str) -> tuple[str, ...]:
    return tuple(_BEHAVIOURS) if metric in _BEHAVIOURS else (metric,)


def _panel(title: str, x: Axis, y: Axis, steps: list[int], own: Sequence[Mapping[str, Any]]) -> Panel:
    series, marks = [], []
    for index, one in enumerate(own):
        colour = style.SPLIT_COLOURS[one["split"]] if _is_behaviour(one) else style.colour(index)
        line: Literal["line", "dashed"] = "dashed" if one["metric"] == "key_twin_flip" else "line"
        at = [float(step) for step in steps]
        series.append(Series(_label(one), at, one["value"], one["low"], one["high"], colour, line))
        if one["t50"]["step"] is not None:
            marks.append(Mark(one["t50"]["step"], "", one["t50"]["low"], one["t50"]["high"], colour))
    return Panel(title, x, y, series, marks=marks)


def _is_behaviour(one: Mapping[str, Any]) -> bool:
    return one["metric"] in _BEHAVIOURS


def _label(one: Mapping[str, Any]) -> str:
    if not _is_behaviour(one):
        return named(one["component"])
    return _BEHAVIOURS[one["metric"]] + style.SPLIT_LABELS[one["split"]]


def _rows(window: Window | None, split: str, metric: str) -> list[Mapping[str, Any]]:
    """Rows of a window that have a fraction."""
    rows = [] if window is None else window["patches"]
    return [row for row in rows if (row["split"], row["metric"]) == (split, metric) and row["fraction"] is not None]


def _change(window: Window, split: str, metric: str) -> float:
    changes = window["changes"]
    return float(next(one["change"] for one in changes if (one["split"], one["metric"]) == (split, metric)))


def _title(window: Window | None) -> str:
    if window is None:
        return ""
    return f"{window['name'].capitalize()}: steps {window['first_step']} to {window['last_step']}"


def _note(window: Window | None, found: Sequence[object]) -> str | None:
    return NO_WINDOW if window is None else None if found else NO_CHANGE


# --- drawings --------------------------------------------------------------------------------------------------------


def draw_carried(plot: DotPlot) -> Figure:
    """A matplotlib figure: one row a component, a dot with interval for each direction."""
    height = 1.1 + 0.24 * max(len(plot.rows), 2)
    if plot.note is not None:
        return style.note(plot.note, height)
    with style.house_style():
        figure = style.new_figure(height)
        axes = figure.subplots()
        axes.set_title(plot.title)
        for level in (0.0, 1.0):
            axes.axvline(level, color=style.MUTED, lw=1, ls=style.DOTTED)
        for (direction, label), colour, shift in zip(
            DIRECTIONS.items(), (style.BLUE, style.VERMILION), (-0.14, 0.14), strict=True
        ):
            own = [dot for dot in plot.dots if dot.direction == direction]
            for dot in own:
                axes.plot([dot.low, dot.high], [dot.row + shift] * 2, color=colour, lw=1.2)
            axes.plot([dot.value for dot in own], [dot.row + shift for dot in own], "o", color=colour, label=label)
        axes.set_yticks(range(len(plot.rows)), plot.rows)
        axes.set_ylim(len(plot.rows) - 0.5, -0.5)
        axes.set_xlabel(plot.x.text())
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def draw_where(plot: GridPlot) -> Figure:
    """A matplotlib figure: one grid a direction, values written into the cells, colours from −1 to 1."""
    height = 1.7 + 0.24 * max(len(plot.rows), 2)
    if plot.note is not None:
        return style.note(plot.note, height)
    with style.house_style():
        figure = style.new_figure(height)
        every = list(figure.subplots(1, len(plot.grids), sharey=True, squeeze=False).flat)
        for axes, grid in zip(every, plot.grids, strict=True):
            mesh = _grid(axes, grid, plot)
        figure.colorbar(mesh, ax=every, label=plot.value_label, **style.COLOUR_BAR, extend="both")
    return figure


def _grid(axes: Axes, grid: Grid, plot: GridPlot) -> Any:
    values = np.asarray(grid.values, float)
    mesh = axes.pcolormesh(values, vmin=-1, vmax=1, cmap="RdBu_r", edgecolors="face", linewidth=0.4)
    for (row, column), value in np.ndenumerate(values):
        if abs(value) >= 0.05:  # smaller ones are near white, and would hide the others
            colour = style.PAPER if abs(value) > 0.6 else style.INK
            text = f"{value:.1f}".replace("-", "−")
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=6.5, color=colour)
    axes.set_xticks(np.arange(len(plot.columns)) + 0.5, plot.columns, rotation=55, ha="right", rotation_mode="anchor")
    axes.set_yticks(np.arange(len(plot.rows)) + 0.5, plot.rows)
    axes.set_title(grid.title, fontsize=8.5)
    axes.grid(False)
    return mesh
