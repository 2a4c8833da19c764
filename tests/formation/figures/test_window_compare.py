"""Figures of a window's comparison, from a record made by hand: every number in its place, nothing clipped."""

import json
from typing import Any

import pytest

from formation.components.roles import Role
from formation.figures import lines, style, window_compare
from formation.figures.window_compare import carried, draw_carried, draw_where, inside, largest, where
from tests.formation.figures.test_drawing import outside

STAGES = ("embed", "layer_0_post_attn", "layer_0_post_mlp", "layer_1_post_attn", "layer_1_post_mlp")


def patch(kind: str, component: str, direction: str, value: float | None, split: str = "test_iid") -> dict[str, Any]:
    bounds = {"low": None, "high": None} if value is None else {"low": value - 0.1, "high": value + 0.1}
    named = {"kind": kind, "component": component, "split": split, "direction": direction, "metric": "log_prob"}
    return {**named, "fraction": value, **bounds, "n": 900}


def window(first: int = 920, change: float = 1.5, fraction: float | None = 0.6) -> dict[str, Any]:
    patches = []
    for direction in window_compare.DIRECTIONS:
        for head in range(14):
            value = None if fraction is None else fraction - 0.1 * head
            patches.append(patch("head", f"layer_{head // 7}.head_{head % 7}", direction, value))
        patches.append(patch("readout", "readout", direction, None if fraction is None else -0.95))
        patches.append(patch("head", "layer_0.head_0", direction, 9.0, split="heldout_pairs"))
        for stage in STAGES:
            for role in Role:
                if stage in STAGES[:3] or role is Role.QUERY_KEY:
                    patches.append(patch("stage_role", f"{stage}/{role}", direction, fraction))
    changes = [{"split": "test_iid", "metric": "log_prob", "change": change}]
    return {
        "name": "early birth",
        "first_step": first,
        "last_step": first + 40,
        "changes": changes,
        "patches": patches,
        "dense": dense(first),
    }


def dense(first: int) -> dict[str, Any]:
    def one(component: str, metric: str, split: str, date: float | None) -> dict[str, Any]:
        t50 = {"step": date, "low": date, "high": None if date is None else date + 2}
        values = {"value": [0.1, 0.2, 0.5, 0.8, 0.9], "low": [0.0] * 5, "high": [1.0] * 5}
        return {"component": component, "metric": metric, "split": split, "unit": "", **values, "t50": t50}

    series = [
        one("behaviour", "accuracy", "test_iid", first + 20),
        one("behaviour", "key_twin_flip", "heldout_pairs", first + 30),
        one("layer_1.head_0", "attention_matching_value", "test_iid", None),
        one("layer_1.head_0", "direct_effect", "test_iid", first + 25),
    ]
    return {"first_step": first, "last_step": first + 40, "steps": list(range(first, first + 41, 10)), "series": series}


def test_the_strongest_components_of_one_split_are_rows_with_a_dot_for_each_direction() -> None:
    plot = carried(window())
    assert plot.rows[:2] == ["final norm, unembedding", "head 1.6"]
    assert len(plot.rows) == window_compare.MOST
    assert len(plot.dots) == 2 * window_compare.MOST
    dots = {(plot.rows[dot.row], dot.direction): dot.value for dot in plot.dots}
    assert dots["head 0.0", "into_source"] == 0.6
    assert json.loads(json.dumps(plot.as_json()))["schema"] == "plot-data/1"


def test_a_stage_that_cannot_touch_the_answer_has_carried_nothing() -> None:
    plot = where(window())
    assert plot.rows == ["embedding", *(f"{part} {i}" for i in (0, 1) for part in ("attention", "MLP"))]
    assert plot.columns == [role.replace("_", " ") for role in Role]
    query = plot.columns.index("query key")
    assert [row[query] for row in plot.grids[0].values] == [0.6] * 5
    assert [row[query + 1] for row in plot.grids[0].values] == [0.6] * 3 + [0.0] * 2
    assert json.loads(json.dumps(plot.as_json()))["kind"] == "grids"


def test_dates_stand_in_their_panel_and_undated_series_have_none() -> None:
    plot = inside(window())
    assert [len(panel.series) for panel in plot.panels] == [2, 1, 1]  # type: ignore[union-attr]
    assert [[mark.x for mark in panel.marks] for panel in plot.panels] == [[940, 950], [], [945]]
    assert [one.name for one in plot.panels[0].series] == ["IID", "follows key twin, held-out pairs"]  # type: ignore[union-attr]


def test_the_window_of_the_largest_change_stands_for_the_run() -> None:
    record = {"windows": [window(100, 0.2), window(200, -0.7), window(300, 0.5)]}
    found = largest(record)
    assert found is not None
    assert found["first_step"] == 200
    assert largest({"windows": []}) is None


UNCHANGED = window(fraction=None) | {"dense": None}
FIGURES = {
    "carried": lambda one: draw_carried(carried(one)),
    "where": lambda one: draw_where(where(one)),
    "inside": lambda one: lines.draw(inside(one)),
}


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("record", [window(), UNCHANGED, None], ids=["full", "unchanged", "none"])
def test_nothing_leaves_the_figure_and_bytes_repeat(figure: str, record: dict[str, Any] | None) -> None:
    draw = FIGURES[figure]
    assert outside(draw(record)) == []
    assert style.svg(draw(record)) == style.svg(draw(record))


def test_why_there_is_nothing_is_told() -> None:
    assert carried(None).note == where(None).note == window_compare.NO_WINDOW
    assert carried(UNCHANGED).note == where(UNCHANGED).note == window_compare.NO_CHANGE
    assert "not replayed" in inside(UNCHANGED).panels[0].title
    assert carried(window()).note is None
