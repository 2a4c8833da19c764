"""Every heuristic on streams small enough to answer by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formation.benchmark.events import twin_split
from formation.benchmark.generate import Dataset
from formation.benchmark.heuristics import Heuristic, Shortcuts, agreement, predictions, scores
from formation.benchmark.streams import Split, SplitName, TwinKind

from .planted import split

#            writes so far at the reads: a1 b2 a3 | a1 b2 a3 c4 | a1 b2 a3 c4
STREAM = "a1 b2 a3 a?3 c4 b?2 a?3"

EXPECTED = {
    Heuristic.LAG_0: [3, 4, 4],
    Heuristic.LAG_1: [2, 3, 3],
    Heuristic.LAG_2: [1, 2, 2],
    Heuristic.LAG_3: [-1, 1, 1],
    Heuristic.LAG_4: [-1, -1, -1],
    Heuristic.NTH_1: [1, 2, 1],
    Heuristic.NTH_2: [3, -1, 3],
    Heuristic.NTH_3: [-1, -1, -1],
    Heuristic.FIRST_VALUE: [1, 1, 1],
    Heuristic.MOST_RECENT: [3, 4, 2],  # the token before the last read is an answer
    Heuristic.PREVIOUS_ANSWER: [-1, 3, 2],
    Heuristic.MOST_FREQUENT: [-1, 3, -1],  # 3 was written and answered; then 2 was, too
    Heuristic.PREVIOUS_OF_KEY: [1, -1, 1],
    Heuristic.RANDOM_OF_KEY: [-1, 2, -1],
    Heuristic.MOST_FREQUENT_OF_KEY: [-1, 2, 3],
    Heuristic.RANDOM_VALUE: [-1, -1, -1],
    Heuristic.RANDOM_CURRENT: [-1, -1, -1],
    Heuristic.CURRENT_RANK_1: [2, 3, 3],
    Heuristic.CURRENT_RANK_2: [-1, 2, 2],
    Heuristic.LEAST_RECENT_CURRENT: [2, 2, 2],
    Heuristic.LEAST_ASKED_CURRENT: [-1, -1, 4],  # 2 and 3 tie; then 2 and 4, for 3 was asked; then 4 alone
    Heuristic.LAST_ANSWER_OF_KEY: [-1, -1, 3],
}


@pytest.mark.parametrize("heuristic", EXPECTED)
def test_predictions_by_hand(heuristic: Heuristic) -> None:
    assert predictions(split(STREAM), heuristic).tolist() == EXPECTED[heuristic]


@pytest.mark.parametrize(
    ("heuristic", "expected"),
    [
        (Heuristic.RANDOM_OF_KEY, [1 / 2, 1, 1 / 2]),
        (Heuristic.RANDOM_VALUE, [1 / 3, 1 / 4, 1 / 4]),
        (Heuristic.RANDOM_CURRENT, [1 / 2, 1 / 3, 1 / 3]),
        (Heuristic.MOST_FREQUENT, [1 / 3, 0, 1 / 2]),
        (Heuristic.MOST_FREQUENT_OF_KEY, [1 / 2, 1, 1]),
        (Heuristic.LAG_0, [1, 0, 0]),
        (Heuristic.PREVIOUS_OF_KEY, [0, 0, 0]),
    ],
)
def test_scores_by_hand(heuristic: Heuristic, expected: list[float]) -> None:
    assert scores(split(STREAM), heuristic) == pytest.approx(expected)


def test_fitted_tables_come_from_the_other_half() -> None:
    """Even streams are right at lag 0, odd ones at lag 1: each half gets the other's rule and is always wrong."""
    even, odd = "a1 b2 b?2", "a1 b2 a?1"
    assert scores(split(even, odd, even, odd), Heuristic.BEST_LAG).tolist() == [0, 0, 0, 0]
    assert scores(split(even, even, even, even), Heuristic.BEST_LAG).tolist() == [1, 1, 1, 1]


def test_rules_of_rank_and_lag_are_told_apart() -> None:
    """Keys written in turn are always asked for the least recent one; it has any lag, but one rank among three keys."""
    turns = ["a1 b2 c3 a?1 a4 b?2 b5 c?3", "c1 a2 b3 c?1 c4 a?2 a5 b?3"]
    odd = ["a1 b2 c3 b4 a?1 c5 a?1 b6 a?1", "b1 c2 a3 c4 b?1 a5 b?1 c6 b?1"]
    for streams in (split(*turns * 3), split(*odd * 3)):
        assert scores(streams, Heuristic.LEAST_RECENT_CURRENT).mean() == 1
        assert scores(streams, Heuristic.BEST_RANK).mean() == 1
        assert scores(streams, Heuristic.BLIND_CHOICE).mean() == 1
    assert scores(split(*odd * 3), Heuristic.BEST_LAG).mean() < 0.5


def test_the_oldest_current_value_within_a_lag() -> None:
    """A key never asked for is the oldest of all; within two writes of the last, the asked one is."""
    streams = split(*["d9 a1 b2 c3 a?1 a4 b?2 b5 c?3"] * 4)
    assert scores(streams, Heuristic.LEAST_RECENT_CURRENT).mean() == 0
    assert scores(streams, Heuristic.LEAST_RECENT_WITHIN_LAG).mean() == 1


def test_the_best_blind_rule_beats_every_rule_of_rank_it_contains(hardened: Dataset) -> None:
    """Its table knows rank, times asked and writes, so it learns what any of the simpler rules knows, but for noise."""
    streams = hardened.splits[SplitName.TRAIN]
    stale = streams.reads.stale > 0
    seen = Shortcuts(streams, fitted_on=stale)
    best = seen.scores(Heuristic.BLIND_CHOICE)[stale].mean()
    for heuristic in (Heuristic.BEST_RANK, Heuristic.LEAST_ASKED_CURRENT, Heuristic.RANDOM_CURRENT):
        assert seen.scores(heuristic)[stale].mean() < best + 0.02, heuristic


def test_rules_of_rank_do_not_follow_a_key_twin_on_its_target(hardened: Dataset) -> None:
    """The twin asks for the same key where the current values have changed hands, and rank cannot tell."""
    split = hardened.splits[SplitName.TEST_IID]
    twin = hardened.twins[SplitName.TEST_IID, TwinKind.KEY]
    here, there = Shortcuts(split), Shortcuts(twin_split(split, twin))
    for heuristic in (Heuristic.LEAST_RECENT_CURRENT, Heuristic.CURRENT_RANK_1, Heuristic.CURRENT_RANK_2):
        both = here.scores(heuristic) * there.scores(heuristic)
        assert both[twin.target].max() == 0, heuristic


def test_a_table_by_position_beats_any_fixed_rule() -> None:
    """The first read asks for the key's first value, the second for its second: only the position tells."""
    streams = split(*["a1 b2 a?1 a3 b4 a?3"] * 4)
    assert scores(streams, Heuristic.NTH_GIVEN_POSITION).mean() == 1
    assert scores(streams, Heuristic.NTH_GIVEN_WRITES).mean() == 1
    assert scores(streams, Heuristic.BEST_NTH).mean() == 0.5


def test_fitting_on_stale_reads_only() -> None:
    streams = split(*["a1 b2 a?1 b?2 c5 b3 b?3"] * 4)
    stale = streams.reads.stale > 0
    assert Shortcuts(streams).scores(Heuristic.BEST_NTH)[stale].mean() == 0
    assert Shortcuts(streams, fitted_on=stale).scores(Heuristic.BEST_NTH)[stale].mean() == 1


@pytest.mark.parametrize("heuristic", list(Heuristic))
def test_distributions_are_distributions(hardened: Dataset, heuristic: Heuristic) -> None:
    likely = Shortcuts(hardened.splits[SplitName.STRUCTURAL_OOD]).distribution(heuristic)
    totals = likely.sum(axis=1)
    assert (likely >= 0).all()
    assert (np.isclose(totals, 1) | (totals == 0)).all()


@pytest.mark.parametrize("heuristic", list(Heuristic))
def test_scores_are_those_of_the_predictions(hardened: Dataset, heuristic: Heuristic) -> None:
    """Where a heuristic is certain, it scores 1 or 0 as its prediction is right or wrong."""
    streams = hardened.splits[SplitName.TEST_IID]
    said, right = predictions(streams, heuristic), scores(streams, heuristic)
    certain = said >= 0
    assert np.array_equal(right[certain], (said == streams.reads.value)[certain])
    assert np.allclose(agreement(streams, heuristic, said)[certain], 1)


def test_no_heuristic_is_the_oracle(hardened: Dataset) -> None:
    streams = hardened.splits[SplitName.TRAIN]
    stale = streams.reads.stale > 0
    assert max(scores(streams, heuristic)[stale].mean() for heuristic in Heuristic) < 0.6


def test_lags_share_the_reads_among_them(hardened: Dataset) -> None:
    """Identity: values are unique, so every read is right at exactly one lag and as exactly one ordinal."""
    streams = hardened.splits[SplitName.TEST_IID]
    for kind in ("LAG_", "NTH_"):
        numbered = [h for h in Heuristic if h.name.startswith(kind) and h.name[-1].isdigit()]
        assert sum(scores(streams, heuristic) for heuristic in numbered) == pytest.approx(1)


@given(st.integers(1, 6), st.integers(0, 5))
def test_fixed_lags_on_streams_of_many_keys(count: int, lag: int) -> None:
    keys = "abcd" * 2
    writes = [f"{keys[number]}{number}" for number in range(count)]
    latest = {text[0]: text[1:] for text in writes}
    reads = [f"{key}?{value}" for key, value in latest.items()]
    streams: Split = split(" ".join(writes + reads))
    right = scores(streams, Heuristic(f"lag_{lag}"))
    assert np.array_equal(right == 1, streams.reads.lag == lag)


def test_every_heuristic_has_a_label_of_its_own() -> None:
    labels = [heuristic.label for heuristic in Heuristic]
    assert len(set(labels)) == len(labels)
