"""Line figures: plot data drawn in the house style."""

from itertools import zip_longest

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from formation.figures import style
from formation.figures.plotdata import Axis, Panel, Plot, Series


def draw(plot: Plot) -> Figure:
    """A matplotlib figure of the plot's panels, one shared legend per panel, limits and units from the data."""
    rows = -(-len(plot.panels) // plot.columns)
    with style.house_style():
        figure = style.new_figure(height=plot.panel_height * rows)
        axes = figure.subplots(rows, plot.columns, squeeze=False)
        for axis, panel in zip_longest(axes.flat, plot.panels):
            if panel is None:
                axis.set_axis_off()
            else:
                _panel(axis, panel)
    return figure


def _panel(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title)
    _axis(axes, panel.x, "x")
    _axis(axes, panel.y, "y")
    for span in panel.spans:
        axes.axvspan(span.low, span.high, color=style.YELLOW, alpha=0.25, lw=0)
        axes.annotate(
            span.label,
            ((span.low + span.high) / 2, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, -3),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=7,
            color=style.MUTED,
        )
    for index, series in enumerate(panel.series):
        _series(axes, series, series.colour or style.PALETTE[index % len(style.PALETTE)])
    for level in panel.levels:
        axes.axhline(level.y, color=level.colour or style.MUTED, lw=1, ls=(0, (4, 2)), label=level.label)
    for mark in panel.marks:
        colour = mark.colour or style.INK
        axes.axvline(mark.x, color=colour, lw=1, ls=(0, (1, 1.5)), label=mark.label)
        if mark.low is not None and mark.high is not None and mark.high > mark.low:
            axes.axvspan(mark.low, mark.high, color=colour, alpha=0.12, lw=0)
    if any(not text.startswith("_") for text in axes.get_legend_handles_labels()[1]):
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0, handlelength=1.6)


def _series(axes: Axes, series: Series, colour: str) -> None:
    x = np.asarray(series.x, float)
    y = np.asarray([np.nan if v is None else v for v in series.y], float)
    alpha = 0.35 if series.faint else 1.0
    label = f"_{series.name}" if series.label_at_end else series.name
    if series.style == "points":
        axes.plot(x, y, "o", color=colour, alpha=alpha, label=label)
    else:
        dash = (0, (4, 2)) if series.style == "dashed" else "-"
        drawn = "steps-post" if series.style == "steps" else "default"
        axes.plot(x, y, color=colour, alpha=alpha, ls=dash, drawstyle=drawn, label=label)
    if series.low is not None and series.high is not None:
        low, high = (
            np.asarray([np.nan if v is None else v for v in side], float) for side in (series.low, series.high)
        )
        axes.fill_between(x, low, high, color=colour, alpha=0.15 * alpha, lw=0)
    if series.label_at_end and np.isfinite(y).any():
        last = np.flatnonzero(np.isfinite(y))[-1]
        axes.annotate(
            series.name,
            (x[last], y[last]),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=7.5,
        )


def _axis(axes: Axes, axis: Axis, which: str) -> None:
    side = axes.xaxis if which == "x" else axes.yaxis
    side.set_label_text(axis.text())
    if axis.scale != "linear":
        (axes.set_xscale if which == "x" else axes.set_yscale)(axis.scale)
    limits = {"left" if which == "x" else "bottom": axis.low, "right" if which == "x" else "top": axis.high}
    (axes.set_xlim if which == "x" else axes.set_ylim)(**limits)
