"""Two births: a planted plateau is dated apart from the retrieval that follows it, and not where there is none."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from formation.record.births import Birth, Change, Outcome, find_birth
from formation.record.plateaus import distance, onset, rise_before
from formation.statistics import resamples
from tests.formation.record.planted import EVERY, RULE, STREAMS, plant

WEIGHTS = resamples(STREAMS, 300, seed=1)
CHECKPOINTS = 45
X = np.arange(CHECKPOINTS)


def two(rng: np.random.Generator, shortcut: int, retrieval: int) -> tuple[int, Change | None, Birth]:
    """Onset, shortcut's rise and retrieval's birth where accuracy rises to .3 and then, with the flip, to .95."""
    flip = plant(rng, np.where(retrieval > X, 0.01, 0.95))
    accuracy = plant(rng, np.where(shortcut > X, 0.05, np.where(retrieval > X, 0.3, 0.97)))
    birth = find_birth(flip, WEIGHTS, RULE, 3)
    end = onset(birth, flip, WEIGHTS, RULE)
    return end, rise_before(accuracy, end, WEIGHTS, RULE, 5), birth


@settings(max_examples=40, derandomize=True)  # statistical: the same draws every time
@given(st.integers(4, 14), st.integers(6, 24), st.integers(0, 1000))
def test_both_births_are_dated(shortcut: int, apart: int, seed: int) -> None:
    retrieval = shortcut + apart
    end, first, birth = two(np.random.default_rng(seed), shortcut, retrieval)
    # one checkpoint in forty exceeds its baseline by chance, and may stand just before the rise
    assert retrieval - 2 <= end <= retrieval
    assert birth.step == retrieval * EVERY
    assert first is not None
    assert first.outcome is Outcome.BORN
    assert abs(first.step - shortcut * EVERY) <= EVERY
    gap = distance(("shortcut", first), ("retrieval", birth.rise), RULE)
    assert abs(gap.value - apart * EVERY) <= EVERY
    assert gap.low <= gap.value <= gap.high


def test_without_a_plateau_there_is_no_shortcuts_birth() -> None:
    rng = np.random.default_rng(1)
    born = 0
    for _ in range(100):
        flip = plant(rng, np.where(X < 25, 0.01, 0.95))
        accuracy = plant(rng, np.where(X < 25, 0.05, 0.97))
        birth = find_birth(flip, WEIGHTS, RULE, 3)
        first = rise_before(accuracy, onset(birth, flip, WEIGHTS, RULE), WEIGHTS, RULE, 5)
        born += first is not None and first.outcome is not Outcome.NOT_BORN
    assert born <= 5


def test_the_onset_is_before_a_gradual_birth() -> None:
    flip = plant(np.random.default_rng(2), np.interp(X, [20, 40], [0.01, 0.95]))
    birth = find_birth(flip, WEIGHTS, RULE, 3)
    end = onset(birth, flip, WEIGHTS, RULE)
    assert 20 <= end < birth.rise.index


def test_where_retrieval_is_not_born_all_checkpoints_are_before_it() -> None:
    rng = np.random.default_rng(3)
    flip, accuracy = plant(rng, np.full(CHECKPOINTS, 0.01)), plant(rng, np.where(X < 10, 0.05, 0.3))
    birth = find_birth(flip, WEIGHTS, RULE, 3)
    assert onset(birth, flip, WEIGHTS, RULE) == CHECKPOINTS
    first = rise_before(accuracy, CHECKPOINTS, WEIGHTS, RULE, 5)
    assert abs(first.step - 10 * EVERY) <= EVERY
    gap = distance(("shortcut", first), ("retrieval", birth.rise), RULE)
    assert (gap.value, gap.reason) == (None, "retrieval is not born")


def test_too_few_checkpoints_before_the_onset_are_said_to_be_too_few() -> None:
    accuracy = plant(np.random.default_rng(4), np.full(CHECKPOINTS, 0.3))
    assert rise_before(accuracy, 5, WEIGHTS, RULE, 5) is None
    retrieval = find_birth(plant(np.random.default_rng(4), np.where(X < 5, 0.01, 0.95)), WEIGHTS, RULE, 3).rise
    gap = distance(("the plateau", None), ("retrieval", retrieval), RULE)
    assert (gap.value, gap.low, gap.high) == (None, None, None)
    assert gap.reason == "too few checkpoints to date the plateau"


def test_draws_without_a_birth_leave_the_bound_open() -> None:
    _, first, birth = two(np.random.default_rng(5), 8, 20)
    draws = birth.rise.draws.copy()
    draws[: len(draws) // 10] = np.inf
    later = Change(**{**vars(birth.rise), "draws": draws})
    gap = distance(("shortcut", first), ("retrieval", later), RULE)
    assert (gap.low, gap.high) == (gap.value, None)
    swapped = distance(("retrieval", later), ("shortcut", first), RULE)
    assert (swapped.low, swapped.high) == (None, swapped.value)
    neither = Change(**{**vars(first), "draws": np.full(len(draws), np.inf)})
    assert np.isfinite(distance(("a", first), ("b", birth.rise), RULE).low)
    assert distance(("a", neither), ("b", later), RULE).low is None
