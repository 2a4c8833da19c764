"""Replay: the training's own bits again, seen step by step, and nothing taken for them that is not."""

import multiprocessing
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from formation import artifacts
from formation.artifacts import Run
from formation.cli import main
from formation.errors import ArtifactError, FormationError, TrainingError
from formation.lock import only_one
from formation.training import checkpoints
from formation.training.dense import LOCK, Record, records, replay_window
from formation.training.groups import Kind
from formation.training.replay import FOLDER, Taken, first_difference, load_replayed, replay, replayed_steps
from formation.training.state import TrainingState
from formation.training.trace import SCHEMA, update_facts
from tests.formation.training.tiny import _die_at, record_of, streams, tiny_run, train_here

BOTH = (Record.LOSSES, Record.GRADIENTS)


@pytest.fixture
def run(undisturbed: Run, tmp_path: Path) -> Run:
    """A copy of the trained run."""
    copy = tiny_run(tmp_path)
    shutil.copytree(undisturbed.folder, copy.folder, dirs_exist_ok=True)
    return copy


def window(run: Run, first: int, last: int, every: int | None = None, record: tuple[Record, ...] = ()) -> None:
    replay_window(run, first, last, every, record, streams())


def rows(run: Run, first: int, last: int) -> list[dict]:
    return artifacts.read_jsonl(run.path(f"{FOLDER}/trace_{first:06d}_{last:06d}.jsonl"), SCHEMA)


def tamper(run: Run, step: int, name: str, bit: int = 0) -> None:
    """Change one bit of the first number of a checkpoint's array, and sign it again."""
    arrays, about = artifacts.read_arrays(checkpoints.path(run, step), checkpoints.SCHEMA)
    bits = arrays[name].copy()
    bits.reshape(-1).view(np.int32)[0] ^= 1 << bit
    artifacts.write_arrays(checkpoints.path(run, step), {**arrays, name: bits}, about)


# --- identity --------------------------------------------------------------------------------------------------------


class Diary:
    """A watcher that writes down what it was shown."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self.taken: list[Taken] = []

    def before(self, state: TrainingState) -> None:
        self.steps.append((state.step, -1))

    def after(self, state: TrainingState, taken: Taken) -> None:
        self.steps[-1] = (self.steps[-1][0], state.step)
        self.taken.append(taken)


def test_a_window_across_checkpoints_is_the_training_bit_for_bit(run: Run) -> None:
    before, diary = record_of(run), Diary()
    found = replay(run, 10, 30, [diary], streams())
    assert (found.began, found.compared) == (7, (14, 21, 28, 30))
    assert diary.steps == [(step, step + 1) for step in range(10, 30)]
    assert record_of(run) == before


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_replayed_checkpoints_are_those_of_a_training_that_kept_more(tmp_path: Path, optimizer: str) -> None:
    """Weights, moments, generator and tokens seen: only the parameters' digest in the header says which run it is."""
    fewer = train_here(tmp_path / "fewer", "smoke-s1", f"training.optimizer={optimizer}")
    window(fewer, 0, 20, every=4)
    assert replayed_steps(fewer) == [4, 8, 12, 16, 20]
    more = train_here(tmp_path / "more", "smoke-s1", f"training.optimizer={optimizer}", "training.checkpoint_every=4")
    for step in replayed_steps(fewer):
        file = f"step_{step:06d}.safetensors"
        ours, header = artifacts.read_arrays(fewer.path(f"{FOLDER}/{file}"), checkpoints.SCHEMA)
        theirs, other = artifacts.read_arrays(more.path(f"checkpoints/{file}"), checkpoints.SCHEMA)
        assert {name: array.tobytes() for name, array in ours.items()} == {n: a.tobytes() for n, a in theirs.items()}
        assert {name for name in header if header[name] != other[name]} == {"params_digest"}


def test_a_replayed_checkpoint_is_begun_from_and_kept_apart(run: Run) -> None:
    window(run, 7, 12, every=5)
    assert checkpoints.steps(run) == checkpoints.schedule(run)
    before = run.path(f"{FOLDER}/step_000012.safetensors").stat().st_mtime_ns
    window(run, 12, 21, every=2)
    assert replayed_steps(run) == [12, 16, 18, 20]
    assert run.path(f"{FOLDER}/step_000012.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("part", ["model.token", "exp_avg.norm.bias", "exp_avg_sq.layers.1.mlp.fc_in.weight"])
def test_one_changed_bit_of_a_checkpoint_is_noticed(run: Run, part: str) -> None:
    tamper(run, 14, part)
    with pytest.raises(TrainingError, match=rf"step_000014.*step 14: {re.escape(part)} is not what the replay"):
        replay(run, 7, 21, (), streams())


def test_a_replay_from_a_changed_checkpoint_is_noticed_at_the_next(run: Run) -> None:
    tamper(run, 14, "exp_avg.norm.bias", bit=22)
    with pytest.raises(TrainingError, match=r"step_000021.*the one the replay began from"):
        replay(run, 14, 21, (), streams())


def test_equal_states_have_no_difference_and_signed_zeros_have_one(run: Run) -> None:
    ours, theirs = (replay(run, 0, 3, (), streams()).state for _ in range(2))
    assert first_difference(ours, theirs) is None
    with torch.no_grad():
        ours.model.norm.bias[0], theirs.model.norm.bias[0] = 0.0, -0.0
    assert first_difference(ours, theirs) == "model.norm.bias"


def test_a_checkpoint_lost_is_stepped_over(run: Run) -> None:
    checkpoints.path(run, 14).unlink()
    assert replay(run, 15, 21, (), streams()).began == 7
    window(run, 7, 21, every=7)
    assert torch.equal(load_replayed(run, 14).token, replay(run, 7, 14, (), streams()).state.model.token)


# --- what is recorded ------------------------------------------------------------------------------------------------


def test_a_trace_says_what_the_learning_curve_says(run: Run) -> None:
    window(run, 5, 25, record=(Record.LOSSES,))
    trace = rows(run, 5, 25)
    assert [row["step"] for row in trace] == list(range(6, 26))
    curve = {row["step"]: row for row in artifacts.read_jsonl(run.path("learning_curve.jsonl"), "learning-curve/1")}
    shared = [(row, curve[row["step"]]) for row in trace if row["step"] in curve]
    assert len(shared) == 7
    for ours, theirs in shared:
        assert ours | {"schema": 0} == theirs | {"schema": 0}
    assert not replayed_steps(run)


def test_groups_share_out_every_parameter(run: Run) -> None:
    """Identity: the groups' squared norms and inner products sum to the whole's, and no parameter is in two."""
    window(run, 0, 6, record=BOTH)
    for row in rows(run, 0, 6):
        parts = row["groups"].values()
        assert tuple(row["groups"]) == tuple(Kind)
        assert row["inner"] == pytest.approx(sum(part["inner"] for part in parts))
        for norm in ("update_norm", "clipped_gradient_norm"):
            assert row[norm] ** 2 == pytest.approx(sum(part[norm] ** 2 for part in parts))
        assert row["clipped_gradient_norm"] == pytest.approx(min(row["gradient_norm"], 1.0), rel=1e-5)
        assert row["cosine"] == pytest.approx(-row["inner"] / row["update_norm"] / row["clipped_gradient_norm"])


def test_plain_descent_goes_along_the_negative_gradient(tmp_path: Path) -> None:
    """Known answer: without momentum and decay SGD's update is −rate × gradient, in every group."""
    run = train_here(tmp_path, "smoke-s1", "training={optimizer: sgd, betas: [0, 0.95], weight_decay: 0, steps: 7}")
    window(run, 0, 7, record=BOTH)
    for row in rows(run, 0, 7):
        assert row["cosine"] == pytest.approx(1, abs=1e-4)
        assert row["groups"]["attn_q"]["cosine"] == pytest.approx(1, abs=1e-2)  # tiny updates, rounded
        assert row["update_norm"] == pytest.approx(row["learning_rate"] * row["clipped_gradient_norm"], rel=1e-3)


def test_an_update_across_the_gradient_has_cosine_zero_and_none_without_one() -> None:
    gradient = {"token": torch.tensor([3.0, 4.0]), "norm.weight": torch.zeros(2)}
    facts = update_facts({"token": torch.tensor([-4.0, 3.0]), "norm.weight": torch.ones(2)}, gradient)
    assert facts["groups"]["embeddings"] == {
        "update_norm": 5.0,
        "clipped_gradient_norm": 5.0,
        "inner": 0.0,
        "cosine": 0.0,
    }
    assert facts["groups"]["norms"]["cosine"] is None


def test_a_watcher_sees_the_batch_and_the_gradients_the_optimizer_saw(run: Run) -> None:
    diary, data = Diary(), streams()
    state = replay(run, 29, 30, [diary], data).state
    (taken,) = diary.taken
    assert taken.tokens.tolist() == data.batch(taken.indices).tolist()
    norm = torch.cat([g.flatten() for g in taken.gradients.values()]).norm().item()
    assert norm == pytest.approx(min(taken.report.gradient_norm, run.params.training.gradient_clip), rel=1e-5)
    assert taken.gradients.keys() == dict(state.model.named_parameters()).keys()


# --- going on, and nothing twice -------------------------------------------------------------------------------------


def test_what_is_there_is_not_made_again(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    window(run, 7, 20, every=3, record=BOTH)
    before = {file: file.stat().st_mtime_ns for file in run.path(FOLDER).iterdir()}
    assert len(before) == 5 + 1  # steps 10, 13, 16, 19, 20 and the trace
    window(run, 7, 20, every=3, record=(Record.LOSSES,))
    assert "have been replayed; nothing to do" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in run.path(FOLDER).iterdir()} == before


def test_a_trace_without_gradients_does_not_pass_for_one_with_them(run: Run) -> None:
    window(run, 7, 12, record=(Record.LOSSES,))
    window(run, 7, 12, record=BOTH)
    assert all("groups" in row for row in rows(run, 7, 12))


def test_a_trace_alone_goes_on_from_the_run_s_own_checkpoints(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    window(run, 5, 25, record=BOTH)
    before = record_of(run)
    trace = run.path(f"{FOLDER}/trace_000005_000025.jsonl")
    lines = trace.read_bytes().splitlines(keepends=True)
    trace.unlink()
    trace.with_suffix(".part.jsonl").write_bytes(b"".join(lines[:16]))  # up to step 21, as a kill there leaves it
    begun: list[int] = []
    monkeypatch.setattr("formation.training.dense.replay", lambda *given: begun.append(given[1]) or replay(*given))
    window(run, 5, 25, record=BOTH)
    assert begun == [21]
    assert record_of(run) == before


def killed_replay(folder: Path, kill_at: int) -> None:
    run = tiny_run(folder)
    _die_at(kill_at)
    replay_window(run, 5, 25, 3, BOTH, streams())


@pytest.mark.parametrize("kill_at", [3, 9, 14, 23])
def test_killed_at_a_touch_of_the_disk_it_goes_on_to_the_same_bytes(run: Run, tmp_path: Path, kill_at: int) -> None:
    whole = tiny_run(tmp_path / "whole")
    shutil.copytree(run.folder, whole.folder, dirs_exist_ok=True)
    replay_window(whole, 5, 25, 3, BOTH, streams())
    process = multiprocessing.get_context("forkserver").Process(target=killed_replay, args=(tmp_path, kill_at))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    os.environ["FORMATION_ARTIFACTS"] = str(tmp_path)
    assert record_of(run) != record_of(whole)
    window(run, 5, 25, every=3, record=BOTH)
    assert record_of(run) == record_of(whole)


def test_a_damaged_replayed_file_is_named_and_made_again(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    window(run, 7, 20, every=3, record=BOTH)
    before = record_of(run)
    for name in ("step_000013.safetensors", "trace_000007_000020.jsonl"):
        file = run.path(f"{FOLDER}/{name}")
        file.write_bytes(file.read_bytes()[:-50])
        window(run, 7, 20, every=3, record=BOTH)
        assert name in capsys.readouterr().out
        assert record_of(run) == before


# --- loading ---------------------------------------------------------------------------------------------------------


def test_any_step_is_loaded_or_the_command_that_makes_it_is_named(run: Run) -> None:
    with pytest.raises(ArtifactError, match="formation replay --run smoke-s1 --from 7 --to 10 --every 3"):
        load_replayed(run, 10)
    window(run, 7, 10, every=3)
    wanted = replay(run, 7, 10, (), streams()).state.model
    assert torch.equal(load_replayed(run, 10).token, wanted.token)
    assert torch.equal(load_replayed(run, 7).token, checkpoints.load_model(run, 7).token)
    with pytest.raises(ArtifactError, match="no checkpoint of step 31; there are 6"):
        load_replayed(run, 31)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "last"), [(-1, 5), (5, 5), (9, 7), (20, 31), (40, 50)])
def test_a_window_outside_the_run_is_refused(run: Run, first: int, last: int) -> None:
    with pytest.raises(
        TrainingError, match=f"window {first} to {last} of run smoke-s1: expected 0 <= --from < --to <= 30"
    ):
        window(run, first, last)
    assert not run.path(FOLDER).exists()


def test_a_run_without_checkpoints_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no checkpoints to replay from; run: formation train --run smoke-s1"):
        window(tiny_run(tmp_path), 0, 5)


def test_other_streams_and_another_execution_are_refused_by_name(run: Run) -> None:
    with pytest.raises(TrainingError, match=r"trained on streams .*; a replay would not give the same bytes"):
        replay(run, 7, 14, (), streams(seed=1))
    arrays, about = artifacts.read_arrays(checkpoints.path(run, 7), checkpoints.SCHEMA)
    about["execution"]["processor"] = "abacus"
    artifacts.write_arrays(checkpoints.path(run, 7), arrays, about)
    with pytest.raises(
        TrainingError, match=r"processor was 'abacus', now it is .*replay where and as the run was trained"
    ):
        replay(run, 7, 14, (), streams())


def test_two_replays_of_a_run_refuse_each_other(run: Run) -> None:
    window(run, 7, 8)
    with only_one(run, LOCK, "replayed", TrainingError):
        with pytest.raises(TrainingError, match=f"smoke-s1 is being replayed by process {os.getpid()}; wait for it"):
            window(run, 7, 9)
        assert replayed_steps(run) == []
    window(run, 7, 9, every=1)
    assert replayed_steps(run) == [8, 9]


def test_words_the_trace_does_not_know_are_refused() -> None:
    assert records("gradients, losses") == [Record.GRADIENTS, Record.LOSSES]
    assert records("") == []
    with pytest.raises(FormationError, match="--record 'weights': 'weights' is none of: losses, gradients"):
        records("weights")


def test_by_command(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors are one line with exit code 2; the tiny run has no dataset, which is the last thing asked for."""
    for words, expected in (
        (("--to", "40"), "--to <= 30"),
        (("--to", "14", "--every", "0"), "--every 0: expected 1 or more"),
        (("--to", "14", "--record", "all"), "'all' is none of"),
        (("--to", "14", "--every", "2"), "benchmark.json: not found; run: formation generate-benchmark"),
    ):
        monkeypatch.setattr(sys, "argv", ["formation", "replay", "--run", "smoke-s1", "--from", "7", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 2
        error = capsys.readouterr().err
        assert expected in error
        assert error.count("\n") == 1
