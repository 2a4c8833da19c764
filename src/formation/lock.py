"""One training, and one sweep of a kind, of a run at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from formation.artifacts import Run
from formation.errors import FormationError, TrainingError
from formation.room import no_room

TRAINING = "logs/training.lock"


@contextmanager
def only_training_of(run: Run) -> Iterator[None]:
    """Hold the run's training lock; raises `TrainingError` naming the process that holds it already."""
    with only_one(run, TRAINING, "trained", TrainingError):
        yield


@contextmanager
def only_one(run: Run, file: str, done: str, error: type[FormationError]) -> Iterator[None]:
    """Hold the lock `file` of the run; raises `error` naming the process by which the run is being `done` already.

    The operating system drops the lock of a process that dies, however it dies, so a stale one never blocks.
    """
    path = run.path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            raise error(
                f"{path}: run {run.name} is being {done} by process {holder}; wait for it to end, or stop it"
            ) from None
        _sign(descriptor, path, error)
        yield
    finally:
        os.close(descriptor)


def _sign(descriptor: int, path: Path, kind: type[FormationError]) -> None:
    """Write down who holds the lock."""
    line = f"{os.getpid()}\n".encode()
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, line, 0)
    except OSError as error:
        reason = no_room(error, path, len(line)) or f"{path}: cannot be written: {error.strerror}"
        raise kind(f"{reason}; make room and run again") from None
