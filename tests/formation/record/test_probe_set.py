"""The probe set: a stratified part of every evaluation split with its own twins, refused where it does not belong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formation import artifacts
from formation.artifacts import Run, open_run
from formation.benchmark.streams import TwinKind
from formation.errors import ArtifactError, MeasureError
from formation.record import probe_set
from tests.formation.record.conftest import Bench


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.data())
def test_strata_are_drawn_from_in_turn(labels: list[int], data: st.DataObject) -> None:
    strata = np.array(labels)
    count = data.draw(st.integers(0, len(labels)))
    drawn = probe_set.stratified(strata, count, np.random.default_rng(0))
    assert len(set(drawn.tolist())) == len(drawn) == count
    assert (np.diff(drawn) > 0).all()
    taken = {stratum: int((strata[drawn] == stratum).sum()) for stratum in set(labels)}
    for stratum, number in taken.items():
        exhausted = number == labels.count(stratum)
        assert exhausted or number >= max(taken.values()) - 1


def test_rare_kinds_of_reads_are_there(bench: Bench) -> None:
    """The draw holds every stratum of every split, where a plain draw of as many streams misses some."""
    missed = 0
    rng = np.random.default_rng(1)
    for name, part in bench.probe.splits.items():
        split, target = bench.dataset.splits[name], bench.dataset.twins[name, TwinKind.KEY].target
        strata = probe_set.target_strata(split, target)
        assert set(strata[part.streams]) == set(strata)
        missed += len(set(strata)) - len(set(strata[rng.permutation(len(strata))[: len(part.streams)]]))
    assert missed > 0


def test_probe_streams_and_twins_are_those_of_the_split(bench: Bench) -> None:
    for name in probe_set.EVALUATION:
        part, split = bench.probe.splits[name], bench.dataset.splits[name]
        width = part.split.tokens.shape[1]
        np.testing.assert_array_equal(part.split.tokens, split.tokens[part.streams][:, :width])
        rows = np.flatnonzero(np.isin(split.reads.stream, part.streams))
        for field in ("position", "key", "value", "support", "lag", "stale"):
            np.testing.assert_array_equal(getattr(part.split.reads, field), getattr(split.reads, field)[rows])
        for kind in TwinKind:
            whole, twin = bench.dataset.twins[name, kind], part.twins[kind]
            np.testing.assert_array_equal(twin.tokens, whole.tokens[part.streams])
            np.testing.assert_array_equal(twin.value, whole.value[rows])
            np.testing.assert_array_equal(twin.affected, whole.affected[rows])
            np.testing.assert_array_equal(rows[twin.target], whole.target[part.streams])


def test_the_same_parameters_give_the_same_file_and_another_seed_another(fresh: Run) -> None:
    run = fresh
    path = probe_set.generate_probe_set(run)
    before, pointer = path.read_bytes(), run.path(probe_set.POINTER).read_bytes()
    assert probe_set.generate_probe_set(run) == path
    assert (path.read_bytes(), run.path(probe_set.POINTER).read_bytes()) == (before, pointer)
    other = open_run("smoke-s1", run.root, ["record.probe_seed=8"])
    assert probe_set.generate_probe_set(other) != path
    assert path.read_bytes() == before


def test_a_probe_set_of_another_benchmark_is_refused_naming_both(fresh: Run) -> None:
    run = fresh
    probe_set.generate_probe_set(run)
    pointer = run.json(probe_set.POINTER, probe_set.SCHEMA)
    own = pointer["benchmark"]
    artifacts.write_json(run.path(probe_set.POINTER), {**pointer, "benchmark": "f" * 64})
    message = rf"probe_set\.json: benchmark is ffffffffffff, but the run has {own[:12]}; run: formation generate-probe"
    with pytest.raises(ArtifactError, match=message):
        probe_set.load_probe_set(run)


def test_a_probe_set_of_other_parameters_is_refused(fresh: Run) -> None:
    run = fresh
    probe_set.generate_probe_set(run)
    other = open_run("smoke-s1", run.root, ["record.probe_seed=8"])
    with pytest.raises(ArtifactError, match=r"probe_seed is 7, but the run has 8; run: formation generate-probe-set"):
        probe_set.load_probe_set(other)


def test_a_missing_damaged_or_exchanged_file_is_refused_with_the_command(fresh: Run) -> None:
    run = fresh
    with pytest.raises(ArtifactError, match=r"probe_set\.json: not found; run: formation generate-probe-set"):
        probe_set.load_probe_set(run)
    path = probe_set.generate_probe_set(run)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(ArtifactError, match=rf"{path.name}.*run: formation generate-probe-set"):
        probe_set.load_probe_set(run)
    other = probe_set.generate_probe_set(open_run("smoke-s1", run.root, ["record.probe_seed=8"]))
    probe_set.generate_probe_set(run)
    path.write_bytes(other.read_bytes())
    with pytest.raises(ArtifactError, match=r"digest is .*, but analysis/probe_set\.json says"):
        probe_set.load_probe_set(run)


def test_more_probe_streams_than_streams_are_refused_before_anything_is_written(fresh: Run) -> None:
    run = open_run("smoke-s1", fresh.root, ["record.probe_streams=25"])
    with pytest.raises(MeasureError, match=r"record\.probe_streams = 25: expected at most .*evaluation_streams = 24"):
        probe_set.generate_probe_set(run)
    assert not run.analysis.exists()
