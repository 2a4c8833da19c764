"""The figure of a screen: one dot a run, undated ones behind the end, nothing clipped."""

import json
from typing import Any

import pytest

from formation.figures import factors, style
from tests.formation.figures.test_drawing import outside


def screen(levels: int = 3) -> dict[str, Any]:
    def run(name: str, value: int | None, high: int | None, n: int = 50) -> dict[str, Any]:
        low = None if value is None else value - 40
        entry = {"value": value, "low": low, "high": high, "n": n, "reason": "not born" if value is None else None}
        return {"run": name, "entries": dict.fromkeys(factors.TITLES, entry)}

    runs = [run("a-s1", 1000, 1040), run("a-s2", 1200, None), run("a-s3", None, None), run("a-s4", None, None, n=0)]
    texts = ["quick", "embedding_std 0.05, PyTorch's linear layers", "SGD with momentum 0.9, rate 0.1"]
    return {
        "factor": "initialisation",
        "last_step": 2000,
        "measures": {measure: {"what": "a birth", "unit": "steps"} for measure in factors.TITLES},
        "levels": [{"level": text, "baseline": text == "quick", "runs": runs} for text in texts[:levels]],
    }


def test_every_measured_run_is_one_dot() -> None:
    plot = factors.births_by_level(screen())
    assert plot.rows[0] == "quick (baseline)"
    assert [len(panel.dots) for panel in plot.panels] == [9, 9, 9]
    assert [(dot.x, dot.low, dot.high, dot.why) for dot in plot.panels[0].dots[:3]] == [
        (1000, 960, 1040, ""),
        (1200, 1160, None, ""),
        (None, None, None, "not born"),
    ]
    assert json.loads(json.dumps(plot.as_json()))["schema"] == "plot-data/1"


def test_dots_stand_at_their_date_and_undated_ones_behind_the_end() -> None:
    axes = factors.draw(factors.births_by_level(screen(1), ["retrieval_birth_step"])).axes[0]
    points = {
        (line.get_marker(), round(float(line.get_xdata()[0]))) for line in axes.lines if line.get_marker() != "None"
    }  # type: ignore[index,arg-type]
    assert points == {("o", 1000), ("o", 1200), (">", 2120)}
    assert axes.get_xlabel() == "birth (steps)"
    assert axes.get_xlim()[1] > 2120


@pytest.mark.parametrize("levels", [1, 3])
def test_nothing_leaves_the_figure_and_bytes_repeat(levels: int) -> None:
    plot = factors.births_by_level(screen(levels))
    assert outside(factors.draw(plot)) == []
    assert style.svg(factors.draw(plot)) == style.svg(factors.draw(plot))
