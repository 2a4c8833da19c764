"""Families: planted ones are found and stable, what stands still is named, and noise has none that is stable."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formation.errors import MeasureError
from formation.features.families.clustering import adjusted_rand
from formation.features.families.families import Families, LeftOut, find_families, ranked, summed

DRAWS = 40


def planted(groups: int, each: int, seed: int, noise: float = 0.4, checkpoints: int = 51) -> np.ndarray:
    """Trajectories of `groups` families whose members share their increments up to noise."""
    draw = np.random.default_rng(seed)
    shared = np.repeat(draw.normal(size=(checkpoints - 1, groups)), each, axis=1)
    own = draw.normal(size=shared.shape)
    return np.cumsum(np.r_[np.zeros((1, groups * each)), shared + noise * own], axis=0)


def grouping(found: Families, features: int) -> np.ndarray:
    labels = np.zeros(features, dtype=np.int64)
    for number, family in enumerate(found.families):
        labels[list(family.features)] = number
    return labels


@pytest.mark.parametrize(("groups", "each"), [(2, 3), (3, 4), (5, 3)])
def test_planted_families_are_recovered_and_stable(groups: int, each: int) -> None:
    for seed in range(2):
        found = find_families(planted(groups, each, seed), DRAWS, seed)
        assert adjusted_rand(grouping(found, groups * each), np.repeat(np.arange(groups), each)) == 1
        assert found.stable == found.families
        assert all(family.cohesion is not None and family.cohesion > 0.7 for family in found.families)


def test_families_born_at_their_own_time_are_told_apart() -> None:
    """Rises of every member's own size and slope, at steps of the family's own: as features form in training."""
    steps, births = np.arange(50)[:, None], np.repeat([10, 22, 35], 4)
    draw = np.random.default_rng(3)
    size, slope = draw.uniform(0.5, 3, 12), draw.uniform(0.7, 1.1, 12)
    rises = size / (1 + np.exp(-slope * (steps - births))) + 0.01 * draw.normal(size=(50, 12))
    found = find_families(rises, DRAWS, 0)
    assert [family.features for family in found.stable] == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11)]


def test_noise_has_no_stable_family() -> None:
    """Negative control: some cut always has the largest silhouette, but none of its families counts."""
    for seed in range(6):
        walks = np.random.default_rng(seed).normal(size=(40, 12)).cumsum(axis=0)
        assert find_families(walks, DRAWS, seed).stable == ()


def test_planted_families_with_their_checkpoints_shuffled_feature_by_feature_are_gone() -> None:
    draw = np.random.default_rng(0)
    shuffled = np.cumsum(draw.permuted(np.diff(planted(3, 4, 0), axis=0), axis=0), axis=0)
    assert find_families(shuffled, DRAWS, 0).stable == ()


def test_one_feature_alone_is_no_stable_family() -> None:
    found = find_families(np.c_[planted(2, 4, 0), planted(1, 1, 1)], DRAWS, 0)
    assert [family.features for family in found.stable] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    alone = found.families[-1]
    assert (alone.features, alone.cohesion, alone.p, alone.stable) == ((8,), None, None, False)


def test_what_stands_still_is_named_and_left_out() -> None:
    moving = planted(2, 3, 0)
    dead, even = np.zeros((51, 1)), 0.1 * np.arange(51)[:, None]
    found = find_families(np.c_[dead, moving, even], DRAWS, 0)
    assert found.left_out == {0: LeftOut.CONSTANT, 7: LeftOut.EVEN}
    assert [family.features for family in found.families] == [(1, 2, 3), (4, 5, 6)]


@settings(max_examples=10)
@given(st.integers(0, 999), st.floats(0.01, 100), st.floats(-5, 5))
def test_neither_scale_nor_offset_of_a_trajectory_matters(seed: int, scale: float, offset: float) -> None:
    trajectories = planted(3, 3, seed, checkpoints=20)
    factors = np.r_[scale, np.ones(8)]
    one, other = (find_families(t, 3, seed) for t in (trajectories, trajectories * factors + offset))
    assert [family.features for family in one.families] == [family.features for family in other.families]


def test_the_same_seed_gives_the_same_families() -> None:
    assert find_families(planted(2, 3, 0), 10, 5) == find_families(planted(2, 3, 0), 10, 5)


def test_a_familys_score_is_the_sum_of_its_members() -> None:
    trajectories = planted(2, 3, 0)
    found = find_families(trajectories, 3, 0)
    scores = summed(trajectories, found.families)
    np.testing.assert_allclose(scores[:, 0], trajectories[:, list(found.families[0].features)].sum(1))
    np.testing.assert_allclose(scores.sum(1), trajectories.sum(1))


def test_members_are_ranked_by_usefulness_at_the_end() -> None:
    usefulness = np.zeros((10, 4))
    usefulness[-3:, 1], usefulness[-3:, 3], usefulness[:5, 0] = 2.0, 1.0, 9.0
    assert ranked([0, 1, 2, 3], usefulness) == [1, 3, 0, 2]
    assert ranked([3, 0], usefulness) == [3, 0]


def test_what_cannot_be_grouped_is_refused() -> None:
    broken = planted(2, 3, 0)
    broken[4, 2] = np.nan
    with pytest.raises(MeasureError, match="feature 2: not finite at checkpoint 4 of 51"):
        find_families(broken, DRAWS, 0)
    with pytest.raises(MeasureError, match="at least 4 checkpoints, there are 3"):
        find_families(planted(2, 3, 0)[:3], DRAWS, 0)
    with pytest.raises(MeasureError, match="at least 3 features whose trajectories move, there are 2 of 5"):
        find_families(np.c_[planted(2, 1, 0), np.zeros((51, 3))], DRAWS, 0)


def test_features_that_never_speak_are_left_out_by_name() -> None:
    found = find_families(np.c_[planted(2, 4, 0), planted(1, 1, 1)], 10, 0, silent=[8])
    assert found.left_out == {8: LeftOut.SILENT}
    assert sorted(found.places) == list(range(8))


def test_families_under_jitter_are_found_by_what_lasts() -> None:
    """Rises in common, drowned from checkpoint to checkpoint in jitter of each feature's own."""
    draw, steps = np.random.default_rng(0), np.arange(48)[:, None]
    rises = 1 / (1 + np.exp(-0.8 * (steps - np.repeat([15, 30], 6)))) + 0.15 * draw.normal(size=(48, 12))
    wide, narrow = (find_families(rises, DRAWS, 0, width=width) for width in (7, 1))
    assert [family.features for family in wide.stable] == [tuple(range(6)), tuple(range(6, 12))]
    assert narrow.stable == ()


@pytest.mark.parametrize("width", [3, 7])
def test_noise_has_no_stable_family_however_smooth(width: int) -> None:
    """Negative control: of six runs one may seem to have one."""
    walks = np.random.default_rng(1).normal(size=(6, 48, 24)).cumsum(axis=1)
    assert sum(bool(find_families(walk, 30, seed, width=width).stable) for seed, walk in enumerate(walks)) <= 1
