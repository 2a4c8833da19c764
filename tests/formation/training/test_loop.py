"""The training stage: the same bytes whatever happens, one training at a time, a record written last."""

import json
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from formation import artifacts
from formation.artifacts import Run
from formation.cli import main
from formation.errors import TrainingError
from formation.training import checkpoints
from formation.training.curve import FILE as CURVE
from formation.training.loop import RECORD, SCHEMA, TIMING, TIMING_SCHEMA, is_complete, train, train_on
from formation.training.state import Streams
from tests.formation.training.tiny import ROOT, child, record_of, streams, tiny_run, train_here


def test_the_same_bytes_in_another_process(undisturbed: Run, tmp_path: Path) -> None:
    process = child(tmp_path)
    process.join()
    assert process.exitcode == 0
    assert record_of(tiny_run(tmp_path)) == record_of(undisturbed)


def test_another_seed_gives_other_weights(undisturbed: Run, tmp_path: Path) -> None:
    other = train_here(tmp_path, "smoke-s2")
    assert (
        checkpoints.load_checkpoint(other, 30).weights.keys()
        == checkpoints.load_checkpoint(undisturbed, 30).weights.keys()
    )
    ours, theirs = (record_of(run)["checkpoints/step_000030.safetensors"] for run in (other, undisturbed))
    assert ours != theirs


@pytest.mark.parametrize("kill_at", [1, 4, 7, 9, 12, 16, 20, 23])
def test_killed_at_a_touch_of_the_disk_and_resumed(undisturbed: Run, tmp_path: Path, kill_at: int) -> None:
    killed = child(tmp_path, kill_at=kill_at)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert not is_complete(tiny_run(tmp_path))
    assert record_of(train_here(tmp_path)) == record_of(undisturbed)


def test_killed_again_and_again_at_random_moments(tmp_path: Path) -> None:
    """Longer than the others, so that kills fall into every part of it; each child goes on where the last one died."""
    longer, draw, kills = "training.steps=400", random.Random(5), 0
    whole = train_here(tmp_path / "whole", "smoke-s1", longer)
    for _ in range(12):
        process = child(tmp_path / "killed", longer)
        process.join(draw.uniform(0.1, 0.6))
        if process.exitcode is None:
            process.kill()
            kills += 1
        process.join()
        if process.exitcode == 0:
            break
    assert kills >= 2
    assert record_of(train_here(tmp_path / "killed", "smoke-s1", longer)) == record_of(whole)


def test_a_finished_training_says_so_and_touches_nothing(undisturbed: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.stat().st_mtime_ns for file in undisturbed.folder.rglob("*")}
    train(undisturbed)
    assert "smoke-s1: training is complete (30 steps); nothing to do" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in undisturbed.folder.rglob("*")} == before


def half_line(run: Run) -> None:
    with open(run.path(CURVE), "ab") as file:
        file.write(b'{"schema":"learning-curve/1","st')


def no_curve(run: Run) -> None:
    run.path(CURVE).unlink()


def damaged_row(run: Run) -> None:
    lines = run.path(CURVE).read_bytes().splitlines(keepends=True)
    run.path(CURVE).write_bytes(b"".join([*lines[:4], b"nonsense\n", *lines[5:]]))


def lost_checkpoint(run: Run) -> None:
    checkpoints.path(run, 14).unlink()


def lost_first(run: Run) -> None:
    checkpoints.path(run, 0).unlink()


def truncated(run: Run) -> None:
    file = checkpoints.path(run, 28)
    file.write_bytes(file.read_bytes()[:-100])


def leftover(run: Run) -> None:
    (run.path("checkpoints") / ".step_000021.safetensors.abc.part").write_bytes(b"half")


@pytest.mark.parametrize("damage", [half_line, no_curve, damaged_row, lost_checkpoint, lost_first, truncated, leftover])
def test_whatever_was_lost_is_made_again_in_the_same_bytes(undisturbed: Run, tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    run = tiny_run(tmp_path)
    shutil.copytree(undisturbed.folder, run.folder, dirs_exist_ok=True)
    run.path(RECORD).unlink()
    checkpoints.path(run, 30).unlink()
    damage(run)
    train_on(run, streams())
    assert record_of(run) == record_of(undisturbed)


def test_a_checkpoint_deleted_after_the_end_is_made_again(undisturbed: Run, tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    shutil.copytree(undisturbed.folder, run.folder, dirs_exist_ok=True)
    checkpoints.path(run, 21).unlink()
    assert not is_complete(run)
    train_on(run, streams())
    assert record_of(run) == record_of(undisturbed)


# --- refusals --------------------------------------------------------------------------------------------------------


def stopped(undisturbed: Run, folder: Path) -> Run:
    """A copy of the run that was stopped behind step 21."""
    run = tiny_run(folder)
    shutil.copytree(undisturbed.folder, run.folder, dirs_exist_ok=True)
    for lost in (run.path(RECORD), checkpoints.path(run, 28), checkpoints.path(run, 30)):
        lost.unlink()
    return run


def test_other_streams_are_not_gone_on_with(undisturbed: Run, tmp_path: Path) -> None:
    run, other = stopped(undisturbed, tmp_path), streams(seed=1)
    before = record_of(run)
    digests = streams().digest()[:12], other.digest()[:12]
    with pytest.raises(TrainingError, match=f"000021.*trained on streams {digests[0]}, now they are {digests[1]}"):
        train_on(run, other)
    assert record_of(run) == before


@pytest.mark.parametrize(
    ("field", "value"), [("torch", "1.0"), ("processor", "abacus"), ("dtype", "bfloat16"), ("threads", 3)]
)
def test_another_execution_is_not_gone_on_with(
    undisturbed: Run, tmp_path: Path, field: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped(undisturbed, tmp_path)
    arrays, about = artifacts.read_arrays(checkpoints.path(run, 21), checkpoints.SCHEMA)
    about["execution"][field] = value
    artifacts.write_arrays(checkpoints.path(run, 21), arrays, about)
    with pytest.raises(TrainingError, match=f"000021.*{field} was {value!r}, now it is .*same bytes"):
        train_on(run, streams())


def test_a_foreign_checkpoint_is_not_gone_on_from(undisturbed: Run, tmp_path: Path) -> None:
    run = stopped(undisturbed, tmp_path)
    other = train_here(tmp_path, "smoke-s2", "training.steps=21")
    shutil.copy(checkpoints.path(other, 21), checkpoints.path(run, 21))
    with pytest.raises(TrainingError, match=r"step_000021.*not a checkpoint of run smoke-s1"):
        train_on(run, streams())


def test_a_pickled_checkpoint_stops_the_training(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    run.path("checkpoints").mkdir()
    (run.path("checkpoints") / "step_000007.pt").write_bytes(b"\x80\x04.")
    with pytest.raises(TrainingError, match=r"step_000007\.pt: refused"):
        train_on(run, streams())


def test_two_trainings_of_a_run_refuse_each_other_and_the_dead_hold_nothing(tmp_path: Path) -> None:
    process = child(tmp_path, "training.steps=100000")
    run = tiny_run(tmp_path, "smoke-s1", "training.steps=100000")
    try:
        deadline = time.monotonic() + 60
        while not checkpoints.path(run, 7).is_file() and time.monotonic() < deadline:
            time.sleep(0.02)
        with pytest.raises(TrainingError, match=f"smoke-s1 is being trained by process {process.pid};"):
            train_on(run, streams())
    finally:
        process.kill()
        process.join()
    assert run.path("logs/training.lock").read_text() == f"{process.pid}\n"
    with pytest.raises(TrainingError, match="trained on streams"):  # it came past the lock
        train_on(run, streams(seed=1))


def test_a_non_finite_loss_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, "smoke-s1", "training.learning_rate=1", "model.embedding_std=1.0e+38")
    with pytest.raises(TrainingError, match=r"step \d+: loss .*expected finite numbers; lower training\.learning_rate"):
        train_on(run, streams())
    assert checkpoints.steps(run) == [0]
    assert checkpoints.load_checkpoint(run, 0).step == 0
    assert not run.path(RECORD).exists()


# --- the record ------------------------------------------------------------------------------------------------------


def test_the_record_says_what_was_trained_and_nothing_of_time(undisturbed: Run) -> None:
    record = artifacts.read_json(undisturbed.folder / RECORD, SCHEMA)
    seen = checkpoints.load_checkpoint(undisturbed, 30).about["tokens_seen"]
    assert record["steps"] == 30
    assert record["tokens_seen"] == seen
    assert 30 * 8 * 11 < seen < 30 * 8 * 19  # streams have 12 to 20 tokens, so 11 to 19 targets
    assert record["params_digest"] == undisturbed.params.identity(1)
    assert (record["dtype"], record["threads"], record["device"]) == ("float32", 1, "cpu")
    assert record["parameters"] == sum(p.numel() for p in checkpoints.load_model(undisturbed, 0).parameters())
    timing = artifacts.read_json(undisturbed.folder / TIMING, TIMING_SCHEMA)
    assert timing["wall_seconds"] > 0
    assert timing["steps_per_second"] > 0
    assert "seconds" not in json.dumps(record)


def test_streams_of_one_pattern_are_learned(tmp_path: Path) -> None:
    """Known answer: of a cycle over 11 tokens everything but the first token is certain."""
    start = streams(50).tokens[:, :1] % 11
    run = tiny_run(tmp_path, "smoke-s1", "training.steps=200", "training.learning_rate=0.01")
    train_on(run, Streams(10 + (start + list(range(16))) % 11, start[:, 0] * 0 + 16))
    losses = [row["loss"] for row in artifacts.read_jsonl(run.path(CURVE), "learning-curve/1")]
    assert losses[0] == pytest.approx(3.87, abs=0.15)  # log 48, the vocabulary's size
    assert losses[-1] < 0.05


def test_from_parameters_to_a_model_by_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real benchmark through the real command line: what is missing is named, and then it is there."""
    tiny_run(tmp_path, "smoke-s1", "model.context=120", "benchmark.evaluation_streams=8")

    def formation(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["formation", *words])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    assert formation("train", "--run", "smoke-s1") == 2
    assert "benchmark.json: not found; run: formation generate-benchmark --run smoke-s1" in capsys.readouterr().err
    assert formation("generate-benchmark", "--run", "smoke-s1") == 0
    assert formation("train", "--run", "smoke-s1", "--device", "abacus") == 2
    assert "--device 'abacus': expected cpu or cuda" in capsys.readouterr().err
    assert formation("train", "--run", "smoke-s1") == 0
    assert is_complete(artifacts.open_run("smoke-s1", ROOT))
    assert formation("train", "--run", "smoke-s1") == 0
    assert "nothing to do" in capsys.readouterr().out
