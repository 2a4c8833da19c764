"""Pairs of candidates: known correlations and fractions, and what turning one of them round leaves."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formation.candidates.pairs import Beside, Pair, pairs, turns
from formation.errors import MeasureError

FIGURES = [field.name for field in fields(Pair) if field.type in (Beside, "Beside")]


def series(seed: int, rho: float, checkpoints: int = 41) -> np.ndarray:
    """Two walks whose increments have the sample correlation `rho` exactly."""
    draw = np.random.default_rng(seed).normal(size=(checkpoints - 1, 2))
    one, other = np.linalg.qr(draw - draw.mean(0))[0].T
    steps = np.stack([one, rho * one + np.sqrt(1 - rho**2) * other], axis=1)
    return np.cumsum(np.r_[np.zeros((1, 2)), steps], axis=0)


def only(scores: np.ndarray, usefulness: np.ndarray | None = None) -> Pair:
    (found,) = pairs(["a", "b"], scores, scores if usefulness is None else usefulness)
    return found


def figures(pair: Pair) -> dict[str, Beside]:
    return {name: getattr(pair, name) for name in FIGURES}


@settings(max_examples=20)
@given(st.integers(0, 999), st.floats(-0.99, 0.99))
def test_correlations_are_the_planted_ones_and_numpys(seed: int, rho: float) -> None:
    both = series(seed, rho)
    found = only(both)
    assert found.score_increment_correlation.value == pytest.approx(rho, abs=1e-9)
    assert found.score_correlation.value == pytest.approx(np.corrcoef(both.T)[0, 1], abs=1e-9)


def test_fractions_by_hand() -> None:
    one, other = np.cumsum([[0, 1, -1, 1, 0, 2], [0, 1, 1, -3, 1, 5]], axis=1).astype(float)
    found = only(np.stack([one, other], axis=1))
    assert found.intervals == 5
    assert found.sign_conflict.value == pytest.approx(2 / 5)  # standing still is no conflict
    assert found.simultaneous_gain.value == pytest.approx(2 / 5)


def test_scores_and_usefulness_are_not_mixed_up() -> None:
    scores, usefulness = series(0, 0.9), series(1, -0.8)
    found = only(scores, usefulness)
    assert found.score_increment_correlation.value == pytest.approx(0.9)
    assert found.useful_increment_correlation.value == pytest.approx(-0.8)
    assert found.sign_conflict == only(scores).sign_conflict
    assert found.simultaneous_gain == only(usefulness).simultaneous_gain


def test_two_that_move_together_are_beyond_chance() -> None:
    found = only(series(0, 0.95))
    assert found.score_increment_correlation.p == pytest.approx(2 / 40)
    assert found.sign_conflict.p == pytest.approx(2 / 40)
    assert found.sign_conflict.value < found.sign_conflict.low
    assert only(series(0, -0.95)).score_increment_correlation.p == pytest.approx(2 / 40)


def test_two_that_only_both_rise_are_not() -> None:
    """Negative control: the scores' correlation is large at any moment of either rise, and its null says so."""
    above = []
    for seed in range(40):
        rise = np.random.default_rng(seed).normal(1.0, 1.0, size=(40, 2))
        found = only(np.cumsum(np.r_[np.zeros((1, 2)), rise], axis=0))
        assert found.score_correlation.value > 0.9
        assert found.score_correlation.mean > 0.9
        above.append([one.p <= 0.1 for one in figures(found).values()])
    assert np.mean(above) < 0.15


@settings(max_examples=20)
@given(st.integers(0, 999))
def test_every_turn_keeps_all_increments_and_the_total(seed: int) -> None:
    walk = np.random.default_rng(seed).normal(size=12).cumsum()
    turned = turns(walk)
    np.testing.assert_array_equal(turned[0], np.diff(walk))
    np.testing.assert_allclose(np.sort(turned, axis=1), np.sort(np.diff(walk))[None].repeat(11, 0))
    np.testing.assert_array_equal(turned[3], np.roll(np.diff(walk), -3))


@settings(max_examples=20)
@given(st.integers(0, 999))
def test_the_order_of_two_candidates_does_not_matter(seed: int) -> None:
    both = series(seed, 0.3)
    for one, other in zip(figures(only(both)).values(), figures(only(both[:, ::-1])).values(), strict=True):
        assert (one.value, one.mean, one.p) == pytest.approx((other.value, other.mean, other.p))


def test_a_candidate_that_stands_still_has_no_figures() -> None:
    still = series(0, 0.5)
    still[:, 1] = 3.0
    assert set(figures(only(still)).values()) == {Beside(None, None, None, None, None)}


def test_all_pairs_in_order_and_too_few_checkpoints_refused() -> None:
    three = np.c_[series(0, 0.2), series(1, 0.2)[:, 0]]
    found = pairs(["a", "b", "c"], three, three)
    assert [(pair.one, pair.other) for pair in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    with pytest.raises(MeasureError, match="at least 4 checkpoints, there are 3"):
        pairs(["a", "b", "c"], three[:3], three[:3])
