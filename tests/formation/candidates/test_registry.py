"""Candidates: the rule of their status, case by case, their deltas by hand, and JSON that reads back."""

import json

import numpy as np
import pytest

from formation.benchmark.streams import SplitName
from formation.candidates.registry import (
    Candidate,
    Deltas,
    Status,
    as_json,
    by_rank,
    candidate,
    delta,
    from_json,
    status_of,
)
from formation.features.families.subsets import Subset
from formation.record.births import Change, Outcome
from formation.record.gate import Gate
from formation.record.series import ComponentMetric, Series
from formation.statistics import Estimate, resamples

GATE = Gate(True, 0.01, 5, 0.0, 1.0, 0.1)
UP, FLAT = Estimate(0.4, 0.2, 0.6, 90), Estimate(0.1, -0.1, 0.3, 90)


def change(outcome: Outcome) -> Change:
    step = None if outcome is Outcome.NOT_BORN else 400
    return Change(outcome, GATE, 320, 0.3, step, step, None, np.array([400.0]))


def one(
    useful: Outcome = Outcome.BORN, gain: Estimate = UP, heldout: Estimate = UP, top: int = 2, selected: Estimate = UP
) -> Candidate:
    subset = Subset(f"family_7.top{top}", "family_7", top, (54, 27, 1)[:top])
    births, deltas = (change(Outcome.BORN), change(useful)), Deltas(selected, gain, heldout)
    return candidate("final_norm", subset, [1, 27, 30], ["layer_0.mlp"], births, deltas)


@pytest.mark.parametrize(
    ("useful", "gain", "heldout", "status"),
    [
        (Outcome.BORN, UP, UP, Status.GENERALISES),
        (Outcome.BORN, UP, FLAT, Status.USEFUL),
        (Outcome.CENSORED, UP, UP, Status.LATE),
        (Outcome.NOT_BORN, UP, UP, Status.UNDATED),
        (Outcome.BORN, FLAT, UP, Status.NO_GAIN),
        (Outcome.BORN, Estimate(-0.4, -0.6, -0.2, 90), UP, Status.NO_GAIN),
        (Outcome.NOT_BORN, FLAT, FLAT, Status.NO_GAIN),
    ],
)
def test_the_status_by_the_rule(useful: Outcome, gain: Estimate, heldout: Estimate, status: Status) -> None:
    assert status_of(change(useful), gain, heldout) is status
    assert one(useful, gain, heldout).status is status


def test_a_candidate_says_what_it_is_made_of() -> None:
    found = one()
    assert (found.id, found.family, found.features, found.unstable) == ("family_7.top2", "family_7", [54, 27], [27])
    assert found.useful_birth.model_dump() == {"outcome": Outcome.BORN, "step": 400, "low": 400, "high": None}
    assert found.useful_delta.value == 0.4


def series(values: np.ndarray) -> Series:
    """Two reads in each of as many streams as there are rows."""
    steps = np.arange(values.shape[1])
    placebos = np.zeros((1, values.shape[1]))
    name = ComponentMetric("family_7.top2", "usefulness")
    return Series(name, SplitName.TEST_IID, steps, 2 * values, np.full(len(values), 2.0), placebos)


def test_a_delta_by_hand() -> None:
    """Every stream gains the same, whatever else it is worth: a paired bootstrap has no doubt."""
    level = np.random.default_rng(0).normal(size=(30, 1))
    found = delta(series(level + np.array([1.0, 2.0, 3.0, 9.0, 5.0, 6.0, 7.0])), resamples(30, 200, 0), 0.95)
    assert (found.value, found.low, found.high) == pytest.approx((4.0, 4.0, 4.0))
    assert found.n == 60


def test_noise_gains_nothing() -> None:
    """Negative control: one-sided, 2.5 of 100 may seem to gain."""
    noise, weights = np.random.default_rng(0).normal(size=(100, 60, 12)), resamples(60, 200, 0)
    assert np.mean([delta(series(one_run), weights, 0.95).low > 0 for one_run in noise]) < 0.08


def test_the_scoreboard_is_ranked_on_the_half_that_selects_and_reads_back() -> None:
    larger = Estimate(0.9, 0.5, 1.2, 90)
    every = [one(top=1, selected=FLAT), one(gain=FLAT, top=3, selected=larger), one(gain=larger, heldout=FLAT)]
    assert [(c.id, c.status) for c in by_rank(every)] == [
        ("family_7.top3", Status.NO_GAIN),
        ("family_7.top2", Status.USEFUL),
        ("family_7.top1", Status.GENERALISES),
    ]
    assert from_json(json.loads(json.dumps(as_json(every)))) == by_rank(every)
