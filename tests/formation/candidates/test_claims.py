"""Distances between births in evidence: bounds hold whatever the dates share, and are open where a date's are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formation.candidates.claims import after, apart

RETRIEVAL = {"value": 1000, "low": 960, "high": 1040}


def test_by_hand() -> None:
    assert after({"step": 1080, "low": 1040, "high": 1080}, RETRIEVAL, 40) == (2, 0, 3)
    assert apart({"step": 1080, "low": 1040, "high": 1080}, RETRIEVAL, 40) == (2, 0, 3)
    assert apart({"step": 880, "low": 840, "high": 920}, RETRIEVAL, 40) == (3, 1, 5)


def test_a_bound_that_does_not_exist_is_none_of_the_distance() -> None:
    assert after({"step": 1080, "low": 1040, "high": None}, RETRIEVAL, 40) == (2, 0, np.inf)
    assert apart({"step": 1080, "low": 1040, "high": None}, RETRIEVAL, 40)[2] == np.inf


dates = st.tuples(*[st.integers(0, 50)] * 3).map(sorted)


@given(dates, dates)
def test_bounds_hold_every_distance_of_dates_inside_their_intervals(one: list[int], other: list[int]) -> None:
    birth = {"step": one[1], "low": one[0], "high": one[2]}
    reference = {"value": other[1], "low": other[0], "high": other[2]}
    value, low, high = after(birth, reference, 1)
    inside = [a - b for a in one for b in other]
    assert (low, high) == (min(inside), max(inside))
    assert apart(birth, reference, 1) == (
        abs(value),
        min(map(abs, range(min(inside), max(inside) + 1))),
        max(map(abs, inside)),
    )


def test_the_same_birth_is_at_no_distance() -> None:
    assert apart({"step": 1000, "low": 1000, "high": 1000}, {"value": 1000, "low": 1000, "high": 1000}, 40) == (0, 0, 0)


@pytest.mark.parametrize("field", ["low", "high"])
def test_of_retrieval_too(field: str) -> None:
    birth = {"step": 1000, "low": 1000, "high": 1000}
    assert np.isinf(apart(birth, {**RETRIEVAL, field: None}, 40)[2])
