"""A planted formation goes through the stages as a trained run does, and only the one that forms is seen to form."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from formation.artifacts import Run
from formation.benchmark.streams import Vocabulary
from formation.record.evidence import FILE as EVIDENCE
from formation.record.reports import FILE as ANALYSIS
from formation.record.reports import SCHEMA
from formation.record.sweep import checkpoint_sweep
from formation.record.windows import analyze_birth_windows
from formation.training import checkpoints
from formation.training.loop import is_complete
from tests.planted import Course, Plan, formation_run, plant
from tests.planted.run import CONTEXT, EVERY, ramp, write_checkpoints

ROOT = Path(__file__).resolve().parents[2]
PLAN = Plan(heads=2, previous=((0, 1),), retrieval=((1, 0),))
STRENGTHS = ramp(5, 3, 5)
RISE = range(5 * EVERY, 8 * EVERY)  # steps at which strength rises


@pytest.fixture(scope="module")
def rising(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small planted run in a project of its own."""
    folder = tmp_path_factory.mktemp("rising")
    shutil.copytree(ROOT / "params", folder / "params")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FORMATION_ARTIFACTS", raising=False)
        return formation_run(folder, PLAN, STRENGTHS, evaluation=16, probe=8)


def analysed(run: Run) -> dict:
    """The birth-window analysis behind a sweep."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FORMATION_ARTIFACTS", raising=False)
        checkpoint_sweep(run)
        analyze_birth_windows(run)
    return run.json(ANALYSIS, SCHEMA)


def test_the_checkpoints_are_those_of_a_finished_run(rising: Run) -> None:
    assert is_complete(rising)
    assert checkpoints.steps(rising) == [EVERY * index for index in range(len(STRENGTHS))]
    benchmark = rising.params.benchmark
    ours = plant(PLAN, Vocabulary(benchmark.keys, benchmark.values), CONTEXT)
    last = checkpoints.load_model(rising, rising.params.training.steps)
    for name, parameter in last.named_parameters():
        assert torch.equal(parameter, ours.get_parameter(name))


def test_a_rising_circuit_is_born_where_it_was_planted(rising: Run) -> None:
    data = analysed(rising)
    births = {(birth["split"], birth["metric"]): birth for birth in data["births"]}
    for (_, metric), birth in births.items():
        if metric in ("accuracy", "log_prob", "key_twin_flip"):
            assert birth["outcome"] == "born"
            assert birth["step"] in RISE
    assert rising.json(EVIDENCE, "claims-evidence/1")["retrieval_birth_step"]["value"] in RISE


@pytest.mark.parametrize("course", [Course.SHUFFLED, Course.RANDOM])
def test_in_the_controls_nothing_is_born(rising: Run, tmp_path: Path, course: Course) -> None:
    shutil.copytree(rising.root, tmp_path, dirs_exist_ok=True)
    control = replace(rising, root=tmp_path, folder=tmp_path / rising.folder.relative_to(rising.root))
    write_checkpoints(control, PLAN, STRENGTHS, course)
    data = analysed(control)
    assert {birth["outcome"] for birth in data["births"]} == {"not_born"}
    assert data["windows"] == []
