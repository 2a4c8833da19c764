"""A run small enough to be trained dozens of times, and children that train it and die."""

import hashlib
import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.streams import Special
from formation.training.loop import train_on
from formation.training.state import Streams

ROOT = Path(__file__).resolve().parents[3]
SIZES = (
    "model={d_model: 16, layers: 2, heads: 2, d_ff: 24, context: 24}",
    "benchmark.train_streams=50",
    "training={steps: 30, batch: 8, warmup: 4, checkpoint_every: 7, log_every: 3}",
)

# one import of torch, and of what its optimizers load, for all children: they are forked from a server that has it
_CHILDREN = multiprocessing.get_context("forkserver")
_CHILDREN.set_forkserver_preload(["formation.training.loop", "torch._dynamo"])


def tiny_run(folder: Path, name: str = "smoke-s1", *overrides: str) -> Run:
    """A run below `folder`, with its `params.json`."""
    os.environ["FORMATION_ARTIFACTS"] = str(folder)
    return artifacts.create_run(name, ROOT, [*SIZES, *overrides])


def streams(count: int = 50, seed: int = 0) -> Streams:
    """Random tokens of the smoke vocabulary in streams of 12 to 20 tokens."""
    rng = np.random.default_rng(seed)
    length = rng.integers(12, 21, size=count)
    tokens = rng.integers(len(Special), 48, size=(count, 20))
    tokens[np.arange(20) >= length[:, None]] = Special.PAD
    return Streams(tokens, length)


def train_here(folder: Path, name: str = "smoke-s1", *overrides: str) -> Run:
    """The run, trained in this process."""
    run = tiny_run(folder, name, *overrides)
    train_on(run, streams())
    return run


def child(folder: Path, *overrides: str, kill_at: int | None = None) -> BaseProcess:
    """A started process that trains the tiny run; it kills itself at its `kill_at`-th touch of the disk."""
    process = _CHILDREN.Process(target=_train_in_child, args=(folder, overrides, kill_at))
    process.start()
    return process


def _train_in_child(folder: Path, overrides: tuple[str, ...], kill_at: int | None) -> None:
    run = tiny_run(folder, "smoke-s1", *overrides)
    if kill_at is not None:
        _die_at(kill_at)
    train_on(run, streams())


def _die_at(count: int) -> None:
    """Let the `count`-th fsync, rename or deletion kill this process, just before or just after it happens."""
    left, before = [count], random.Random(count).random() < 0.5

    def deadly(call: Callable[..., object]) -> Callable[..., object]:
        def touch(*args: object, **named: object) -> object:
            left[0] -= 1
            if left[0] == 0 and before:
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*args, **named)
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return touch

    for name in ("fsync", "replace", "unlink"):
        setattr(os, name, deadly(getattr(os, name)))


def record_of(run: Run) -> dict[str, str]:
    """Digest of every file of a run that belongs to the record: all but its logs."""
    files = (file for file in run.folder.rglob("*") if file.is_file() and "logs" not in file.parts)
    return {str(file.relative_to(run.folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
