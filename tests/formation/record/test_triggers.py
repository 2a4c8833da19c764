"""Triggers and windows: planted rises are found where they are, dips and steady improvement form nothing."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formation.benchmark.streams import SplitName
from formation.record.gate import gate
from formation.record.series import ComponentMetric, Metric, Series
from formation.record.triggers import Increments, Trigger, best_so_far, increments, triggers, windows
from formation.statistics import resamples
from tests.formation.record.planted import EVERY, RULE, STREAMS, plant

WEIGHTS = resamples(STREAMS, 300, seed=1)
CHECKPOINTS = 40
IID = SplitName.TEST_IID


def found_in(*every: Series) -> list[Trigger]:
    gates = [gate(series.values(), series.placebos, RULE, 1) for series in every]
    tested = [increments(series, found, WEIGHTS, RULE.consecutive) for series, found in zip(every, gates, strict=True)]
    return triggers(tested, RULE.fdr)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_best_so_far_is_the_first_of_the_highest(values: list[int]) -> None:
    expected = [values.index(max(values[: i + 1])) for i in range(len(values))]
    assert best_so_far(np.array(values, dtype=float)).tolist() == expected


def test_a_planted_rise_is_one_window_where_it_is() -> None:
    rate = np.interp(np.arange(CHECKPOINTS), [20, 24], [0.1, 0.9])
    found = found_in(plant(np.random.default_rng(0), rate))
    assert {trigger.interval for trigger in found} == {20, 21, 22, 23}
    (window,) = windows(found, list(range(0, CHECKPOINTS * EVERY, EVERY)))
    assert (window.name, window.first, window.last) == ("early birth", 20 * EVERY, 24 * EVERY)
    assert len(window.triggers) == 4
    assert all(trigger.p <= trigger.adjusted <= RULE.fdr for trigger in found)


def test_a_steady_rise_has_no_window() -> None:
    """Each increment is above zero beyond doubt, none is above the even pace."""
    series = plant(np.random.default_rng(1), np.linspace(0.1, 0.9, CHECKPOINTS))
    assert gate(series.values(), series.placebos, RULE, 1).opened
    assert len(found_in(series)) <= 1


def test_a_rebound_after_a_dip_forms_nothing() -> None:
    x = np.arange(CHECKPOINTS)
    rate = np.where(x < 12, 0.1, 0.9)
    dipped = np.where((x > 25) & (x < 30), 0.5, rate)
    assert {trigger.interval for trigger in found_in(plant(np.random.default_rng(2), dipped))} == {11}


def test_what_the_next_checkpoint_takes_back_is_no_trigger() -> None:
    """A rise at 12, then two checkpoints of jitter far above it; the control keeps the height of the jitter."""
    x = np.arange(CHECKPOINTS)
    risen = np.where(x < 12, 0.1, 0.5)
    jitter = np.where((x == 30) | (x == 31), 0.9, risen)
    kept = np.where(x >= 30, 0.9, risen)
    assert {trigger.interval for trigger in found_in(plant(np.random.default_rng(2), jitter))} == {11}
    assert {trigger.interval for trigger in found_in(plant(np.random.default_rng(2), kept))} == {11, 29}


def test_an_increment_is_its_smallest_over_the_checkpoints_it_must_last() -> None:
    """Against plain Python, for a series without noise: every stream alike."""
    values = [0.0, 0.3, 0.2, 0.25, 0.6, 0.5, 0.7, 0.7]
    right = np.tile(9 * np.array(values), (STREAMS, 1))
    base = plant(np.random.default_rng(0), np.full(len(values), 0.3))
    series = dataclasses.replace(base, numerators=right)
    found = increments(series, gate(series.values(), series.placebos, RULE, 1), WEIGHTS, 3)
    best = [max(values[: i + 1]) for i in range(len(values))]
    assert found.size == pytest.approx([min(values[i + 1 : i + 4]) - best[i] for i in range(len(values) - 3)])
    assert found.p.tolist() == [0.0 if size > 0.1 else 1.0 for size in found.size]


def test_a_series_behind_a_closed_gate_triggers_nothing() -> None:
    x = np.arange(CHECKPOINTS)
    spike = plant(np.random.default_rng(3), np.where(x == 20, 0.9, 0.1))
    assert not gate(spike.values(), spike.placebos, RULE, 1).opened
    assert found_in(spike) == []


def test_noise_has_hardly_any_window() -> None:
    rng = np.random.default_rng(4)
    having = 0
    for _ in range(100):
        every = [plant(rng, np.full(CHECKPOINTS, 0.3)) for _ in range(4)]
        having += bool(windows(found_in(*every), list(range(CHECKPOINTS))))
    assert having <= 5


def test_more_metrics_ask_for_more_evidence() -> None:
    """The correction is over all metrics and intervals: a faint trigger dies in a crowd of tests without a rise."""
    p = np.full(39, 0.9)
    p[19] = 0.049 / 39 / sum(1 / i for i in range(1, 40))
    faint = Increments(IID, ComponentMetric("faint", "drop"), True, np.full(39, 0.01), p)
    size, high = np.full(39, 0.01), np.full(39, 0.9)
    flat = [Increments(IID, ComponentMetric(f"flat{i}", "drop"), True, size, high) for i in range(5)]
    assert [trigger.interval for trigger in triggers([faint], 0.05)] == [19]
    assert triggers([faint, *flat], 0.05) == []
    shut = [dataclasses.replace(one, gated=False) for one in flat]
    assert triggers([faint, *shut], 0.05) == []


@pytest.mark.parametrize(
    ("starts", "names"),
    [
        ([3], ["early birth"]),
        ([3, 9], ["early birth", "mid consolidation"]),
        ([3, 9, 20], ["early birth", "mid consolidation", "late reorganisation"]),
        ([3, 9, 20, 30], ["early birth", "mid consolidation", "late reorganisation", "late reorganisation 2"]),
        ([], []),
    ],
)
def test_windows_are_named_by_order(starts: list[int], names: list[str]) -> None:
    planted = [Trigger(IID, Metric.ACCURACY, start + shift, 0.1, 0.0, 0.0) for start in starts for shift in (0, 1)]
    found = windows(planted, list(range(CHECKPOINTS)))
    assert [window.name for window in found] == names
    assert [(window.first, window.last) for window in found] == [(start, start + 2) for start in starts]


def test_a_lone_trigger_is_no_window_but_two_metrics_at_once_are() -> None:
    lone, twin = Trigger(IID, Metric.ACCURACY, 5, 0.1, 0.0, 0.0), Trigger(IID, Metric.LOG_PROB, 5, 0.1, 0.0, 0.0)
    assert windows([lone], list(range(CHECKPOINTS))) == []
    (window,) = windows([lone, twin], list(range(CHECKPOINTS)))
    assert (window.first, window.last) == (5, 6)


def test_nothing_tested_nothing_found() -> None:
    assert triggers([], 0.05) == []
    assert windows([], [0, 40]) == []
