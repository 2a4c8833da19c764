"""Heat maps over training: plot data drawn in the house style."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from formation.figures import style
from formation.figures.grid import grid
from formation.figures.plotdata import Heat, Plot


def draw(plot: Plot) -> Figure:
    """A matplotlib figure of the plot's heat maps, with one colour bar for all: they share a range of values."""
    with style.house_style():
        figure, places = grid(plot)
        for axes, heat in places:
            _heat(axes, heat)
        shown = places[0][1]
        scale = ScalarMappable(Normalize(shown.low, shown.high))
        every = [axes for axes, _ in places]
        figure.colorbar(scale, ax=every, label=shown.value_label, **style.COLOUR_BAR)
    return figure


def _heat(axes: Axes, heat: Heat) -> None:
    values = np.asarray(heat.values, float)  # null is NaN, an empty cell
    edges = _edges(np.asarray(heat.columns, float))
    # edges in the cells' own colour: without them a page shows hairlines between the cells
    rows = np.arange(len(heat.rows) + 1)
    axes.pcolormesh(edges, rows, values, vmin=heat.low, vmax=heat.high, edgecolors="face", linewidth=0.4)
    axes.set_yticks(np.arange(len(heat.rows)) + 0.5, heat.rows)
    axes.set_title(heat.title)
    axes.set_xlabel(heat.x.text())
    axes.set_ylabel(heat.y.text())
    axes.grid(False)
    for mark in heat.marks:
        axes.axvline(mark.x, color=mark.colour or style.PAPER, lw=1.2, ls=style.DOTTED)


def _edges(centres: np.ndarray) -> np.ndarray:
    """Borders between neighbouring columns, the outer ones as far out as the next inner ones."""
    if len(centres) == 1:
        return np.asarray([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
