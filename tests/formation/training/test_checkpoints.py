"""Checkpoints: whole round trips, and every file that is not this run's is refused with its path."""

import itertools
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formation import artifacts
from formation.artifacts import Run
from formation.errors import ArtifactError, FormationError, TrainingError
from formation.training import checkpoints
from formation.training.execution import choose_execution, deterministic
from formation.training.state import initial_state, take_step
from tests.formation.training.tiny import streams, tiny_run, train_here

DUE = [0, 7, 14, 21, 28, 30]


@pytest.fixture
def run(undisturbed: Run, tmp_path: Path) -> Run:
    """A copy of the trained run, to be damaged."""
    copy = tiny_run(tmp_path)
    shutil.copytree(undisturbed.folder, copy.folder, dirs_exist_ok=True)
    return copy


def test_a_run_has_its_first_its_last_and_every_nth_step(run: Run) -> None:
    assert checkpoints.steps(run) == checkpoints.schedule(run) == DUE


@pytest.mark.parametrize(
    ("override", "due"),
    [
        ("training.steps=28", [0, 7, 14, 21, 28]),
        ("training.steps=1", [0, 1]),
        ("training.checkpoint_every=100", [0, 30]),
    ],
)
def test_the_schedule_of_other_lengths(tmp_path: Path, override: str, due: list[int]) -> None:
    assert checkpoints.schedule(tiny_run(tmp_path, "smoke-s1", override)) == due


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_checkpoint_holds_all_that_the_next_step_depends_on(tmp_path: Path, optimizer: str) -> None:
    """Restored at any checkpoint, the steps up to the next one give that one's weights and moments, bit by bit."""
    run = train_here(tmp_path, "smoke-s1", f"training.optimizer={optimizer}")
    how = choose_execution(run.params.training, "cpu")
    for step, following in itertools.pairwise(DUE):
        state = checkpoints.restore(run, checkpoints.load_checkpoint(run, step), how)
        assert state.step == step
        with deterministic(how):
            while state.step < following:
                take_step(state, streams(), run.params.training, run.seed, how)
        wanted = checkpoints.load_checkpoint(run, following)
        assert state.tokens_seen == wanted.about["tokens_seen"]
        for name, parameter in state.model.named_parameters():
            assert torch.equal(parameter, wanted.weights[name])
            moments = state.optimizer.state[parameter]
            if optimizer == "sgd":
                assert torch.equal(moments["momentum_buffer"], wanted.exp_avg[name])
                assert not wanted.exp_avg_sq[name].any()
            else:
                assert torch.equal(moments["exp_avg"], wanted.exp_avg[name])
                assert torch.equal(moments["exp_avg_sq"], wanted.exp_avg_sq[name])


def test_going_on_from_a_checkpoint_leaves_it_as_it_was(run: Run) -> None:
    checkpoint = checkpoints.load_checkpoint(run, 7)
    before = {name: tensor.clone() for name, tensor in checkpoint.exp_avg.items()}
    how = choose_execution(run.params.training, "cpu")
    take_step(checkpoints.restore(run, checkpoint, how), streams(), run.params.training, run.seed, how)
    fresh = checkpoints.load_checkpoint(run, 7)
    for name, tensor in before.items():
        assert torch.equal(checkpoint.exp_avg[name], tensor)
        assert torch.equal(checkpoint.weights[name], fresh.weights[name])


def test_the_first_checkpoint_is_the_initial_model(run: Run) -> None:
    state = initial_state(run.params, run.seed, choose_execution(run.params.training, "cpu"))
    model = checkpoints.load_model(run, 0)
    assert not model.training
    for ours, theirs in zip(model.parameters(), state.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    checkpoint = checkpoints.load_checkpoint(run, 0)
    assert all((moment == 0).all() for moment in checkpoint.exp_avg.values())
    assert torch.equal(checkpoint.generator, state.generator.get_state())


def test_a_missing_step_names_those_that_exist(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no checkpoint of step 8; there are 6: 0, 7, 14, 21, 28, 30"):
        checkpoints.load_model(run, 8)
    other = tiny_run(tmp_path, "smoke-s2")
    with pytest.raises(ArtifactError, match="none yet; run: formation train --run smoke-s2"):
        checkpoints.load_model(other, 0)


def test_many_existing_steps_are_named_by_their_range(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    run.path("checkpoints").mkdir()
    for step in range(0, 200, 10):
        checkpoints.path(run, step).touch()
    with pytest.raises(ArtifactError, match="there are 20: 0, 10, …, 190"):
        checkpoints.load_checkpoint(run, 5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_truncated_or_flipped_it_is_refused_with_its_path(
    undisturbed: Run, tmp_path: Path, data: st.DataObject
) -> None:
    run, whole = tiny_run(tmp_path), checkpoints.path(undisturbed, 14).read_bytes()
    content = bytearray(whole)
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:place]
    else:
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    artifacts.write_bytes(checkpoints.path(run, 14), bytes(content))
    with pytest.raises(FormationError, match=r"step_000014\.safetensors"):
        checkpoints.load_checkpoint(run, 14)


def test_a_checkpoint_of_another_run_is_refused(run: Run, tmp_path: Path) -> None:
    other = train_here(tmp_path, "smoke-s2", "training.steps=7")
    shutil.copy(checkpoints.path(other, 7), checkpoints.path(run, 7))
    digests = run.params.identity(1)[:12], other.params.identity(2)[:12]
    with pytest.raises(
        TrainingError, match=f"000007.* run smoke-s1: params_digest {digests[1]}, expected {digests[0]}"
    ):
        checkpoints.load_checkpoint(run, 7)


def test_a_checkpoint_of_another_architecture_says_what_differs(run: Run, tmp_path: Path) -> None:
    other = train_here(tmp_path, "smoke-s3", "training.steps=1", "model.d_ff=20")
    shutil.copy(checkpoints.path(other, 0), checkpoints.path(run, 0))
    with pytest.raises(TrainingError, match=r"step_000000.*: architecture: d_ff 20, expected 24; move it away"):
        checkpoints.load_checkpoint(run, 0)


def test_a_checkpoint_of_another_step_is_refused(run: Run) -> None:
    shutil.copy(checkpoints.path(run, 14), checkpoints.path(run, 21))
    with pytest.raises(TrainingError, match=r"step_000021.*: step 14, expected 21"):
        checkpoints.load_checkpoint(run, 21)


def test_arrays_that_are_not_the_models_are_refused(run: Run) -> None:
    file = checkpoints.path(run, 14)
    arrays, about = artifacts.read_arrays(file, checkpoints.SCHEMA)
    for wrong in (
        {**arrays, "model.token": np.zeros((2, 2), np.float32)},
        {**arrays, "model.more": np.zeros(2, np.float32)},
        {name: array for name, array in arrays.items() if name != "exp_avg.norm.bias"},
        {name: array for name, array in arrays.items() if name != "generator"},
        {**arrays, "model.token": arrays["model.token"].astype(np.float64)},
    ):
        artifacts.write_arrays(file, wrong, about)
        with pytest.raises(TrainingError, match=r"step_000014.*arrays are not those of the run's model"):
            checkpoints.load_checkpoint(run, 14)


def test_a_foreign_safetensors_file_is_refused(run: Run) -> None:
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(3)}, checkpoints.path(run, 14))
    with pytest.raises(ArtifactError, match=r"step_000014.*not one of this project"):
        checkpoints.load_checkpoint(run, 14)


def load_from_folder(run: Run) -> None:
    """What every analysis does: list the checkpoints, then load them."""
    for step in checkpoints.steps(run):
        checkpoints.load_model(run, step)


class Bomb:
    """Unpickling it would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["step_000014.pt", "model.ckpt", "step_000014.safetensors"])
def test_pickle_is_refused_by_name_and_never_opened(run: Run, tmp_path: Path, name: str) -> None:
    mark = tmp_path / "exploded"
    (run.folder / "checkpoints" / name).write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(FormationError, match=name):
        load_from_folder(run)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists()  # the bomb was a real one
