"""Which features are meaningful: known ones; no noise, and nothing that costs no more than a random direction."""

from dataclasses import replace

import numpy as np
import pytest

from formation.benchmark.streams import SplitName
from formation.errors import MeasureError
from formation.features.meaning import meaningful, meaningful_features, placebo_level, reported_usefulness
from formation.features.metrics import Half, Worth
from formation.features.snapshots import Snapshot, Track
from formation.presets import load
from formation.statistics import resamples
from tests.formation.features.causes.test_compare import AFTER, snapshot
from tests.formation.projects import ROOT

PARAMS = load("smoke", ROOT)
WEIGHTS = resamples(80, 300, 1)
IID = SplitName.TEST_IID


def with_placebos(level: float) -> Snapshot:
    """The snapshot of other tests; its features' placebos all cost `level` nats on the half that selects."""
    one = snapshot(40, AFTER, 1)
    split = one.splits[IID]
    track = split.tracks[Worth.USEFULNESS]
    reads = split.reads[split.halves[Half.SELECTION]].sum()
    sums = np.stack([np.full((len(track.sums), 20), level * reads), np.zeros((len(track.sums), 20))])
    split = replace(split, tracks={**split.tracks, Worth.USEFULNESS: Track(track.sums, sums)})
    return replace(one, splits={**one.splits, IID: split})


def test_features_that_cost_the_answer_are_meaningful_and_noise_is_not() -> None:
    draw = np.random.default_rng(0)
    usefulness = draw.normal(size=(80, 4)) + np.array([0.0, 3.0, 1.0, -1.0])
    assert meaningful(usefulness, np.ones(80), WEIGHTS, 0.05) == [1, 2]
    assert meaningful(usefulness, np.ones(80), WEIGHTS, 0.05, np.array([0, 1.5, 1.5, 0])) == [1]


def test_among_hundreds_of_useless_features_hardly_ever_one_is_meaningful() -> None:
    draw = np.random.default_rng(1)
    found = [len(meaningful(draw.normal(size=(80, 200)), np.ones(80), WEIGHTS, 0.05)) for _ in range(20)]
    assert sum(found) <= 1


def test_the_most_useful_come_first() -> None:
    assert meaningful_features(with_placebos(0.0), PARAMS)[0] == 3


def test_what_random_directions_cost_as_well_is_not_meaningful() -> None:
    assert meaningful_features(with_placebos(0.5), PARAMS) == [3]
    assert meaningful_features(with_placebos(2.0), PARAMS) == []
    split = with_placebos(0.5).splits[IID]
    assert placebo_level(split, Half.SELECTION, 0.99) == pytest.approx(np.full(len(AFTER["active"]), 0.5))


def test_usefulness_is_told_of_the_other_half() -> None:
    one = snapshot(40, AFTER, 1)
    (found,) = reported_usefulness(one, [3], PARAMS)
    assert found.value == pytest.approx(one.splits[IID].values(Worth.USEFULNESS, Half.REPORT)[3])
    assert found.low < found.value < found.high
    assert found.n == one.splits[IID].reads[one.splits[IID].halves[Half.REPORT]].sum()
    assert reported_usefulness(one, [], PARAMS) == []


def test_a_snapshot_without_placebos_is_refused() -> None:
    with pytest.raises(MeasureError, match="no placebos"):
        meaningful_features(snapshot(40, AFTER, 1), PARAMS)
