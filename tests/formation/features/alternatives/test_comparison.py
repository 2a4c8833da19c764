"""Births of other kinds of features: known series and their differences; a planted formation; random weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from formation.artifacts import Run
from formation.benchmark.stage import load_for_run
from formation.components.material import materials
from formation.components.store import DATED
from formation.features import files, store
from formation.features.alternatives.births import Curves, against, births_json, date, why_undated
from formation.features.alternatives.comparison import PLOT_SCHEMA, feature_alternatives
from formation.features.alternatives.kinds import Kind
from formation.features.alternatives.measure import Setting, fit_kinds
from formation.features.snapshots import split_in_half
from formation.params import Params
from formation.presets import load
from formation.record.births import Outcome
from formation.record.probe_set import load_probe_set
from tests.formation.features.swept_planted import STAGE, WINDOW, copied
from tests.formation.projects import ROOT

EVERY, CHECKPOINTS, STREAMS = 20, 24, 40


def params() -> Params:
    wanted = [f"training.checkpoint_every={EVERY}", f"training.steps={EVERY * (CHECKPOINTS - 1)}", "training.warmup=0"]
    return load("smoke", ROOT, [*wanted, "record.bootstrap_draws=100", "windows.permutations=200"])


PARAMS = params()


def curves(born: list[int | None], kind: str = "shared_basis", seed: int = 0) -> Curves:
    """Features whose usefulness rises from 0 to 1 nat at a checkpoint, or never."""
    draw = np.random.default_rng(seed)
    place = np.arange(CHECKPOINTS)
    means = np.stack([np.zeros(CHECKPOINTS) if at is None else (place >= at).astype(float) for at in born])
    sums = 5 * (means[:, None] + 0.1 * draw.standard_normal((len(born), STREAMS, CHECKPOINTS)))
    placebos = 0.02 * draw.standard_normal((len(born), 30, CHECKPOINTS))
    flat = np.ones((len(born), CHECKPOINTS))
    reads = np.full(STREAMS, 5.0)
    return Curves(kind, 99, len(born), tuple(range(len(born))), EVERY * place, reads, sums, placebos, flat, flat)


def test_features_are_born_where_they_rise_and_noise_never() -> None:
    found = date(curves([10, 12, None]), PARAMS)
    assert found is not None
    assert [one.step for one in found.features] == [10 * EVERY, 12 * EVERY, None]
    assert found.features[2].outcome is Outcome.NOT_BORN
    assert found.median[0] == 11 * EVERY
    assert found.together.step == 10 * EVERY
    data = births_json(curves([10, 12, None]), found, PARAMS)
    assert (data["births"]["born"], data["births"]["not_born"]) == (2, 1)
    assert (data["births"]["earliest"], data["births"]["latest"]) == (200, 240)
    assert data["births"]["median"]["value"] == 220


def test_a_kind_agrees_with_itself_and_a_known_delay_is_told() -> None:
    one, other = date(curves([10, 10]), PARAMS), date(curves([13, 13], "neurons", 1), PARAMS)
    itself, late = against(one, one, PARAMS), against(other, one, PARAMS)
    assert itself is not None
    assert late is not None
    for name in ("median", "most_useful", "together"):
        assert (itself[name]["value"], itself[name]["agree"]) == (0, True)
        assert (late[name]["value"], late[name]["agree"], late[name]["unit"]) == (3, False, "checkpoints")
        assert late[name]["low"] <= 3 <= late[name]["high"]


def test_what_was_never_born_has_no_difference() -> None:
    one, none = date(curves([10, 10]), PARAMS), date(curves([None, None], "neurons", 1), PARAMS)
    found = against(none, one, PARAMS)
    assert found is not None
    assert {(part["value"], part["agree"]) for part in found.values()} == {(None, None)}


def test_too_few_features_or_checkpoints_are_not_dated_and_say_so() -> None:
    short = curves([10]).at([0, 20, 40, 60])
    assert date(short, PARAMS) is None
    assert why_undated(short, PARAMS) == "4 checkpoints after warm-up, expected at least 6"
    empty = Curves("neurons", 9, 0, (), np.arange(9), np.ones(3), *(np.zeros((0, 3, 9)),) * 2, *(np.zeros((0, 9)),) * 2)
    assert "random directions" in births_json(empty, date(empty, PARAMS), PARAMS)["reason"]
    assert against(date(empty, PARAMS), date(curves([10]), PARAMS), PARAMS) is None


def test_placebos_of_a_sum_are_sums_over_different_directions() -> None:
    one = curves([10, 10, 10])
    shared = np.repeat(one.placebos[:1], 3, axis=0)
    alike = Curves(**{**vars(one), "placebos": shared})
    together = alike.series(None).placebos
    np.testing.assert_allclose(together, shared[0] + np.roll(shared[0], 1, axis=0) + np.roll(shared[0], 2, axis=0))


# --- the stage -------------------------------------------------------------------------------------------------------


def alternatives(run: Run) -> dict[str, dict]:
    (path,) = feature_alternatives(run, [STAGE])
    assert path.name == files.ALTERNATIVES
    plot = run.json(files.place(STAGE, f"plots/{files.ALTERNATIVES}"), PLOT_SCHEMA)
    data = run.json(files.place(STAGE, files.ALTERNATIVES), files.ALTERNATIVES_SCHEMA)
    assert [one["kind"] for one in plot["kinds"]] == [one["kind"] for one in data["kinds"]]
    return {one["kind"]: one for one in data["kinds"]}


@pytest.mark.usefixtures("own_artifacts")
def test_in_a_planted_formation_the_written_features_are_born_and_no_kind_is_at_another_time(
    rising: Run, tmp_path: Path
) -> None:
    found = alternatives(copied(rising, tmp_path))
    assert list(found) == ["shared_basis", "principal_components", "neurons", "crosscoder"]
    births = found["shared_basis"]["births"]
    assert found["shared_basis"]["meaningful"] > 5
    assert WINDOW[0] <= births["together"]["step"] <= WINDOW[1]
    assert births["born"] > births["not_born"]
    # values lie along no component more than along another, so that few of these are more than random directions
    split = found["principal_components"]["births"]
    assert split["born"] < births["born"]
    assert all(WINDOW[0] <= step <= WINDOW[1] for step in (split["earliest"], split["latest"]) if step is not None)
    # its MLP blocks write nothing
    assert found["neurons"]["meaningful"] == 0
    assert "random directions" in found["neurons"]["reason"]
    # it knows the fit checkpoints alone
    assert found["crosscoder"]["reason"] == "5 checkpoints after warm-up, expected at least 6"


@pytest.mark.usefixtures("own_artifacts")
def test_a_stage_that_no_block_writes_to_has_no_neurons_and_says_so(rising: Run) -> None:
    probe, dataset = load_probe_set(rising), load_for_run(rising)
    stored = store.load_basis(rising, STAGE, probe.benchmark)
    stored = replace(stored, basis=replace(stored.basis, stage="final_norm"))
    material = materials(probe, rising.params.record)[DATED]
    fitted = fit_kinds(Setting(rising, stored, material, split_in_half(material.streams, [0])), dataset)
    assert fitted.missing == {Kind.NEURONS: "no MLP block writes to final_norm last"}
    assert [kind.kind for kind in fitted.kinds] == [Kind.SHARED, Kind.COMPONENTS, Kind.CROSSCODER]


@pytest.mark.usefixtures("own_artifacts")
def test_of_random_weights_no_kind_is_born(random_weights: Run, tmp_path: Path) -> None:
    found = alternatives(copied(random_weights, tmp_path))
    for one in found.values():
        births = one["births"]
        assert births is None or births["born"] == births["censored"] == 0
