"""Cuts, silhouettes and indices of agreement, against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from formation.features.families.clustering import (
    adjusted_rand,
    best_jaccard,
    branches,
    cluster,
    cohesion,
    correlations,
    distances,
    layout,
    members,
    silhouettes,
)

few = settings(max_examples=25)


def rows(seed: int, items: int = 12, times: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(items, times))


def labels(seed: int, items: int = 12, groups: int = 4) -> np.ndarray:
    """A random grouping in which no group is empty."""
    draw = np.random.default_rng([seed, 1])
    return np.asarray(draw.permutation(np.r_[np.arange(groups), draw.integers(groups, size=items - groups)]))


@few
@given(st.integers(0, 999))
def test_correlations_are_numpys(seed: int) -> None:
    np.testing.assert_allclose(correlations(rows(seed)), np.corrcoef(rows(seed)), atol=1e-12)


def test_an_item_that_does_not_vary_correlates_with_nothing() -> None:
    still = np.r_[rows(0), np.full((1, 20), 3.0)]
    assert (correlations(still)[-1] == 0).all()


@few
@given(st.integers(0, 999), st.integers(2, 11))
def test_silhouettes_are_scikit_learns(seed: int, groups: int) -> None:
    apart, grouped = distances(correlations(rows(seed))), labels(seed, groups=groups)
    np.testing.assert_allclose(
        silhouettes(apart, grouped), silhouette_samples(apart, grouped, metric="precomputed"), atol=1e-12
    )


@few
@given(st.integers(0, 999))
def test_the_adjusted_rand_index_is_scikit_learns(seed: int) -> None:
    one, other = labels(seed), labels(seed + 1000, groups=3)
    assert adjusted_rand(one, other) == pytest.approx(adjusted_rand_score(one, other), abs=1e-12)
    assert adjusted_rand(one, one) == 1


def test_jaccard_indices_by_hand() -> None:
    one, other = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 2])
    np.testing.assert_allclose(best_jaccard(members(one), members(other)), [2 / 3, 2 / 3, 1])


def test_cohesion_is_the_mean_of_all_pairs_by_hand() -> None:
    r = correlations(rows(0, items=4))
    found = cohesion(r, members(np.array([0, 1, 0, 0])))
    np.testing.assert_allclose(found, [(r[0, 2] + r[0, 3] + r[2, 3]) / 3, -1])


@few
@given(st.integers(0, 999), st.integers(3, 11))
def test_the_cut_has_the_largest_silhouette_of_those_looked_at(seed: int, most: int) -> None:
    apart = distances(correlations(rows(seed)))
    found, best = cluster(apart, most)
    assert 2 <= found.max() + 1 <= most
    assert best == pytest.approx(silhouettes(apart, found).mean())
    assert all(cluster(apart, fewer)[1] <= best + 1e-9 for fewer in range(2, most))
    sizes = np.bincount(found)
    assert (np.diff(sizes) <= 0).all()


@few
@given(st.integers(0, 999))
def test_groups_do_not_depend_on_the_order_of_items(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(12)
    apart = distances(correlations(rows(seed)))
    assert adjusted_rand(cluster(apart, 6)[0][order], cluster(apart[np.ix_(order, order)], 6)[0]) == 1


@few
@given(st.integers(0, 999))
def test_every_group_of_every_cut_is_a_branch(seed: int) -> None:
    r = correlations(rows(seed))
    found = {tuple(branch) for branch in branches(r)}
    assert len(found) == 11
    for most in range(2, 12):
        groups = members(cluster(distances(r), most)[0])
        assert {tuple(group) for group in groups if group.sum() > 1} <= found


@few
@given(st.integers(0, 999))
def test_a_map_of_three_items_has_their_distances(seed: int) -> None:
    r = correlations(rows(seed, items=3))
    places = layout(r)
    apart = np.linalg.norm(places[:, None] - places, axis=-1)
    np.testing.assert_allclose(apart, np.sqrt(2 * (1 - r).clip(min=0)), atol=1e-7)
    assert (places[np.abs(places).argmax(0), [0, 1]] >= 0).all()
