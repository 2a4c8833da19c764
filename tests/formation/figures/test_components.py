"""Figures of what forms inside, drawn from a measured run: every curve in its place, units said, nothing clipped."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from formation.figures import components, heat, lines, style
from formation.figures.plotdata import Heat, Panel, Plot
from formation.figures.tables import table
from formation.record.study import Study, open_study
from tests.formation.figures.test_drawing import outside

LINES = (components.heads, components.blocks, components.dynamics, components.spectra)
PLOTS = (components.available, *LINES)


@pytest.fixture(scope="module")
def study(measured_project: Path) -> Study:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FORMATION_ARTIFACTS", raising=False)
        found = open_study("smoke-s1", measured_project)
        assert found.this.components["steps"] == list(range(0, 29, 4))
    return found


def drawn(plot: Plot) -> object:
    return heat.draw(plot) if isinstance(plot.panels[0], Heat) else lines.draw(plot)


@pytest.mark.parametrize("make", PLOTS)
def test_nothing_leaves_the_figure_and_bytes_repeat(make: Callable[[Study], Plot], study: Study) -> None:
    plot = make(study)
    assert json.loads(json.dumps(plot.as_json()))["schema"] == "plot-data/1"
    assert outside(drawn(plot)) == []
    assert style.svg(drawn(plot)) == style.svg(drawn(make(study)))


def test_figures_have_names_of_their_own(study: Study) -> None:
    assert len({make(study).name for make in PLOTS}) == len(PLOTS)


@pytest.mark.parametrize("make", LINES)
def test_every_series_has_a_value_at_every_step(make: Callable[[Study], Plot], study: Study) -> None:
    steps = [float(step) for step in study.this.components["steps"]]
    for panel in make(study).panels:
        assert isinstance(panel, Panel)
        assert panel.x.label == "step"
        assert panel.series
        for series in panel.series:
            assert series.x == steps
            assert len(series.y) == len(steps)


def test_all_heads_are_drawn_and_the_strongest_named(study: Study) -> None:
    plot = components.heads(study)
    assert [panel.y.unit for panel in plot.panels] == ["", "", "", "nats", "nats"]
    strongest = components.strongest(study.this.components["heads"], "drop_resample_key")
    for panel in plot.panels:
        named = [series.name for series in panel.series if not series.faint]
        assert len(panel.series) == 4  # two layers of two heads
        assert len(named) == components.NAMED_HEADS
    assert named == [style.component_label(name) for name in strongest]
    final = {name: sum(one["drop_resample_key"]["value"][-3:]) for name, one in study.this.components["heads"].items()}
    assert strongest == sorted(final, key=lambda name: -final[name])[: components.NAMED_HEADS]


def test_bands_hold_the_values_of_dated_metrics(study: Study) -> None:
    for panel in components.heads(study).panels:
        for series in panel.series:
            if series.low is not None and series.high is not None:
                assert all(a <= y <= b for a, y, b in zip(series.low, series.y, series.high, strict=True))
    assert components.heads(study).panels[4].series[-1].low is not None


def test_blocks_are_named_with_their_units(study: Study) -> None:
    plot = components.blocks(study)
    assert [panel.y.text() for panel in plot.panels] == ["effect (nats)", "drop (nats)", "fraction"]
    assert [series.name for series in plot.panels[0].series] == ["MLP 0", "MLP 1"]


def test_probes_stand_stage_by_stage_from_the_embedding_on(study: Study) -> None:
    for panel in components.available(study).panels:
        assert isinstance(panel, Heat)
        assert panel.rows == ["embedding", "attention 0", "MLP 0", "attention 1", "MLP 1", "final norm"]
        assert all(len(row) == len(panel.columns) == 8 for row in panel.values)
        assert all(0 <= value <= 1 for row in panel.values for value in row if value is not None)


def test_a_birth_of_retrieval_is_marked_and_none_is_invented(study: Study) -> None:
    birth = study.this.birth("counterfactual", "key_twin_flip")
    marks = components.heads(study).panels[0].marks
    assert [mark.x for mark in marks] == ([birth["step"]] if birth["outcome"] == "born" else [])


def test_tables_say_what_was_not_born_and_what_was_not_passed(study: Study) -> None:
    rows = components.order_rows(study)
    assert [row["event"] for row in rows] == [event for _, event in components.ORDER]
    entries = [study.this.evidence[name] for name, _ in components.ORDER]
    for row, entry in zip(rows, entries, strict=True):
        assert row["step"] == entry["value"]
        assert row["interval"] == entry.get("reason") or str(entry["low"]) in row["interval"]
    assert len(repr(table(rows, components.ORDER_COLUMNS)).strip().splitlines()) == 2 + len(rows)
    tests = components.decision_rows(study)
    assert tests[0]["passed"] == "no"  # nothing is learned in 28 steps
    assert len(repr(table(tests, components.DECISION_COLUMNS)).strip().splitlines()) == 2 + len(tests)
    assert components.may_start(study).startswith("Deep circuit work may not start on smoke-s1: not passed: behaviour")
