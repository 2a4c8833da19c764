"""Births of features: planted ones within a checkpoint, none in noise or a shuffled order; settling, drift, losses."""

import subprocess
import sys
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from formation.benchmark.streams import SplitName
from formation.components.roles import Role
from formation.features.measures.birth_summary import summary_json, timeline_json
from formation.features.measures.dating import _adjusted, _feature_json, date_features, settles
from formation.features.metrics import FeatureMetric, Firing, Halves, Worth
from formation.features.snapshots import RoleProfile, Snapshot, SplitSnapshot, Track, split_in_half
from formation.features.swept import HELDOUT, IID, OOD, Swept
from formation.record.births import Outcome
from formation.record.probe_set import ProbeSet, ProbeSplit
from tests.formation.record import planted

STREAMS, READS, CHECKPOINTS, EVERY = 48, 8, 30, 40
BORN = {0: 8, 1: 12, 2: 20, 3: 12}  # checkpoint at which each feature comes up
NULLS = 24
RULE = planted.RULE.model_copy(update={"permutations": 200})


def shape(at: int | None) -> np.ndarray:
    """A rise over two checkpoints, or nothing."""
    return np.zeros(CHECKPOINTS) if at is None else np.interp(np.arange(CHECKPOINTS), [at - 1, at + 1], [0.0, 1.0])


@cache
def curves() -> np.ndarray:
    """[feature, checkpoint]: planted births, the last falls again; one that is never active; the rest does not move."""
    rows = [shape(at) for at in BORN.values()]
    rows[3] = rows[3] - 0.8 * shape(22)
    flat = np.full(CHECKPOINTS, 0.5)
    return np.stack([*rows, flat * 0, *[flat] * NULLS])


def part(draw: np.random.Generator, level: np.ndarray, ease: np.ndarray, halves: Halves, dated: bool) -> SplitSnapshot:
    """A split at one checkpoint: every stream's activations scatter around its own share of the level."""
    scatter = 0.15 * draw.normal(size=(len(level), STREAMS))
    mean = np.clip(level[:, None] * (1 + ease) + scatter * (level[:, None] > 0), 0, None)
    placebos = READS * (STREAMS / 2) * 0.05 * draw.normal(size=(2, len(level), 60))
    tracks: dict[FeatureMetric, Track] = {
        metric: Track((READS * mean).astype(np.float32), placebos.astype(np.float32) if dated else None)
        for metric in (Firing.ACTIVE, Firing.ACTIVATION, Worth.USEFULNESS)
    }
    roles = np.zeros((len(Role), len(level)))
    roles[1] = level
    profile = RoleProfile(np.full(len(Role), READS), roles, roles)
    return SplitSnapshot(np.full(STREAMS, float(READS)), halves, tracks, profile, np.full(len(level), np.nan))


class Fixed(Swept):
    """A stage that never was a run's: its rule and streams are given."""

    rule = RULE  # type: ignore[assignment]
    streams = STREAMS  # type: ignore[assignment]

    def weights(self, split: SplitName) -> np.ndarray:
        return planted_weights()


@cache
def planted_weights() -> np.ndarray:
    return np.random.default_rng(3).multinomial(STREAMS, np.full(STREAMS, 1 / STREAMS), size=200).astype(float)


@cache
def stage(order: tuple[int, ...] | None = None) -> Fixed:
    """The planted features over the checkpoints, in their own order or another."""
    draw = np.random.default_rng(0)
    halves, ease = split_in_half(STREAMS, [0]), 0.2 * draw.normal(size=(len(curves()), STREAMS))
    splits = [
        {name: part(draw, curves()[:, at], ease, halves, name is IID) for name in (IID, HELDOUT, OOD)}
        for at in range(CHECKPOINTS)
    ]
    chosen: Sequence[int] = range(CHECKPOINTS) if order is None else order
    snapshots = [Snapshot(EVERY * place, splits[at]) for place, at in enumerate(chosen)]
    probe = ProbeSet("", "", {IID: ProbeSplit(np.arange(STREAMS), None, {})})  # type: ignore[arg-type]
    run = type("Run", (), {"name": "planted-s1"})()
    return Fixed(run, "embed", "", probe, snapshots)


@cache
def dated(order: tuple[int, ...] | None = None) -> list:
    return date_features(stage(order))


@pytest.mark.parametrize("name", ["birth", "useful_birth"])
def test_planted_births_are_dated_within_a_checkpoint(name: str) -> None:
    for feature, at in BORN.items():
        found = dated()[feature].births[name]
        assert found.outcome is Outcome.BORN
        assert abs(found.rise.step - EVERY * at) <= EVERY
        assert found.rise.low <= found.rise.step <= found.rise.high


def test_at_most_one_in_twenty_of_what_does_not_move_is_born() -> None:
    nulls = [one for one in dated()[len(BORN) + 1 :] for name in one.births if one.births[name].outcome is Outcome.BORN]
    assert len(nulls) <= 0.05 * 2 * NULLS


def test_nothing_is_born_in_a_shuffled_order() -> None:
    born = 0
    for seed in range(3):
        order = tuple(np.random.default_rng(seed).permutation(CHECKPOINTS).tolist())
        born += sum(birth.outcome is Outcome.BORN for one in dated(order) for birth in one.births.values())
    assert born <= 0.05 * 3 * 2 * len(curves())


def test_a_feature_that_is_never_active_is_dead_and_has_no_birth() -> None:
    one = dated()[len(BORN)]
    assert (one.births, one.settled, one.drift) == ({}, None, None)


def test_a_feature_settles_when_it_stays_near_its_end_and_a_fall_is_a_loss() -> None:
    assert dated()[0].settled is not None
    assert abs(dated()[0].settled - BORN[0]) <= 2
    fallen = dated()[3]
    assert abs(fallen.births["birth"].losses[0].step - 22 * EVERY) <= EVERY
    assert fallen.settled >= 22  # only then is it near its end
    assert dated()[0].births["birth"].losses == ()


def test_settling_by_hand() -> None:
    values = np.array([0, 0, 1, 2, 2.1, 1.9, 2, 2, 2])
    assert settles(values, 2, 0.5, RULE) == 3
    assert settles(values, 4, 0.5, RULE) == 4  # never before the birth
    assert settles(np.array([0.0, 0, 0, 0, 0, 0, 0, 1, 2]), 6, 0.1, RULE) is None


def test_a_feature_that_stays_as_it_is_does_not_drift() -> None:
    drift = dated()[0].drift
    assert drift is not None
    assert abs(drift.activation) < 0.2
    assert drift.role_profile == 0
    assert drift.split_profile < 0.05
    assert 0 <= drift.streams < 0.6


# --- as data ---------------------------------------------------------------------------------------------------------


def test_the_summary_counts_what_was_dated_and_the_time_line_is_in_order() -> None:
    found = dated()
    features = [_feature_json(stage(), one, _adjusted(found)) for one in found[: len(BORN) + 1]]
    behaviour = {"metric": "accuracy", "split": "test_iid", "outcome": "born", "step": 480, "low": 440, "high": 520}
    summary = summary_json(features, [behaviour], RULE.fdr)
    assert (summary["features"], summary["dead"], summary["birth"]["born"]) == (len(BORN) + 1, 1, len(BORN))
    assert summary["birth"]["order"][0] == 0
    assert summary["birth"]["order"][-1] == 2
    beside = summary["behaviours"][0]["birth"]
    assert (beside["before"], beside["within"], beside["behind"]) == (1, 2, 1)
    assert summary["lost"]["activation"] == 1
    line = timeline_json(features, [behaviour])
    steps = [row["birth"]["step"] for row in line["features"]]
    assert steps == sorted(steps)
    assert line["left_out"] == 1
    assert line["behaviours"][0]["step"] == 480


def test_features_are_dated_without_torch() -> None:
    code = "import sys, formation.features.measures.dating; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
