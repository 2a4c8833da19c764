"""The stage that fits a basis: what it writes, that it goes on and repeats nothing, and all it refuses in one line."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from formation import artifacts
from formation.artifacts import Run, create_run, open_run
from formation.benchmark.stage import generate_for_run, load_for_run
from formation.cli import main
from formation.errors import MeasureError
from formation.features import files
from formation.features.bases.choice import Aim, Tried, choose, missed
from formation.features.bases.fitting import CHOICE_PLOT, QUALITY_PLOT, WRITTEN, shared_feature_fit
from formation.features.bases.material import choose_checkpoints, fit_samples, judged
from formation.features.bases.seeds import FOLDER
from formation.features.choices import Kind, Positions
from formation.features.params import Section
from formation.features.store import chosen_stages, load_basis
from formation.record.probe_set import generate_probe_set, load_probe_set
from formation.training import checkpoints
from formation.training.execution import choose_execution
from formation.training.loop import train
from formation.training.state import training_streams
from tests.formation import projects
from tests.formation.projects import SHORT, STEPS, copied, project

STAGE = "layer_1_post_mlp"
TINY = ("model.d_model=16", "features.latents=[8, 12]", "features.steps=30", "features.streams=24")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a short run, its dataset and probe set. Read it, never write to it."""
    with projects.own_artifacts():
        root = project(tmp_path_factory.mktemp("trained"))
        run = create_run("smoke-s1", root, (*SHORT, *TINY))
        generate_for_run(run)
        train(run)
        generate_probe_set(run)
    return root


@pytest.fixture(scope="module")
def fitted(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A copy with its basis fit."""
    with projects.own_artifacts():
        run = copied(trained, tmp_path_factory.mktemp("fitted") / "project")
        assert shared_feature_fit(run) == [run.path(files.place(STAGE, files.BASIS))]
        yield run


@pytest.fixture
def own(trained: Path, tmp_path: Path, own_artifacts: None) -> Run:
    """A copy to be damaged at will."""
    return copied(trained, tmp_path / "project")


def report(run: Run) -> dict:
    return run.json(files.place(STAGE, files.QUALITY), files.QUALITY_SCHEMA)


def written(run: Run) -> dict[str, str]:
    return {name: artifacts.file_digest(run.path(files.place(STAGE, name))) for name in WRITTEN}


# --- what it writes --------------------------------------------------------------------------------------------------


def test_every_number_of_latents_is_tried_with_every_k_and_the_rule_chooses(fitted: Run) -> None:
    found, section = report(fitted)["choice"], fitted.params.of(Section)
    assert [(one["latents"], one["k"]) for one in found["tried"]] == [(8, 2), (8, 3), (12, 2), (12, 3)]
    assert found["aims"] == {
        "mean_active_fraction": section.most_active,
        "explained_variance_without_token_means": section.least_explained,
        "stability": section.least_stability,
        "dead_fraction": section.most_dead,
    }
    fewest = min(len(one["missed"]) for one in found["tried"])
    best = max((one for one in found["tried"] if len(one["missed"]) == fewest), key=lambda one: one["stability"])
    assert found["chosen"] == {key: best[key] for key in ("latents", "k", "missed")}
    assert found["rule"].startswith("Of the bases that meet all aims, the most stable one.")
    plot = fitted.json(files.place(STAGE, CHOICE_PLOT), "feature-plot-basis-choice/1")
    assert plot["tried"] == found["tried"]


def test_the_basis_is_of_the_run_and_its_features_are_told_one_by_one(fitted: Run) -> None:
    stored = load_basis(fitted, STAGE, load_probe_set(fitted).benchmark)
    told = fitted.json(files.place(STAGE, files.FEATURES), files.FEATURES_SCHEMA)
    assert told["basis"] == stored.digest == report(fitted)["basis"]
    assert [one["feature"] for one in told["features"]] == list(range(stored.basis.latents))
    for one in told["features"]:
        assert one["unstable"] == (one["stability"] < fitted.params.of(Section).stable_cosine)
        assert one["dead"] == (one["active_fraction_fit"] == one["active_fraction_heldout"] == 0)
    density = sum(one["active_fraction_heldout"] for one in told["features"])
    assert density == pytest.approx(report(fitted)["quality"]["basis"]["heldout"]["l0"], abs=1e-3)
    assert len(stored.placebos.directions) == fitted.params.of(Section).placebos


def test_quality_is_told_beside_components_and_neurons_on_both_kinds_of_checkpoints(fitted: Run) -> None:
    found = report(fitted)
    assert found["checkpoints"] == {"fit": [0, 8, 16, 20, 28], "heldout": [4, 12, 24]}
    assert list(found["quality"]) == ["basis", "pca_equal_rank", "pca_equal_l0", "neurons_equal_l0"]
    for code in found["quality"].values():
        for part in ("fit", "heldout"):
            assert code[part]["checkpoints"] == found["checkpoints"][part]
            assert code[part]["explained_variance_by_role"]["query_key"] is not None
    l0 = round(found["quality"]["basis"]["heldout"]["l0"])
    assert found["quality"]["pca_equal_l0"]["heldout"]["l0"] == pytest.approx(l0)
    assert found["quality"]["neurons_equal_l0"]["heldout"]["l0"] == pytest.approx(l0)
    assert found["quality"]["pca_equal_rank"]["heldout"]["l0"] == pytest.approx(found["fit"]["latents"])
    assert found["stability"]["fits"] == fitted.params.of(Section).stability_fits
    plot = fitted.json(files.place(STAGE, QUALITY_PLOT), "feature-plot-basis-quality/1")
    assert plot["steps"] == STEPS
    assert [step for step, held in zip(plot["steps"], plot["heldout"], strict=True) if held] == [4, 12, 24]


def test_all_components_preserve_the_margin_and_what_a_mean_does_is_the_floor(fitted: Run) -> None:
    plot = fitted.json(files.place(STAGE, QUALITY_PLOT), "feature-plot-basis-quality/1")
    ranks = plot["codes"]["pca_equal_rank"]
    for share, margin, clean, floor in zip(
        ranks["margin_preserved"], ranks["margin"], plot["margin_clean"], plot["margin_of_the_mean"], strict=True
    ):
        assert (share is None) == (clean - floor < 0.1)
        if share is not None:
            assert share == pytest.approx((margin - floor) / (clean - floor), rel=1e-2)


# --- once ------------------------------------------------------------------------------------------------------------


def test_a_finished_basis_is_not_fit_again(fitted: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = written(fitted)
    shared_feature_fit(fitted, ["last_post_mlp", STAGE])
    assert "layer_1_post_mlp: its basis was already fit from the same source" in capsys.readouterr().out
    assert written(fitted) == before


def test_a_killed_stage_goes_on_and_changes_no_byte(fitted: Run, own: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = fitted.path(files.place(STAGE, FOLDER))
    shutil.copytree(fits, own.path(files.place(STAGE, FOLDER)))
    gone = sorted(own.path(files.place(STAGE, FOLDER)).iterdir())
    gone[0].unlink()
    gone[1].write_bytes(gone[1].read_bytes()[:-9])  # half written
    made = []
    import formation.features.bases.seeds as seeds

    fit = seeds.fit_prepared
    monkeypatch.setattr(seeds, "fit_prepared", lambda *given: (made.append(given[2]), fit(*given))[1])
    shared_feature_fit(own)
    assert len(made) == 2
    assert written(own) == written(fitted)


@pytest.mark.parametrize("change", ["source", "basis"])
def test_another_source_is_fit_again(fitted: Run, own: Run, change: str, capsys: pytest.CaptureFixture[str]) -> None:
    place = files.place(STAGE, "")
    shutil.copytree(fitted.path(place), own.path(place))
    path = own.path(files.place(STAGE, files.QUALITY))
    data = json.loads(path.read_text())
    data["source"]["checkpoints"], data["basis"] = ("0" * 64, data["basis"]) if change == "source" else ({}, "0")
    path.write_text(json.dumps(data))
    shared_feature_fit(own)
    assert "of 4 bases tried" in capsys.readouterr().out
    assert written(own) == written(fitted)


# --- what it looks at ------------------------------------------------------------------------------------------------


def test_checkpoints_are_spread_evenly_and_those_held_out_lie_between(fitted: Run) -> None:
    found = choose_checkpoints(fitted)
    assert found.fit[0] == STEPS[0]
    assert found.fit[-1] == STEPS[-1]
    assert not set(found.fit) & set(found.heldout)
    assert len(found.fit) + len(found.heldout) == 8


def test_every_position_is_looked_at_where_the_parameters_say_so(fitted: Run) -> None:
    section = fitted.params.of(Section).model_copy(update={"positions": Positions.ALL})
    params = fitted.params.model_copy(update={"features": section})
    run = replace(fitted, params=params)
    probe = load_probe_set(run)
    (sample,) = fit_samples(run, "final_norm", load_for_run(run), STEPS[:2])[:1]
    (one, *_) = judged(run, "final_norm", probe, STEPS[:1])
    assert len(sample.x) > 3 * len(fit_samples(fitted, "final_norm", load_for_run(run), STEPS[:2])[0].x)
    assert len(one.report.x) > 3 * len(one.answers.x)
    assert one.report.hidden is None


# --- the rule --------------------------------------------------------------------------------------------------------


def one(stability: float, latents: int = 64, k: int = 8, missed: tuple[Aim, ...] = ()) -> Tried:
    return Tried(latents, k, 3, 0.1, 0.8, 0.9, float(k), 0.0, stability, missed)


def test_of_those_that_meet_all_aims_the_most_stable_is_chosen() -> None:
    assert choose([one(0.8), one(0.85, k=4), one(0.99, missed=(Aim.ALIVE,))]).k == 4


def test_where_none_does_the_fewest_misses_come_before_stability() -> None:
    two = (Aim.ALIVE, Aim.SPARSE)
    assert choose([one(0.9, missed=two), one(0.7, k=4, missed=(Aim.STABLE,)), one(0.6, missed=(Aim.ALIVE,))]).k == 4


def test_ties_go_to_the_smaller_basis() -> None:
    assert choose([one(0.8, 128, 4), one(0.8, 64, 16), one(0.8, 64, 8)]).place[2:] == (64, 8)
    with pytest.raises(MeasureError, match="no basis was tried"):
        choose([])


def test_an_aim_is_missed_beyond_its_bound_or_where_it_cannot_be_measured(fitted: Run) -> None:
    section = fitted.params.of(Section)
    met = {
        "mean_active_fraction": section.most_active,
        "explained_variance_without_token_means": section.least_explained,
        "stability": section.least_stability,
        "dead_fraction": section.most_dead,
    }
    assert missed(met, section) == ()
    assert missed({**met, "explained_variance_without_token_means": None}, section) == (Aim.EXPLAINS,)
    assert missed({**met, "dead_fraction": 0.06, "stability": 0.79}, section) == (Aim.STABLE, Aim.ALIVE)


# --- what it refuses -------------------------------------------------------------------------------------------------


def rewrite(run: Run, step: int, change: Callable[[torch.nn.Module], None]) -> None:
    """Change the weights of a checkpoint in its file."""
    how = choose_execution(run.params.training, "cpu")
    state = checkpoints.restore(run, checkpoints.load_checkpoint(run, step), how)
    with torch.no_grad():
        change(state.model)
    checkpoints.save_checkpoint(run, state, how, training_streams(load_for_run(run)).digest())


def not_finite(run: Run) -> None:
    rewrite(run, 8, lambda model: model.get_parameter("layers.1.mlp.fc_out.bias").fill_(float("nan")))


def all_alike(run: Run) -> None:
    rewrite(run, 28, lambda model: [parameter.zero_() for parameter in model.parameters()])


def with_params(**features: object) -> Callable[[Run], None]:
    """Other parameters of the fit in the run's preset."""

    def change(run: Run) -> None:
        path = run.folder / artifacts.PARAMS_FILE
        data = json.loads(path.read_text())
        data["overrides"] += [f"features.{name}={value}" for name, value in features.items()]
        path.write_text(json.dumps(data))

    return change


REFUSED = {
    "a missing checkpoint": (
        lambda run: checkpoints.path(run, 12).unlink(),
        (),
        "step_000012.safetensors: no checkpoint of step 12",
    ),
    "one fit checkpoint": (with_params(fit_checkpoints=1), (), "features.fit_checkpoints = 1"),
    "more than there are": (
        with_params(fit_checkpoints=6),
        (),
        "features.fit_checkpoints = 6 and features.heldout_checkpoints = 3: expected at most 8 together",
    ),
    "not finite": (not_finite, (), "layer_1_post_mlp of the checkpoint of step 8: "),
    "no variance": (all_alike, (), "layer_1_post_mlp at checkpoint 28: all "),
    "no stage": (lambda run: None, ("--stage", "layer_2_post_mlp"), "stage = 'layer_2_post_mlp': no residual stage"),
    "two stages as one": (lambda run: None, ("--stage", "embed,final_norm"), "stage = 'embed,final_norm'"),
    "no probe set": (lambda run: run.path("analysis/probe_set.json").unlink(), (), "formation generate-probe-set"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_basis_can_be_fit_on_is_one_line_and_nothing_is_fit_instead(
    own: Run, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, words, message = REFUSED[name]
    damage(own)
    monkeypatch.setenv("LIVINGPAPER_PROJECT", str(own.root))
    monkeypatch.setattr(sys, "argv", ["formation", "shared-feature-fit", "--run", own.name, *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not own.path(files.FOLDER).exists()


def test_the_stages_of_the_parameters_are_the_default_and_names_are_resolved(fitted: Run) -> None:
    assert chosen_stages(fitted, None) == [STAGE]
    assert chosen_stages(fitted, ["final_norm", "last_post_mlp", STAGE]) == ["final_norm", STAGE]


def test_a_basis_may_keep_k_a_position_on_average(own: Run) -> None:
    with_params(kind="batch_topk", latents="[8]", k="[2]", stability_fits=1)(own)
    shared_feature_fit(open_run(own.name, own.root), ["final_norm"])
    stored = load_basis(open_run(own.name, own.root), "final_norm", load_probe_set(own).benchmark)
    assert stored.basis.kind is Kind.BATCH_TOPK
    told = own.json(files.place("final_norm", files.QUALITY), files.QUALITY_SCHEMA)
    assert "neurons_equal_l0" not in told["quality"]
