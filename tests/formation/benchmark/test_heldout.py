"""The held-out matrix: counts, limits, and partners for the twins."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from formation.benchmark.feasibility import heldout_total
from formation.benchmark.heldout import heldout_pairs, partners

from . import planted


@settings(max_examples=50)
@given(st.integers(2, 12), st.integers(8, 60), st.floats(0.05, 0.6), st.integers(0, 1000))
def test_counts_and_limits(keys: int, values: int, fraction: float, seed: int) -> None:
    params = planted.params(keys=keys, values=values, heldout_fraction=fraction)
    matrix = heldout_pairs(params, np.random.default_rng(seed))
    rows = matrix.sum(axis=1)
    assert matrix.sum() == heldout_total(params)
    assert rows.max() - rows.min() <= 1
    if heldout_total(params) <= (keys - 1) * values:
        assert not matrix.all(axis=0).any()


def test_partners_share_two_values() -> None:
    matrix = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0]], bool)
    assert partners(matrix).tolist() == [[False, True, False], [True, False, True], [False, True, False]]


def test_all_keys_become_partners_in_the_presets_sizes() -> None:
    for keys, values, fraction in ((6, 32, 0.2), (8, 128, 0.1)):
        params = planted.params(keys=keys, values=values, heldout_fraction=fraction)
        for seed in range(5):
            found = partners(heldout_pairs(params, np.random.default_rng(seed)))
            assert found.sum() == keys * (keys - 1)


def test_a_plain_random_matrix_would_not_do() -> None:
    """Control: without moving pairs, most keys share fewer than two held-out values."""
    rng = np.random.default_rng(0)
    plain = np.zeros((8, 128), bool)
    for row in plain:
        row[rng.permutation(128)[:13]] = True
    assert partners(plain).sum() < 0.7 * 8 * 7
