"""Figures: the same bytes for the same data, nothing clipped, gaps stay gaps, limits come from the data."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from formation.errors import ArtifactError
from formation.figures import heat, lines, style
from formation.figures.plotdata import SCHEMA, Axis, Heat, Level, Mark, Panel, Plot, Series, Span, birth_mark

STEPS = [float(step) for step in range(0, 2001, 100)]
RISE = [min(1.0, step / 1500) for step in STEPS]


def line_plot() -> Plot:
    series = Series("IID", STEPS, RISE, [y - 0.05 for y in RISE], [y + 0.05 for y in RISE])
    panel = Panel(
        "Accuracy",
        Axis("step"),
        Axis("loss", "nats/token"),
        [series, Series("other seed", STEPS, RISE[::-1], faint=True)],
        [Level(0.37, "a heuristic with a rather long name")],
        [Mark(800, "birth", 760, 880)],
        [Span(600, 1000, "1"), Span(1100, 1200, "2")],
    )
    return Plot("test", [panel, panel])


def heat_plot(rows: int = 5) -> Plot:
    values = np.linspace(0, 1, rows * len(STEPS)).reshape(rows, -1).tolist()
    names = [str(row) for row in range(rows)]
    panel = Heat("By lag", Axis("step"), Axis("lag", "writes"), STEPS, names, values, "accuracy", marks=[Mark(900, "")])
    return Plot("test", [panel, panel, panel], columns=2)


DRAWN = [(lines.draw, line_plot), (heat.draw, heat_plot)]


@pytest.mark.parametrize(("draw", "plot"), DRAWN)
def test_the_same_data_gives_the_same_bytes(draw, plot) -> None:
    assert style.svg(draw(plot())) == style.svg(draw(plot()))


def test_other_data_gives_other_bytes() -> None:
    assert style.svg(heat.draw(heat_plot(rows=5))) != style.svg(heat.draw(heat_plot(rows=4)))


@pytest.mark.parametrize(("draw", "plot"), DRAWN)
def test_no_text_leaves_the_figure(draw, plot) -> None:
    assert outside(draw(plot())) == []


def outside(figure: Figure) -> list[str]:
    """Texts of a figure that reach over its edge by more than a pixel."""
    canvas = FigureCanvasAgg(figure)
    with style.house_style():
        canvas.draw()
    width, height = canvas.get_width_height()
    sides = [side for axes in figure.axes for side in (axes.xaxis, axes.yaxis)]
    undrawn = {tick.label1 for side in sides for tick in side.get_major_ticks() if not in_view(side, tick.get_loc())}
    found = []
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text() and text not in undrawn:
            box = text.get_window_extent()
            if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1:
                found.append(text.get_text())
    return found


def in_view(side: Any, place: float) -> bool:
    low, high = sorted(side.get_view_interval())
    return bool(low <= place <= high)


def test_a_note_stands_in_a_figure_of_any_height() -> None:
    for height in (0.6, 2.0):
        figure = style.note("no formation window in this run", height)
        assert outside(figure) == []
        assert figure.get_figheight() == height


def test_colours_come_round_again() -> None:
    assert [style.colour(index) for index in range(len(style.PALETTE) + 1)] == [*style.PALETTE, style.PALETTE[0]]


@pytest.mark.parametrize(("outcome", "marks"), [("born", [Mark(800, "birth", 760, None, style.INK)]), ("censored", [])])
def test_only_a_birth_is_marked(outcome: str, marks: list[Mark]) -> None:
    assert birth_mark({"outcome": outcome, "step": 800, "low": 760, "high": None}, "birth", style.INK) == marks


def test_a_gap_is_drawn_as_a_gap() -> None:
    series = Series("s", [0, 1, 2, 3], [0.0, None, 1.0, 1.0])
    figure = lines.draw(Plot("t", [Panel("p", Axis("step"), Axis("share"), [series])]))
    drawn = figure.axes[0].lines[0].get_ydata()
    assert np.isnan(drawn[1])
    assert np.isfinite(np.delete(drawn, 1)).all()


def test_units_are_on_the_axes() -> None:
    figure = lines.draw(line_plot())
    assert figure.axes[0].get_ylabel() == "loss (nats/token)"
    assert figure.axes[0].get_xlabel() == "step"


def test_open_limits_come_from_the_data_and_given_ones_hold() -> None:
    panel = Panel("p", Axis("step", low=0, high=10), Axis("y"), [Series("s", [0, 5], [3.0, 7.0])])
    axes = lines.draw(Plot("t", [panel])).axes[0]
    assert axes.get_xlim() == (0, 10)
    assert axes.get_ylim()[0] < 3 < 7 < axes.get_ylim()[1]


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=30, unique=True).map(sorted))
def test_every_step_lies_within_its_own_column(steps: list[int]) -> None:
    edges = heat._edges(np.asarray(steps, float))
    assert len(edges) == len(steps) + 1
    assert (np.diff(edges) > 0).all()
    assert ((edges[:-1] < steps) & (steps < edges[1:])).all()


def test_plot_data_is_an_artifact(tmp_path) -> None:
    path = line_plot().write(tmp_path)
    written = json.loads(path.read_text())
    assert (written["schema"], written["kind"], path.name) == (SCHEMA, "lines", "test.json")
    assert json.loads(heat_plot().write(tmp_path).read_text())["kind"] == "heat"
    endless = Plot("bad", [Panel("p", Axis("x"), Axis("y"), [Series("s", [0.0], [float("inf")])])])
    with pytest.raises(ArtifactError, match="/panels/0/series/0/y/0"):
        endless.write(tmp_path)
