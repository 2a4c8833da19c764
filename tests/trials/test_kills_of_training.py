"""A training or a sweep killed at any moment, again and again: run to the end, it leaves the undisturbed bytes."""

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.formation.training.tiny import child, record_of, tiny_run, train_here
from tests.trials.commands import RUN, all_of, formation, prepare, run_command, said
from tests.trials.conftest import Trial


@pytest.fixture(autouse=True)
def _artifacts_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMATION_ARTIFACTS", str(tmp_path))


@pytest.fixture
def here() -> Iterator[None]:
    """Whatever a command does to this process is undone."""
    folder, words = Path.cwd(), sys.argv
    yield
    os.chdir(folder)
    sys.argv = words


def kills(
    folder: Path, wanted: int, words: tuple[str, ...], length: float, chance: random.Random
) -> tuple[int, int, list[str]]:
    """Up to `wanted` kills of a command, which is then run to its end: kills, those by SIGKILL, what was wrong."""
    struck, hard, wrong = 0, 0, []
    while struck < wanted:
        number = chance.choices((signal.SIGKILL, signal.SIGTERM, signal.SIGINT), (80, 10, 10))[0]
        code = run_command(folder, *words, moment=chance.uniform(0.0, length), number=number)
        if code == 0:
            break
        struck, hard = struck + 1, hard + (number == signal.SIGKILL)
        if code not in (-number, 1, 130):  # a Ctrl-C that is noticed ends with 1
            wrong.append(f"signal {number}: exit code {code}: {said(folder)[-300:]}")
    code = run_command(folder, *words)
    if code:
        wrong.append(f"the last one ended with {code}: {said(folder)[-300:]}")
    return struck, hard, wrong


def attack(trial: Trial, folder: Path, ready: Path, wanted: int, words: tuple[str, ...], what: str) -> None:
    """Kill a command in copies of a prepared folder until `wanted` kills are done, and record the row."""
    chance, wrong, struck, hard, number = random.Random(3), [], 0, 0, 0
    clean = Path(shutil.copytree(ready, folder / "clean"))
    run_command(clean, "create-run", "--run", RUN)  # now there is a process with torch to fork from
    began = time.monotonic()
    assert run_command(clean, *words) == 0, said(clean)
    length, record = time.monotonic() - began, all_of(clean)
    held = 0
    while struck < wanted:
        killed, number = Path(shutil.copytree(ready, folder / f"killed-{number}")), number + 1
        ours, ours_hard, bad = kills(killed, min(chance.randint(1, 5), wanted - struck), words, length, chance)
        struck, hard = struck + ours, hard + ours_hard
        found = all_of(killed)
        bad += [
            f"{name} is not the same"
            for name in sorted(found.keys() | record.keys())
            if found.get(name) != record.get(name)
        ]
        held += 0 if bad else ours
        wrong += bad
    trial.row("Kills", what, struck, held, "; ".join(wrong) or f"{hard} by SIGKILL, in {number} runs")


def test_a_training_killed_at_random_moments(trial: Trial, tmp_path: Path, here: None) -> None:
    ready = tmp_path / "ready"
    prepare(ready, trial.amount(120, 20))
    attack(
        trial,
        tmp_path,
        ready,
        trial.amount(50, 2),
        ("train", "--run", RUN),
        "`formation train` killed at a random moment, then run on",
    )


def test_a_sweep_killed_at_random_moments(trial: Trial, tmp_path: Path, here: None) -> None:
    if not trial.full:
        pytest.skip("done by make trials")
    ready = tmp_path / "ready"
    prepare(ready, trial.amount(40, 0))
    for command in ("train", "generate-probe-set"):
        assert formation(ready, command, "--run", RUN) == 0
    attack(
        trial,
        tmp_path,
        ready,
        trial.amount(10, 0),
        ("checkpoint-sweep", "--run", RUN),
        "`formation checkpoint-sweep` killed at a random moment, then run on",
    )


def test_a_training_killed_at_each_touch_of_the_disk(trial: Trial, tmp_path: Path) -> None:
    """Before or after each fsync, rename and deletion of a whole training."""
    record = record_of(train_here(tmp_path / "clean"))
    held = tried = 0
    for touch in range(1, trial.amount(1000, 3) + 1):
        folder = tmp_path / f"killed-{touch}"
        process = child(folder, kill_at=touch)
        process.join()
        if process.exitcode == 0:
            break
        tried += 1
        held += process.exitcode == -signal.SIGKILL and record_of(train_here(folder)) == record
        assert tiny_run(folder).folder.is_dir()
    trial.row("Kills", "a training killed before or after a touch of the disk, then run on", tried, held)
