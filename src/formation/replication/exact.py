"""The exact permutation test of two small groups, of which some members never had a date.

With three runs against three there are twenty ways to deal the labels, so that no result, however clear, has a
two-sided p-value below 0.1. The test says how small it could have become beside what it found.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import rankdata

from formation.errors import MeasureError

MOST = 200_000  # ways to deal the labels that are counted one by one: ten runs against ten have 184,756


@dataclass(frozen=True)
class Exact:
    """What the ranks of two groups say: effect, p-value, and what p could have been."""

    p: float  # share of all ways to deal the labels whose mean ranks lie at least as far apart: two-sided
    smallest: float  # the p-value of the most extreme way, given the ties
    ways: int
    later: float  # share of pairs in which the first group's member comes later; ties count half (Mann–Whitney)


def exact_test(first: Sequence[float], second: Sequence[float]) -> Exact:
    """Rank-sum permutation test over every way to deal the labels (Wilcoxon 1945; mid-ranks for ties).

    An infinite value never happened within the budget: it ranks last, equal to other infinite ones, so that no number
    has to be invented for it. Raises `MeasureError` for an empty group, NaN, or more than `MOST` ways.
    """
    n, values = len(first), np.asarray([*first, *second], float)
    if not n or n == len(values) or np.isnan(values).any():
        raise MeasureError(
            f"groups of {n} and {len(values) - n} values: expected numbers in both, infinite where undated"
        )
    ways = math.comb(len(values), n)
    if ways > MOST:
        raise MeasureError(
            f"groups of {n} and {len(values) - n} runs: {ways:,} ways, more than the {MOST:,} counted here"
        )
    twice = np.rint(2 * rankdata(values)).astype(np.int64)  # mid-ranks are halves: whole numbers compare exactly
    dealt = np.fromiter((index for way in combinations(range(len(values)), n) for index in way), np.int64, ways * n)
    sums = twice[dealt.reshape(ways, n)].sum(1)
    apart = np.abs(sums - n * (len(values) + 1))  # twice the expected rank sum is n · (N + 1)
    own = twice[:n].sum()
    later = (own / 2 - n * (n + 1) / 2) / (n * (len(values) - n))
    return Exact(float((apart >= apart[0]).mean()), float((apart == apart.max()).mean()), ways, float(later))
