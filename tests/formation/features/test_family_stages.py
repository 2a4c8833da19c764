"""The stages from snapshots to candidates, on a planted formation, on random weights, and on shuffled checkpoints."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from formation import artifacts
from formation.artifacts import Run
from formation.candidates.claims import feature_evidence
from formation.candidates.registering import candidate_circuit_registry
from formation.candidates.tracing import feature_family_trace
from formation.errors import ArtifactError
from formation.features import files
from formation.features.families.family_lineage import feature_family_lineage
from formation.features.families.grouping import feature_family_cluster
from formation.features.families.ranking import feature_family_rank
from formation.features.families.subpatching import feature_family_subpatch
from formation.features.families.subset_births import feature_family_birth, subset_birth
from formation.features.families.subset_sweep import subset_trajectory
from formation.features.families.subsets import load_subsets
from formation.features.moments import schedule
from formation.features.snapshot_store import snapshot_path
from tests.formation.features.family_files import HEADS, prepared, stage_file
from tests.formation.features.swept_planted import BIRTH, STAGE, copied
from tests.formation.projects import own_artifacts

CHAIN = (
    feature_family_cluster,
    feature_family_rank,
    subset_trajectory,
    subset_birth,
    feature_family_birth,
    feature_family_subpatch,
    feature_family_lineage,
    candidate_circuit_registry,
    feature_family_trace,
    feature_evidence,
)
VALUES = set(range(32))  # features that point along a value


@pytest.fixture(autouse=True)
def _own_artifacts() -> Iterator[None]:
    with own_artifacts():
        yield


@pytest.fixture(scope="module")
def formed(rising: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The planted formation behind all stages. Read it, never write to it."""
    with own_artifacts():
        return chained(copied(rising, tmp_path_factory.mktemp("formed")))


@pytest.fixture(scope="module")
def unformed(random_weights: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Random weights behind all stages. Read them, never write to them."""
    with own_artifacts():
        return chained(copied(random_weights, tmp_path_factory.mktemp("unformed")))


def chained(run: Run) -> Run:
    """The run once all stages have passed over it."""
    prepared(run)
    for stage in CHAIN:
        stage(run, [STAGE])
    return run


def read(run: Run, name: str) -> Any:
    return json.loads(stage_file(run, name).read_text())


def test_the_features_of_the_values_are_the_family(formed: Run) -> None:
    families = read(formed, files.FAMILIES)["families"]
    (stable,) = [one for one in families if one["stable"]]
    assert set(stable["features"]) <= VALUES
    assert len(stable["features"]) >= 24
    drawn = read(formed, "plots/family_map.json")
    assert len(drawn["x"]) == len(drawn["feature"]) == len(drawn["family"]) == len(drawn["useful_birth"])
    assert {birth for birth, family in zip(drawn["useful_birth"], drawn["stable"], strict=True) if family} == {BIRTH}


def test_members_are_ranked_on_one_half_and_told_on_the_other(formed: Run) -> None:
    ranks = read(formed, files.FAMILY_RANKS)
    members = next(one for one in ranks["families"] if one["stable"])["members"]
    chosen = [one["selected"] for one in members]
    assert chosen == sorted(chosen, reverse=True)
    assert all(one["usefulness"]["low"] <= one["usefulness"]["value"] <= one["usefulness"]["high"] for one in members)
    assert [one["usefulness"]["value"] for one in members] != chosen


def test_the_family_is_born_in_the_rise_of_the_plan(formed: Run) -> None:
    (family,) = [one for one in read(formed, files.FAMILY_BIRTHS)["families"] if one["stable"]]
    assert family["useful_birth"]["outcome"] == "born"
    assert 50 <= family["useful_birth"]["step"] <= 80  # the rise: one of three checkpoints, ten steps apart, from 50 on
    names = [one["name"] for one in read(formed, files.SUBSET_BIRTHS)["subsets"]]
    assert names == [*(f"{family['name']}.top{size}" for size in range(1, 5)), family["name"]]


def test_the_whole_family_carries_the_change_and_its_lineage_names_the_planted_heads(formed: Run) -> None:
    patches = read(formed, files.FAMILY_SUBPATCHES)["patches"]
    shares = {one["subset"]: one["share"]["value"] for one in patches if one["split"] == "test_iid"}
    whole = shares.pop(min(shares, key=len))
    assert whole > 0.5
    assert max(shares.values()) < whole
    lineage = read(formed, files.FAMILY_LINEAGE)["subsets"]
    assert set(lineage[-1]["components"][:2]) == set(HEADS)


def test_the_registry_is_ranked_and_its_pairs_are_told(formed: Run) -> None:
    registry = read(formed, files.REGISTRY)
    candidates = registry["candidates"]
    assert registry["strongest"] == candidates[0]["id"]
    gains = [one["selected_delta"]["value"] for one in candidates]
    assert gains == sorted(gains, reverse=True)
    assert candidates[0]["status"] in ("useful", "generalises")
    assert all(set(one["unstable"]) == {f for f in one["features"] if f % 8 == 0} for one in candidates)
    assert registry["pairs"]["families"] == []
    assert "one family alone" in registry["pairs"]["reason"]
    assert len(registry["pairs"]["members"]) == 6


def test_the_trace_has_everything_on_one_axis(formed: Run) -> None:
    trace = read(formed, files.FAMILY_TRACE)
    assert read(formed, "plots/joint_trace.json")["schema"] == "feature-plot-joint-trace/1"
    assert trace["steps"] == schedule(formed)
    assert all(len(curve["value"]) == len(trace["steps"]) for curve in trace["curves"].values())
    assert {birth["of"] for birth in trace["births"]} == {"behaviour", "candidate", "family", "component"}
    assert {one["component"] for one in trace["components"]} >= set(HEADS)


def test_evidence_is_of_the_candidate_and_has_bounds(formed: Run) -> None:
    evidence = json.loads(formed.path(files.EVIDENCE).read_text())
    gained = evidence["candidate_useful_delta"]
    assert gained["low"] <= gained["value"] <= gained["high"]
    assert evidence["useful_births_near_retrieval"]["value"] == 1
    assert evidence["stable_families_share"]["value"] > 0.8
    assert evidence["alternatives_apart"]["value"] is None
    assert "feature-alternatives" in evidence["alternatives_apart"]["reason"]
    assert evidence["stages"][STAGE]["candidate_useful_delta"] == gained


def test_evidence_of_another_stage_alone_leaves_the_runs_own(
    formed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied(formed, tmp_path)
    before = run.path(files.EVIDENCE).read_bytes()
    monkeypatch.setattr(
        "formation.candidates.claims.chosen_stages", lambda _, asked: [STAGE] if asked else ["layer_0_post_mlp"]
    )
    assert feature_evidence(run, [STAGE]) == [stage_file(run, "feature_claims_evidence.json")]
    assert run.path(files.EVIDENCE).read_bytes() == before


def test_random_weights_have_no_stable_family_and_every_stage_says_so(unformed: Run) -> None:
    assert not any(one["stable"] for one in read(unformed, files.FAMILIES)["families"])
    registry = read(unformed, files.REGISTRY)
    assert (registry["candidates"], registry["strongest"]) == ([], None)
    assert "no family of features is stable" in registry["reason"]
    trace = read(unformed, files.FAMILY_TRACE)
    assert (trace["candidate"], trace["components"], trace["curves"]) == (None, [], {})
    assert trace["reason"] == registry["reason"]
    assert {birth["of"] for birth in trace["births"]} == {"behaviour"}
    evidence = json.loads(unformed.path(files.EVIDENCE).read_text())
    assert evidence["candidate_useful_delta"]["value"] is None
    assert evidence["candidate_useful_delta"]["reason"] == registry["reason"]


def test_in_shuffled_checkpoints_no_subset_is_born(formed: Run, tmp_path: Path) -> None:
    run = copied(formed, tmp_path)
    shuffle(run, files.SUBSET_SNAPSHOTS)
    (path,) = subset_birth(run, [STAGE])
    rows = json.loads(path.read_text())["subsets"]
    assert {row[kind]["outcome"] for row in rows for kind in ("birth", "useful_birth")} == {"not_born"}


def shuffle(run: Run, folder: str) -> None:
    """The snapshots of early and late checkpoints in turn."""
    steps = schedule(run)
    paths = [snapshot_path(run, STAGE, step, folder) for step in steps]
    found = [artifacts.read_arrays(path, files.SNAPSHOT_SCHEMA) for path in paths]
    order = sorted(range(len(steps)), key=lambda place: place % ((len(steps) + 1) // 2))
    for path, step, place in zip(paths, steps, order, strict=True):
        arrays, about = found[place]
        artifacts.write_arrays(path, arrays, {**about, "row": {**about["row"], "step": step}})


def test_the_same_inputs_give_the_same_bytes_and_nothing_is_measured_twice(
    formed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied(formed, tmp_path)
    before = {path: path.read_bytes() for path in stage_file(run, "").rglob("*") if path.is_file()}
    monkeypatch.setattr("formation.features.families.subset_sweep._measure", None)
    for stage in CHAIN:
        stage(run, [STAGE])
    assert {path: path.read_bytes() for path in before} == before


def test_where_nothing_moves_the_families_are_none_and_say_why(formed: Run, tmp_path: Path) -> None:
    run = copied(formed, tmp_path)
    last = artifacts.read_arrays(snapshot_path(run, STAGE, schedule(run)[-1]), files.SNAPSHOT_SCHEMA)[0]
    for step in schedule(run):
        path = snapshot_path(run, STAGE, step)
        artifacts.write_arrays(path, last, artifacts.read_arrays(path, files.SNAPSHOT_SCHEMA)[1])
    for stage in CHAIN:
        stage(run, [STAGE])
    families = read(run, files.FAMILIES)
    assert families["families"] == []
    assert "features whose trajectories move, there are 0 of 36" in families["reason"]
    assert read(run, files.REGISTRY)["candidates"] == []


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stage", "remedy"),
    [
        (files.BIRTHS, feature_family_cluster, "feature-birth-analyze"),
        (files.FAMILIES, feature_family_rank, "feature-family-cluster"),
        (files.FAMILY_RANKS, subset_trajectory, "feature-family-rank"),
        (files.SUBSETS, subset_birth, "subset-trajectory"),
        (files.SUBSETS, feature_family_birth, "subset-trajectory"),
        (files.SUBSETS, feature_family_lineage, "subset-trajectory"),
        (files.FAMILY_LINEAGE, candidate_circuit_registry, "feature-family-lineage"),
        (files.FAMILY_SUBPATCHES, candidate_circuit_registry, "feature-family-subpatch"),
        (files.FEATURES, candidate_circuit_registry, "shared-feature-fit"),
        (files.REGISTRY, feature_family_trace, "candidate-circuit-registry"),
        (files.SUBSET_BIRTHS, feature_family_trace, "subset-birth"),
        (files.QUALITY, feature_evidence, "shared-feature-fit"),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_makes_it(
    formed: Run, tmp_path: Path, name: str, stage: Any, remedy: str
) -> None:
    run = copied(formed, tmp_path)
    stage_file(run, name).unlink()
    with pytest.raises(
        ArtifactError, match=rf"{name}: not found; run: formation {remedy} --run smoke-s1 --stage {STAGE}"
    ):
        stage(run, [STAGE])


def test_families_of_another_basis_are_refused(formed: Run, tmp_path: Path) -> None:
    run = copied(formed, tmp_path)
    path = stage_file(run, files.FAMILIES)
    artifacts.write_json(path, json.loads(path.read_text()) | {"basis": "0" * 64})
    with pytest.raises(ArtifactError, match=r"basis is 00000000.*, expected .*run: formation feature-family-cluster"):
        feature_family_rank(run, [STAGE])


def test_ranks_and_subsets_of_other_families_are_refused(formed: Run, tmp_path: Path) -> None:
    run = copied(formed, tmp_path)
    path = stage_file(run, files.FAMILIES)
    families = json.loads(path.read_text())
    for one in families["families"]:
        one["stable"] = not one["stable"]
    artifacts.write_json(path, families)
    with pytest.raises(ArtifactError, match=r"is of other families than .*run: formation feature-family-rank"):
        load_subsets(run, STAGE)
    feature_family_rank(run, [STAGE])
    with pytest.raises(ArtifactError, match="not those of the families there are; run: formation subset-trajectory"):
        subset_birth(run, [STAGE])
