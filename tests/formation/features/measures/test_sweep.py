"""The sweep of features: every checkpoint once, in the same bytes whatever stopped it, never in another basis."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.stage import load_for_run
from formation.benchmark.streams import SplitName
from formation.errors import ArtifactError, MeasureError
from formation.features import files, store
from formation.features.bases.activations import Activations, activations, draw_places
from formation.features.bases.fit import fit_basis
from formation.features.bases.settings import FitSettings
from formation.features.basis import Basis
from formation.features.choices import Positions
from formation.features.measures import sweep
from formation.features.measures.dating import feature_birth_analyze
from formation.features.measures.placebos import draw_placebos
from formation.features.measures.sweep import feature_trajectory_sweep
from formation.features.metrics import Firing, Half, Worth
from formation.features.snapshot_store import load_snapshots, snapshot_path
from formation.record.probe_set import load_probe_set
from formation.record.windows import analyze_birth_windows
from tests.formation.projects import STEPS, copied, kill_after

pytestmark = pytest.mark.usefixtures("own_artifacts")

STAGE, LATENTS = "layer_1_post_mlp", 6
FOLDER = files.place(STAGE, files.SNAPSHOTS)


def fitted(run: Run) -> tuple[Basis, list[Activations]]:
    """A small basis of the run's last stage, and what it was fit on."""
    places = draw_places(load_for_run(run).splits[SplitName.TRAIN], Positions.ANSWERS, 20, seed=0)
    samples = list(activations(run, STAGE, [0, 12, 28], places))
    return fit_basis(samples, FitSettings(latents=LATENTS, k=2, steps=30, batch=64), seed=0).basis, samples


def put(run: Run, basis: Basis, samples: list[Activations]) -> str:
    """Write the basis as the run's own; its digest."""
    benchmark = load_probe_set(run).benchmark
    placebos = draw_placebos(basis, samples, 20, 3, seed=0)
    store.write_basis(run, basis, placebos, store.fit_source(run, STAGE, benchmark))
    return store.load_basis(run, STAGE, benchmark).digest


@pytest.fixture(scope="module")
def swept_features(swept_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The swept project with its features swept. Read it, never write to it."""
    root = tmp_path_factory.mktemp("features") / "project"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FORMATION_ARTIFACTS", raising=False)
        patch.delenv("LIVINGPAPER_PROJECT", raising=False)
        run = copied(swept_project, root)
        put(run, *fitted(run))
        feature_trajectory_sweep(run, [STAGE])
    return root


@pytest.fixture
def run(swept_features: Path, tmp_path: Path) -> Run:
    """A copy of it, to be damaged at will."""
    return copied(swept_features, tmp_path / "project")


def recorded(run: Run) -> dict[str, bytes]:
    """Every file of the stage but the basis."""
    folder = run.path(files.place(STAGE, "."))
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != files.BASIS
    }


def test_every_checkpoint_and_feature_has_a_row_that_says_what_its_snapshot_does(run: Run) -> None:
    rows = [json.loads(line) for line in run.path(files.place(STAGE, files.TRAJECTORIES)).read_text().splitlines()]
    assert [(row["step"], row["feature"]) for row in rows] == [(step, f) for step in STEPS for f in range(LATENTS)]
    digest = artifacts.file_digest(store.basis_path(run, STAGE))
    last = load_snapshots(run, STAGE, [28], digest)[0]
    iid = list(last.splits).index(SplitName.TEST_IID)
    for feature, row in enumerate(rows[-LATENTS:]):
        one = last.splits[SplitName.TEST_IID]
        assert row["mean"][iid] == pytest.approx(one.values(Firing.ACTIVATION)[feature], abs=1e-6)
        assert row["usefulness"][iid] == pytest.approx(one.values(Worth.USEFULNESS)[feature], abs=1e-6)
        assert row["report"][0] == pytest.approx(one.values(Worth.USEFULNESS, Half.REPORT)[feature], abs=1e-6)
        assert row["role_mean"][1] == pytest.approx(row["mean"][iid], abs=1e-5)  # the query key is the answer position


def test_the_summary_counts_what_the_rows_hold(run: Run) -> None:
    summary = run.json(files.place(STAGE, files.SUMMARY), files.SUMMARY_SCHEMA)
    assert [one["step"] for one in summary["checkpoints"]] == STEPS
    assert all(one["l0"] <= 2 and 0 <= one["accuracy"]["test_iid"] <= 1 for one in summary["checkpoints"])
    metrics = [json.loads(line) for line in run.path("analysis/checkpoint_metrics.jsonl").read_text().splitlines()]
    assert len(metrics) == len(STEPS)
    profiles = run.json(files.place(STAGE, files.PROFILES), files.PROFILES_SCHEMA)
    for one in profiles["features"]:
        assert sum(share or 0 for share in one["share"]) == pytest.approx(0 if one["share"][0] is None else 1, abs=1e-5)


def test_the_atlas_is_in_order_of_onset(run: Run) -> None:
    atlas = run.json(files.place(STAGE, "plots/trajectory_atlas.json"), "feature-plot-trajectory-atlas/1")
    onset = [step for step in atlas["onset"] if step is not None]
    assert onset == sorted(onset)
    assert sorted(atlas["features"]) == list(range(LATENTS))
    assert atlas["left_out"] == 0


# --- resuming --------------------------------------------------------------------------------------------------------


def test_only_what_is_missing_or_damaged_is_measured_again_in_the_same_bytes(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = recorded(run)
    snapshot_path(run, STAGE, 4).unlink()
    damaged = snapshot_path(run, STAGE, 12)
    damaged.write_bytes(damaged.read_bytes()[:-7])
    again, measure = [], sweep._measure
    monkeypatch.setattr(sweep, "_measure", lambda *given: again.append(given[-1]) or measure(*given))
    feature_trajectory_sweep(run, [STAGE])
    assert again == [4, 12]
    assert recorded(run) == before
    assert "from step 12 on are measured again: " in capsys.readouterr().out


def test_a_killed_sweep_goes_on_to_the_same_bytes(run: Run) -> None:
    before = recorded(run)
    for step in STEPS[2:]:
        snapshot_path(run, STAGE, step).unlink()
    kill_after(run, feature_trajectory_sweep, FOLDER, 4)
    assert len(list(run.path(FOLDER).glob("step_*"))) < len(STEPS)
    feature_trajectory_sweep(run, [STAGE])
    assert recorded(run) == before


# --- other bases -----------------------------------------------------------------------------------------------------


def test_another_basis_is_measured_anew_and_said_so(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    old = artifacts.file_digest(store.basis_path(run, STAGE))
    basis, samples = fitted(run)
    new = put(run, replace(basis, k=1), samples)
    with pytest.raises(ArtifactError, match=rf"basis is {old[:12]}, expected {new[:12]}; run: formation feature-tra"):
        load_snapshots(run, STAGE, [8], new)
    feature_trajectory_sweep(run, [STAGE])
    said = capsys.readouterr().out
    assert f"8 checkpoint(s) from step 0 on are measured again: basis was {old[:12]}, now {new[:12]}" in said
    assert len(load_snapshots(run, STAGE, STEPS, new)) == len(STEPS)


@pytest.mark.parametrize("change", [{"scale": 100.0}, {"scale": 0.001}])
def test_a_basis_with_another_normalisation_is_refused(run: Run, change: dict[str, float]) -> None:
    basis, samples = fitted(run)
    put(run, replace(basis, **change), samples)
    with pytest.raises(MeasureError, match=r"root mean square of .*, expected near 1 .* run: formation shared-feature"):
        feature_trajectory_sweep(run, [STAGE])


def test_a_basis_of_another_stage_or_width_is_refused(run: Run) -> None:
    basis, samples = fitted(run)
    path = store.basis_path(run, STAGE)
    put(run, basis, samples)
    arrays, about = artifacts.read_arrays(path, files.BASIS_SCHEMA)
    artifacts.write_arrays(path, arrays, about | {"stage": "embed"})
    with pytest.raises(MeasureError, match="the basis was fit on embed"):
        feature_trajectory_sweep(run, [STAGE])
    artifacts.write_arrays(path, arrays | {"mean": arrays["mean"][:-1]}, about)
    with pytest.raises(MeasureError, match=r"the basis was fit on layer_1_post_mlp with \d+: fit one"):
        feature_trajectory_sweep(run, [STAGE])


def test_without_a_basis_the_command_that_fits_one_is_named(run: Run) -> None:
    store.basis_path(run, STAGE).unlink()
    with pytest.raises(ArtifactError, match="not found; run: formation shared-feature-fit --run smoke-s1"):
        feature_trajectory_sweep(run, [STAGE])


# --- what is dated on it ---------------------------------------------------------------------------------------------


def test_births_are_written_alike_each_time_and_only_from_whole_snapshots(run: Run) -> None:
    with pytest.raises(ArtifactError, match=r"birth_window_analysis.json: not found; run: formation birth-window-ana"):
        feature_birth_analyze(run, [STAGE])
    analyze_birth_windows(run)
    (path,) = feature_birth_analyze(run, [STAGE])
    before = recorded(run)
    assert {files.BIRTHS, files.BIRTH_SUMMARY, "plots/birth_timeline.json"} <= set(before)
    feature_birth_analyze(run, [STAGE])
    assert recorded(run) == before
    births = run.json(files.place(STAGE, files.BIRTHS), files.BIRTHS_SCHEMA)
    assert [one["feature"] for one in births["features"]] == list(range(LATENTS))
    assert births["steps"] == STEPS[1:]  # warm-up left out
    assert path.name == files.BIRTHS
    damaged = snapshot_path(run, STAGE, 12)
    damaged.write_bytes(damaged.read_bytes()[:-7])
    with pytest.raises(ArtifactError, match=r"step_000012\.safetensors: .*run: formation feature-trajectory-sweep"):
        feature_birth_analyze(run, [STAGE])
