"""The gate: its statistic against a loop, its p-value under the null, its refusal of what placebos also do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from formation.errors import MeasureError
from formation.record import gate as gates
from tests.formation.record.planted import RULE, plant

values = hnp.arrays(np.float64, st.integers(6, 30), elements=st.floats(0, 1))


def slow_cusum(x: np.ndarray, least: int) -> tuple[float, int]:
    """The definition, one change point at a time."""
    best = (-np.inf, 0)
    for k in range(least, len(x) - least + 1):
        size = np.sqrt(k * (len(x) - k) / len(x)) * (x[k:].mean() - x[:k].mean())
        best = max(best, (float(size), k), key=lambda pair: (round(pair[0], 9), -pair[1]))
    return best


@given(values, st.integers(2, 3))
def test_cusum_is_its_definition(x: np.ndarray, least: int) -> None:
    statistic, change = gates.cusum(x, least)
    slow, _ = slow_cusum(x, least)
    assert float(statistic) == pytest.approx(slow, abs=1e-9)
    assert least <= change <= len(x) - least
    k = int(change)
    at_change = np.sqrt(k * (len(x) - k) / len(x)) * (x[k:].mean() - x[:k].mean())
    assert at_change == pytest.approx(slow, abs=1e-9)


@given(hnp.arrays(np.float64, (5, 12), elements=st.floats(0, 1)))
def test_many_series_at_once_are_each_alone(x: np.ndarray) -> None:
    statistics, changes = gates.cusum(x, 3)
    baselines, peaks = gates.baseline_and_peak(x, changes)
    for row, statistic, change, baseline, peak in zip(x, statistics, changes, baselines, peaks, strict=True):
        one, k = gates.cusum(row, 3)
        assert float(one) == pytest.approx(statistic)
        assert k == change
        assert baseline == np.median(row[:change])
        assert peak == max(np.median(row[i : i + 3]) for i in range(change, len(row) - 2))


@given(st.integers(3, 27))
def test_a_step_is_found_where_it_is(at: int) -> None:
    x = np.where(np.arange(30) < at, 0.1, 0.8)
    found = gates.gate(x, np.zeros((200, 30)), RULE, seed=1)
    assert found.opened
    assert found.change == at
    assert (found.baseline, found.peak) == (0.1, 0.8)


def test_one_outlier_is_no_peak() -> None:
    x = np.zeros(30)
    x[20] = 1.0
    assert not gates.gate(x, np.zeros((200, 30)), RULE, seed=1).opened


def test_a_hump_before_the_change_point_is_no_peak() -> None:
    """A series that falls from .9, and then rises from .1 to .5, has risen to .5."""
    x = np.where(np.arange(40) < 4, 0.9, np.where(np.arange(40) < 20, 0.1, 0.5))
    found = gates.gate(x, np.zeros((200, 40)), RULE, seed=1)
    assert (found.change, found.baseline, found.peak) == (20, 0.1, 0.5)


def test_placebos_that_only_fall_do_not_raise_the_floor() -> None:
    """Log-probability of permuted answers falls while a model learns: no placebo rose, however high it started."""
    falling = np.tile(np.linspace(-3.5, -12.0, 40), (200, 1))
    assert gates.placebo_rise(falling, RULE) < 0


def test_two_checkpoints_behind_the_change_point_borrow_one() -> None:
    baseline, peak = gates.baseline_and_peak(np.array([0.9, 0.1, 0.1, 0.1, 0.6, 0.8]), np.array(4))
    assert (float(baseline), float(peak)) == (0.1, 0.6)


def test_a_fall_does_not_open_the_gate() -> None:
    assert not gates.gate(np.where(np.arange(30) < 15, 0.8, 0.1), np.zeros((200, 30)), RULE, seed=1).opened


@pytest.mark.parametrize("level", [0.0, 0.1, 1 / 3, 1.0])
def test_a_constant_series_does_not_open_the_gate(level: float) -> None:
    """Not even by the rounding of its mean."""
    found = gates.gate(np.full(37, level), np.full((200, 37), level), RULE, seed=1)
    assert not found.opened
    assert found.p == 1.0


def test_a_rise_that_placebos_share_does_not_open_the_gate() -> None:
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 0.5, 40)
    placebos = ramp + rng.normal(0, 0.02, (200, 40))
    found = gates.gate(ramp, placebos, RULE, seed=1)
    assert found.p < 0.01
    assert not found.opened
    assert gates.gate(3 * ramp, placebos, RULE, seed=1).opened


def test_p_is_right_under_the_null() -> None:
    rng = np.random.default_rng(3)
    p = [gates.gate(plant(rng, np.full(40, 0.3), 32).values(), np.zeros((20, 40)), RULE, i).p for i in range(300)]
    assert np.mean(np.array(p) <= 0.05) < 0.09
    assert 0.4 < np.mean(p) < 0.6


def test_the_same_seed_gives_the_same_gate() -> None:
    x = plant(np.random.default_rng(5), np.linspace(0.3, 0.35, 30)).values()
    assert gates.gate(x, np.zeros((200, 30)), RULE, 7) == gates.gate(x, np.zeros((200, 30)), RULE, 7)


def test_too_short_a_series_is_refused_with_what_to_do() -> None:
    with pytest.raises(MeasureError, match=r"at least 6 checkpoints.*there are 5; lower training.checkpoint_every"):
        gates.gate(np.zeros(5), np.zeros((200, 5)), RULE, seed=1)
