"""Line figures: plot data drawn in the house style."""

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from formation.figures import style
from formation.figures.grid import grid
from formation.figures.plotdata import Axis, Panel, Plot, Series


def draw(plot: Plot) -> Figure:
    """A matplotlib figure of the plot's panels, one shared legend per panel, limits and units from the data."""
    with style.house_style():
        figure, places = grid(plot)
        for axes, panel in places:
            _panel(axes, panel)
    return figure


def _panel(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title, pad=11 if panel.spans else None)  # the spans' labels stand in between
    for span in panel.spans:
        axes.axvspan(span.low, span.high, color=style.YELLOW, alpha=0.25, lw=0)
        axes.annotate(
            span.label,
            ((span.low + span.high) / 2, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),  # above the axes, clear of lines that reach the top
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=6.5,
            color=style.MUTED,
            in_layout=False,
            annotation_clip=True,
        )
    for index, series in enumerate(panel.series):
        _series(axes, series, series.colour or style.colour(index))
    for level in panel.levels:
        axes.axhline(level.y, color=level.colour or style.MUTED, lw=1, ls=style.DASHED, label=level.label)
    for mark in panel.marks:
        colour = mark.colour or style.INK
        axes.axvline(mark.x, color=colour, lw=1, ls=style.DOTTED, label=mark.label)
        if mark.low is not None and mark.high is not None and mark.high > mark.low:
            axes.axvspan(mark.low, mark.high, color=colour, alpha=0.12, lw=0)
    _axis(axes, panel.x, "x")  # after drawing, so that a limit left open comes from the data
    _axis(axes, panel.y, "y")
    if any(not text.startswith("_") for text in axes.get_legend_handles_labels()[1]):
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0, handlelength=1.6)


def _series(axes: Axes, series: Series, colour: str) -> None:
    x, y = np.asarray(series.x, float), np.asarray(series.y, float)  # a gap is NaN, which matplotlib leaves out
    alpha = 0.35 if series.faint else 1.0
    label = f"_{series.name}" if series.label_at_end else series.name
    if series.style == "points":
        axes.plot(x, y, "o", color=colour, alpha=alpha, label=label)
    else:
        dash = style.DASHED if series.style == "dashed" else "-"
        drawn = "steps-post" if series.style == "steps" else "default"
        axes.plot(x, y, color=colour, alpha=alpha, ls=dash, drawstyle=drawn, label=label)
    if series.low is not None and series.high is not None:
        low, high = np.asarray([series.low, series.high], float)
        axes.fill_between(x, low, high, color=colour, alpha=0.15 * alpha, lw=0)
    if series.label_at_end and np.isfinite(y).any():
        last = np.flatnonzero(np.isfinite(y))[-1]
        axes.text(x[last], y[last], f" {series.name}", color=colour, fontsize=7.5, va="center")


def _axis(axes: Axes, axis: Axis, which: Literal["x", "y"]) -> None:
    axes.set(**{f"{which}label": axis.text(), f"{which}scale": axis.scale})
    low, high = getattr(axes, f"get_{which}lim")()
    axes.set(**{f"{which}lim": (low if axis.low is None else axis.low, high if axis.high is None else axis.high)})
