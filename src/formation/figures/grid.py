"""The grid of axes that every plot's panels share."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from formation.figures import style
from formation.figures.plotdata import Plot


def grid(plot: Plot) -> tuple[Figure, list[tuple[Axes, Any]]]:
    """A figure with one pair of axes for each panel, left to right, top to bottom; places left over stay empty.

    Call it, and draw on what it returns, within `style.house_style`.
    """
    rows = -(-len(plot.panels) // plot.columns)
    figure = style.new_figure(height=plot.panel_height * rows)
    axes = figure.subplots(rows, plot.columns, squeeze=False).flat
    places = list(axes)
    for empty in places[len(plot.panels) :]:
        empty.set_axis_off()
    return figure, list(zip(places, plot.panels, strict=False))
