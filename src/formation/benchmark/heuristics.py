"""Every shortcut of `docs/measures.md` §1 as a predictor over the reads of a split.

A heuristic is a distribution over the writes that stand before a read in its stream: certain for "the second-last
written value", even for "any value of the key". From that follow its prediction, how often it is right, and how often
it would say what a model says. The oracle's rule (the key's latest value) is not among them.
"""

from enum import StrEnum

import numpy as np
from jaxtyping import Bool, Float, Int

from formation.benchmark.shortcuts import RULES, Distribution, fixed_lag, nth_value
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
    PREVIOUS_OF_KEY = "previous_of_key"  # the key's last overwritten value
    RANDOM_OF_KEY = "random_of_key"  # any value written to the key
    MOST_FREQUENT_OF_KEY = "most_frequent_of_key"  # of the key's values, the one that stands most often so far

    @property
    def label(self) -> str:
        """The heuristic in words, for tables and figures."""
        kind, _, number = self.rpartition("_")
        if number.isdigit():
            return (
                f"value written {number} before the last"
                if kind == "lag"
                else f"{_ORDINALS[int(number)]} value of the key"
            )
        return _LABELS[self]


_ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
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
            chosen = (fixed_lag if kind == "lag" else nth_value)(self.view, int(number))
        else:
            chosen = RULES[heuristic](self.view, self.fitted_on)
        return np.asarray(chosen / np.maximum(chosen.sum(axis=1, keepdims=True), 1))

    def _weight(self, likely: Distribution, said: Int[np.ndarray, "read"]) -> Float[np.ndarray, "read"]:
        return np.asarray(np.where(self.view.value == said[:, None], likely, 0.0).sum(axis=1))
