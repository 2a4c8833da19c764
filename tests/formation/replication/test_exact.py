"""The exact test: tables of the rank-sum test, its identities, and what it says where nothing differs."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from formation.errors import MeasureError
from formation.replication.exact import exact_test

VALUES = st.lists(st.sampled_from([100.0, 200.0, 300.0, 400.0, np.inf]), min_size=1, max_size=4)
DIFFERENT = st.lists(st.integers(0, 1000), min_size=6, max_size=9, unique=True)


def test_three_against_three_can_never_say_less_than_a_tenth() -> None:
    found = exact_test([1, 2, 3], [4, 5, 6])
    assert (found.p, found.smallest, found.ways, found.later) == (0.1, 0.1, 20, 0.0)


@given(DIFFERENT)
def test_without_ties_it_is_scipys(values: list[int]) -> None:
    first, second = values[:3], values[3:]
    theirs = mannwhitneyu(first, second, method="exact")
    found = exact_test(first, second)
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.later == pytest.approx(theirs.statistic / (len(first) * len(second)))


@given(VALUES, VALUES)
def test_groups_change_places(first: list[float], second: list[float]) -> None:
    one, other = exact_test(first, second), exact_test(second, first)
    assert (one.p, one.smallest) == (other.p, other.smallest)
    assert one.later == pytest.approx(1 - other.later)


@given(VALUES, VALUES)
def test_only_the_order_counts(first: list[float], second: list[float]) -> None:
    def stretched(values: list[float]) -> list[float]:
        return [value**3 + 7 for value in values]

    assert exact_test(stretched(first), stretched(second)) == exact_test(first, second)


@given(VALUES, VALUES)
def test_p_lies_between_the_smallest_and_one(first: list[float], second: list[float]) -> None:
    found = exact_test(first, second)
    assert 1 / found.ways <= found.smallest <= found.p <= 1


def test_it_keeps_its_level_where_nothing_differs() -> None:
    """Over all ways to deal six values, p ≤ α in at most a share α of them."""
    values = [3.0, 1.0, 4.0, 1.0, 5.0, math.inf]
    ways = [set(way) for way in combinations(range(6), 3)]
    p = [exact_test([values[i] for i in way], [values[i] for i in range(6) if i not in way]).p for way in ways]
    assert all(np.mean(np.asarray(p) <= alpha) <= alpha for alpha in (0.05, 0.1, 0.2, 0.5, 1.0))


def test_undated_runs_are_latest_and_equal() -> None:
    never = exact_test([math.inf] * 3, [1000, 1100, 2000])
    assert (never.p, never.later) == (0.1, 1.0)
    assert exact_test([math.inf] * 2, [math.inf] * 3).p == 1.0


@pytest.mark.parametrize("groups", [([], [1.0]), ([1.0], []), ([math.nan], [1.0]), ([1.0] * 15, [2.0] * 15)])
def test_what_has_no_answer_is_refused(groups: tuple[list[float], list[float]]) -> None:
    with pytest.raises(MeasureError, match="groups of"):
        exact_test(*groups)
