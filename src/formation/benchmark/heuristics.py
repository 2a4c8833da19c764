"""Every shortcut of `docs/measures.md` §1 as a predictor over the reads of a split.

A heuristic is a distribution over the writes that stand before a read in its stream: certain for "the second-last
written value", even for "any value of the key". From that follow its prediction, how often it is right, and how often
it would say what a model says. The oracle's rule (the key's latest value) is not among them.
"""

from enum import StrEnum

import numpy as np
from jaxtyping import Bool, Float, Int

from formation.benchmark.shortcuts import NUMBERED, RULES, Distribution
from formation.benchmark.streams import Split
from formation.benchmark.views import View, view


class Heuristic(StrEnum):
    """Shortcuts that answer without looking for the latest write of the key. Ties and random choices share evenly."""

    # the value written k writes before the last write; lag_0 is the last written value
    LAG_0 = "lag_0"
    LAG_1 = "lag_1"
    LAG_2 = "lag_2"
    LAG_3 = "lag_3"
    LAG_4 = "lag_4"
    LAG_5 = "lag_5"
    LAG_6 = "lag_6"
    LAG_7 = "lag_7"
    LAG_8 = "lag_8"
    LAG_9 = "lag_9"
    BEST_LAG = "best_lag"  # the fixed lag that is right most often on the reads it is fitted on
    LAG_GIVEN_POSITION = "lag_given_position"  # the best lag for each answer position
    # the n-th value written to the key; undefined where the key has fewer
    NTH_1 = "nth_1"
    NTH_2 = "nth_2"
    NTH_3 = "nth_3"
    NTH_4 = "nth_4"
    NTH_5 = "nth_5"
    NTH_6 = "nth_6"
    NTH_7 = "nth_7"
    NTH_8 = "nth_8"
    NTH_9 = "nth_9"
    BEST_NTH = "best_nth"  # the fixed ordinal that is right most often
    NTH_GIVEN_POSITION = "nth_given_position"  # the best ordinal for each answer position
    NTH_GIVEN_WRITES = "nth_given_writes"  # the best ordinal for each number of writes so far
    FIRST_VALUE = "first_value"  # the first value of the stream
    MOST_RECENT = "most_recent"  # the last value token, of a write or of an answer
    PREVIOUS_ANSWER = "previous_answer"  # the answer of the read before; undefined for a stream's first read
    MOST_FREQUENT = "most_frequent"  # the value that stands most often in the stream so far
    RANDOM_VALUE = "random_value"  # any value written so far
    RANDOM_CURRENT = "random_current"  # the current value of any key written so far
    # the current value of the key written k keys before the last one; rank 0 is lag 0
    CURRENT_RANK_1 = "current_rank_1"
    CURRENT_RANK_2 = "current_rank_2"
    CURRENT_RANK_3 = "current_rank_3"
    CURRENT_RANK_4 = "current_rank_4"
    CURRENT_RANK_5 = "current_rank_5"
    CURRENT_RANK_6 = "current_rank_6"
    LEAST_RECENT_CURRENT = "least_recent_current"  # the current value whose key has gone longest without a write
    LEAST_RECENT_WITHIN_LAG = "least_recent_within_lag"  # the same among those of at most the best lag
    BEST_RANK = "best_rank"  # the fixed rank that is right most often
    RANK_GIVEN_POSITION = "rank_given_position"  # the best rank for each answer position
    RANK_GIVEN_WRITES = "rank_given_writes"  # the best rank for each number of writes so far
    LEAST_ASKED_CURRENT = "least_asked_current"  # the current value answered least often so far
    # the current value most likely to be asked for, by rank, times asked, writes of its key and keys so far
    BLIND_CHOICE = "blind_choice"
    LAST_ANSWER_OF_KEY = "last_answer_of_key"  # the answer of the key's last read; undefined before the first
    PREVIOUS_OF_KEY = "previous_of_key"  # the key's last overwritten value
    RANDOM_OF_KEY = "random_of_key"  # any value written to the key
    MOST_FREQUENT_OF_KEY = "most_frequent_of_key"  # of the key's values, the one that stands most often so far

    @property
    def label(self) -> str:
        """The heuristic in words, for tables and figures."""
        kind, _, number = self.rpartition("_")
        if number.isdigit():
            return _NUMBERED[kind].format(number=number, ordinal=_ORDINALS[int(number)])
        return _LABELS[self]

    @property
    def limited(self) -> bool:
        """Whether hardened streams are drawn against it; rules of recency rank are measured, not held down."""
        return self not in _OF_RANK and not self.startswith("current_rank_")


_ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_NUMBERED = {
    "lag": "value written {number} before the last",
    "nth": "{ordinal} value of the key",
    "current_rank": "current value of the key {number} before the last",
}
# rules that name a current value by recency or by what was asked, without the read's key: reads within bounded lags
# prefer the keys that have gone longest without a write, so that such a rule can be right on more than half of them
_OF_RANK = frozenset(
    {
        Heuristic.LEAST_RECENT_CURRENT,
        Heuristic.LEAST_RECENT_WITHIN_LAG,
        Heuristic.BEST_RANK,
        Heuristic.RANK_GIVEN_POSITION,
        Heuristic.RANK_GIVEN_WRITES,
        Heuristic.LEAST_ASKED_CURRENT,
        Heuristic.BLIND_CHOICE,
    }
)
_LABELS = {
    Heuristic.BEST_LAG: "best fixed lag",
    Heuristic.LAG_GIVEN_POSITION: "best lag for the position",
    Heuristic.BEST_NTH: "best fixed value of the key",
    Heuristic.NTH_GIVEN_POSITION: "best value of the key for the position",
    Heuristic.NTH_GIVEN_WRITES: "best value of the key for the write count",
    Heuristic.FIRST_VALUE: "first value of the stream",
    Heuristic.MOST_RECENT: "most recent value token",
    Heuristic.PREVIOUS_ANSWER: "answer of the read before",
    Heuristic.MOST_FREQUENT: "most frequent value so far",
    Heuristic.RANDOM_VALUE: "random value so far",
    Heuristic.RANDOM_CURRENT: "random current value",
    Heuristic.LEAST_RECENT_CURRENT: "current value longest unwritten",
    Heuristic.LEAST_RECENT_WITHIN_LAG: "oldest current value within the best lag",
    Heuristic.BEST_RANK: "best fixed recency rank",
    Heuristic.RANK_GIVEN_POSITION: "best recency rank for the position",
    Heuristic.RANK_GIVEN_WRITES: "best recency rank for the write count",
    Heuristic.LEAST_ASKED_CURRENT: "current value asked least",
    Heuristic.BLIND_CHOICE: "best current value without the question",
    Heuristic.LAST_ANSWER_OF_KEY: "last answer given for the key",
    Heuristic.PREVIOUS_OF_KEY: "last stale value of the key",
    Heuristic.RANDOM_OF_KEY: "random value of the key",
    Heuristic.MOST_FREQUENT_OF_KEY: "most frequent value of the key",
}


def predictions(split: Split, heuristic: Heuristic) -> Int[np.ndarray, "read"]:
    """Value index each read is answered with; -1 where the heuristic is undefined or names more than one value."""
    return Shortcuts(split).predictions(heuristic)


def agreement(split: Split, heuristic: Heuristic, said: Int[np.ndarray, "read"]) -> Float[np.ndarray, "read"]:
    """Probability that the heuristic answers each read with the value index `said`; 0 where it is undefined."""
    return Shortcuts(split).agreement(heuristic, said)


def scores(split: Split, heuristic: Heuristic) -> Float[np.ndarray, "read"]:
    """Probability that the heuristic answers each read rightly."""
    return agreement(split, heuristic, split.reads.value)


class Shortcuts:
    """All heuristics on one split, sharing one view of it.

    The best-of ones are fitted on the reads `fitted_on` (default: all): streams of even number by those of odd number
    and the other way round, so that no read is scored by a table that saw it.
    """

    def __init__(self, split: Split, fitted_on: Bool[np.ndarray, "read"] | None = None) -> None:
        self.view: View = view(split)
        reads = len(self.view.truth)
        self.fitted_on = np.ones(reads, bool) if fitted_on is None else fitted_on

    def predictions(self, heuristic: Heuristic) -> Int[np.ndarray, "read"]:
        """Value index each read is answered with; -1 where undefined or not certain."""
        likely = self.distribution(heuristic)
        said = self.view.value[np.arange(len(likely)), np.argmax(likely, axis=1)]
        return np.where(self._weight(likely, said) > 1 - 1e-9, said, -1)

    def agreement(self, heuristic: Heuristic, said: Int[np.ndarray, "read"]) -> Float[np.ndarray, "read"]:
        """Probability that the heuristic answers each read with `said`."""
        return self._weight(self.distribution(heuristic), said)

    def scores(self, heuristic: Heuristic) -> Float[np.ndarray, "read"]:
        """Probability that the heuristic answers each read rightly."""
        return self.agreement(heuristic, self.view.truth)

    def distribution(self, heuristic: Heuristic) -> Distribution:
        """Probability of each write of the stream to be the heuristic's answer; rows sum to 1, or to 0: undefined."""
        kind, _, number = heuristic.rpartition("_")
        if number.isdigit():
            chosen = NUMBERED[kind](self.view, int(number))
        else:
            chosen = RULES[heuristic](self.view, self.fitted_on)
        return np.asarray(chosen / np.maximum(chosen.sum(axis=1, keepdims=True), 1))

    def _weight(self, likely: Distribution, said: Int[np.ndarray, "read"]) -> Float[np.ndarray, "read"]:
        return np.asarray(np.where(self.view.value == said[:, None], likely, 0.0).sum(axis=1))
