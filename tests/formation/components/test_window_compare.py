"""What carries a window: identities of patches, planted lesions found and healed, dates known by hand, the stage."""

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from formation import artifacts
from formation.artifacts import Run, create_run
from formation.benchmark.stage import generate_for_run
from formation.benchmark.streams import SplitName, TwinKind
from formation.components import window_compare
from formation.components.exchange import (
    PatchKind,
    Side,
    count_patches,
    exchange,
    reaches_answer,
    side,
    stage_names,
)
from formation.components.files import COMPARED, COMPARED_SCHEMA
from formation.components.fractions import Fraction, Gain, fraction, gains
from formation.components.material import materials
from formation.components.roles import NOWHERE, Role
from formation.components.window_compare import compare_windows
from formation.components.window_dense import crossings, measure_point, steepest
from formation.errors import ArtifactError
from formation.model import Transformer
from formation.record.probe_set import generate_probe_set, load_probe_set
from formation.record.reports import FILE as ANALYSIS
from formation.record.reports import SCHEMA as ANALYSIS_SCHEMA
from formation.record.sources import source_of
from formation.statistics import resamples
from formation.training import checkpoints, execution
from formation.training.loop import train
from tests.formation import projects
from tests.formation.components.small import CONTEXT, RECORD, material, random_model
from tests.formation.projects import copied, project
from tests.planted.circuit import plant
from tests.planted.plan import Damage, Plan

IID = SplitName.TEST_IID
WEIGHTS = resamples(60, 200, 0)


def of(model: Transformer) -> Side:
    return side(model, material()[IID], RECORD.batch)


@cache
def pair() -> tuple[Side, Side]:
    return of(random_model(0)), of(random_model(1))


@cache
def patched(same: bool = False) -> dict[str, Any]:
    receiver, donor = pair()
    return {patch.component: patch for patch in exchange(receiver, receiver if same else donor, RECORD.batch)}


def share(found: dict[str, Gain], metric: str = "log_prob") -> Fraction:
    return fraction(found[metric], WEIGHTS, 0.95)


# --- identities ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_patched_into_itself_changes_nothing_and_has_no_fraction() -> None:
    found = patched(same=True)
    assert len(found) == count_patches(pair()[0].model)
    for patch in found.values():
        assert torch.equal(patch.patched, patch.unpatched)
        assert all(share(gains(patch, material()[IID]), metric).value is None for metric in ("margin", "log_prob"))


def test_all_stages_with_the_donors_readout_are_the_donor() -> None:
    receiver, donor = pair()
    readout, last = patched()["readout"], patched()["layer_1_post_mlp"]
    torch.testing.assert_close(readout.patched, donor.clean.logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(last.patched, readout.unpatched, rtol=1e-5, atol=1e-5)
    parts = [gains(patch, material()[IID])["margin"].gained for patch in (last, readout)]
    whole = gains(last, material()[IID])["margin"].change
    np.testing.assert_allclose(sum(parts), whole, atol=1e-3)
    assert not torch.allclose(receiver.clean.logits, donor.clean.logits)


def test_every_stream_is_patched_once_at_each_role_it_has() -> None:
    data = material()[IID]
    first = data.twins[TwinKind.KEY].first
    for role in Role:
        rows = patched()[f"embed/{role}"].rows
        assert sorted(rows.tolist()) == first[data.roles[role][first] != NOWHERE].tolist()
        assert len(set(data.stream[rows].tolist())) == len(rows)


def test_what_cannot_reach_the_answer_is_left_out() -> None:
    named = {f"{name}/{role}" for name, layer, part in stage_names(2) for role in Role} & set(patched())
    assert f"layer_1_post_attn/{Role.QUERY_KEY}" in named
    assert f"layer_1_post_attn/{Role.MATCHING_VALUE}" not in named
    assert reaches_answer(2, 0, "mlp", Role.STALE_VALUE)
    assert not reaches_answer(2, 1, "mlp", Role.READ_MARK)


# --- known answers ---------------------------------------------------------------------------------------------------


@cache
def planted(lesion: tuple[int, int] | None = None) -> Side:
    plan = Plan() if lesion is None else Plan().with_lesion(Damage.NO_OV, lesion)
    return of(plant(plan, material()[IID].split.vocabulary, CONTEXT))


def carried(receiver: Side, donor: Side, metric: str = "log_prob") -> dict[str, float | None]:
    return {
        p.component: share(gains(p, material()[IID]), metric).value for p in exchange(receiver, donor, RECORD.batch)
    }


def test_the_head_that_was_cut_carries_all_of_the_change_both_ways() -> None:
    cut, whole = planted((1, 2)), planted()
    for found in (carried(cut, whole), carried(whole, cut)):
        heads = {name: value for name, value in found.items() if ".head_" in name}
        assert heads.pop("layer_1.head_2") == pytest.approx(1, abs=1e-3)
        assert all(abs(value or 0) < 1e-3 for value in heads.values())
        assert found["readout"] == pytest.approx(0, abs=1e-3)
        assert found["layer_0_post_mlp"] == pytest.approx(0, abs=1e-3)
        assert found["layer_1_post_attn/query_key"] == pytest.approx(1, abs=1e-3)


def test_a_scaffold_carries_where_it_is_read() -> None:
    found = carried(planted((0, 1)), planted())
    assert found["layer_0.head_1"] == pytest.approx(1, abs=1e-3)
    assert abs(found["layer_1.head_2"] or 0) > 0.9  # its output is right only in the donor
    at_roles = {role: found[f"layer_0_post_attn/{role}"] or 0 for role in Role}
    assert max(at_roles, key=lambda role: at_roles[role]) is Role.MATCHING_VALUE
    assert at_roles[Role.MATCHING_VALUE] > 0.1
    assert abs(at_roles[Role.DISTRACTOR_KEY]) < 0.05


def test_between_random_models_nothing_moves_towards_right_answers() -> None:
    for patch in patched().values():
        assert share(gains(patch, material()[IID]), "accuracy").value is None
        found = gains(patch, material()[IID])["accuracy"]
        assert found.gained.sum() / found.counts.sum() < 0.1


sums = st.lists(st.floats(0.5, 3), min_size=60, max_size=60).map(np.array)


@given(change=sums, part=st.floats(-2, 2), sign=st.sampled_from([-1, 1]))
def test_a_share_of_every_stream_is_the_fraction_without_doubt(change: np.ndarray, part: float, sign: int) -> None:
    found = fraction(Gain(part * sign * change, sign * change, np.full(60, 4.0)), WEIGHTS, 0.95)
    assert found.n == 240
    np.testing.assert_allclose([found.value, found.low, found.high], part, atol=1e-9)


def test_noise_has_no_fraction() -> None:
    change = np.random.default_rng(0).normal(size=60)
    assert fraction(Gain(change, change - change.mean(), np.ones(60)), WEIGHTS, 0.95).value is None


# --- dates inside a window -------------------------------------------------------------------------------------------

STEPS = np.arange(0, 101, 10.0)


@given(st.floats(-5, 5), st.floats(0.1, 9))
def test_half_way_is_interpolated_whatever_the_unit(base: float, scale: float) -> None:
    line, step = STEPS / 100, np.where(STEPS >= 60, 1.0, 0.0)
    found = crossings(STEPS, base + scale * np.stack([line, step]), 3)
    np.testing.assert_allclose(found, [50, 55], atol=1e-6)


def test_a_blip_is_no_crossing_and_a_fall_has_no_date() -> None:
    blip = np.where((STEPS == 20) | (STEPS >= 70), 1.0, 0.0)
    late = np.where(STEPS >= 100, 1.0, 0.0)  # the run reaches the end
    np.testing.assert_allclose(crossings(STEPS, np.stack([blip, late, -STEPS, 0 * STEPS]), 3), [65, 95, np.inf, np.inf])


def test_a_long_window_is_replayed_where_it_rises_most() -> None:
    assert steepest([0, 250, 500, 750, 1000], [0.1, 0.1, 0.2, 0.9, 0.9], 400) == 500
    assert steepest([0, 250, 500], [0.5, 0.4, 0.3], 400) == 0


# --- the stage -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose run smoke-s1 was trained for a moment, with a made-up analysis. Read it, never write to it."""
    root = project(tmp_path_factory.mktemp("trained"))
    with projects.own_artifacts():
        sizes = ("training.steps=24", "training.checkpoint_every=8", "training.warmup=4", "record.replay_every=3")
        run = create_run("smoke-s1", root, sizes)
        generate_for_run(run)
        train(run)
        generate_probe_set(run)
        analyse(run, [(8, 24)])
    return root


def analyse(run: Run, windows: list[tuple[int, int]]) -> None:
    """An analysis with the windows asked for, as far as it is read."""
    named = [{"name": f"{a}", "first_step": a, "last_step": b} for a, b in windows]
    source = source_of(run, load_probe_set(run)).model_dump()
    origin = {"run": run.name, "preset": run.preset, "seed": run.seed, "source": source, "checkpoints": {}}
    artifacts.write_json(run.path(ANALYSIS), {"schema": ANALYSIS_SCHEMA, **origin, "windows": named})


@pytest.fixture
def run(trained: Path, tmp_path: Path, own_artifacts: None) -> Run:
    return copied(trained, tmp_path / "project")


def read(run: Run) -> dict[str, Any]:
    return artifacts.read_json(run.path(COMPARED), COMPARED_SCHEMA)


def test_the_stage_patches_and_replays_a_window_and_repeats_its_bytes(run: Run) -> None:
    path = compare_windows(run)
    first = path.read_bytes()
    data = read(run)
    assert [(w["first_step"], w["last_step"]) for w in data["windows"]] == [(8, 24)]
    window = data["windows"][0]
    assert {row["kind"] for row in window["patches"]} == {kind.value for kind in PatchKind}
    assert {row["metric"] for row in window["patches"]} == set(window_compare.CARRIED)
    assert len(window["changes"]) == 6
    dense = window["dense"]
    assert dense["compared"] == [16, 24]
    assert dense["steps"] == [8, 11, 14, 17, 20, 23, 24]
    every = materials(load_probe_set(run), run.params.record)
    for step in (8, 24):  # a replayed point is what the stored checkpoint says
        behaviour = measure_point(checkpoints.load_model(run, step), every, [], run.params.record.batch)
        told = {(s["metric"], s["split"]): s["value"][dense["steps"].index(step)] for s in dense["series"]}
        assert {(m.metric, m.split.value) for m in behaviour} <= set(told)
        assert all(told[m.metric, m.split.value] == round(m.value or 0, 4) for m in behaviour)
    compare_windows(run)
    assert path.read_bytes() == first


@pytest.mark.parametrize("windows", [[], [(0, 8), (16, 24)]])
def test_every_window_is_listed_and_none_is_an_empty_list(
    run: Run, windows: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_compare, "PATCHED_ON", (IID,))
    monkeypatch.setattr(window_compare, "why_not_here", lambda *_: "not asked for")
    analyse(run, windows)
    compare_windows(run)
    assert [(w["first_step"], w["last_step"]) for w in read(run)["windows"]] == windows


def test_another_machine_leaves_the_replay_out_and_says_why(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    analyse(run, [(8, 16)])
    monkeypatch.setattr(execution, "processor_name", lambda: "another processor")
    compare_windows(run)
    window = read(run)["windows"][0]
    assert window["dense"] is None
    assert "another processor" in window["dense_reason"]
    assert window["patches"]


def test_a_checkpoint_that_is_not_the_trainings_is_told(run: Run) -> None:
    analyse(run, [(8, 16)])
    arrays, about = artifacts.read_arrays(checkpoints.path(run, 16), checkpoints.SCHEMA)
    arrays["model.norm.bias"] = arrays["model.norm.bias"] + 1
    artifacts.write_arrays(checkpoints.path(run, 16), arrays, about)
    compare_windows(run)
    window = read(run)["windows"][0]
    assert window["dense"] is None
    assert "model.norm.bias is not what the replay came to" in window["dense_reason"]
    assert str(run.root) not in window["dense_reason"]


def test_an_analysis_of_other_parameters_is_refused(run: Run) -> None:
    data = json.loads(run.path(ANALYSIS).read_text())
    data["source"]["probe_set"] = "0" * 64
    artifacts.write_json(run.path(ANALYSIS), data)
    with pytest.raises(ArtifactError, match=r"probe_set is 000000000000, .* birth-window-analyze --run smoke-s1"):
        compare_windows(run)


def test_a_long_window_is_cut_at_a_checkpoint(run: Run) -> None:
    analyse(run, [(0, 24)])
    record = run.params.record.model_copy(update={"replay_steps": 8})
    compare_windows(dataclasses.replace(run, params=run.params.model_copy(update={"record": record})))
    dense = read(run)["windows"][0]["dense"]
    assert dense["whole"] is False
    assert "rises most" in dense["chosen"]
    assert dense["first_step"] in (0, 8, 16)
    assert dense["last_step"] - dense["first_step"] == 8
