"""One training of a run at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from formation.artifacts import Run
from formation.errors import TrainingError
from formation.room import no_room

FILE = "logs/training.lock"


@contextmanager
def only_training_of(run: Run) -> Iterator[None]:
    """Hold the run's training lock; raises `TrainingError` naming the process that holds it already.

    The operating system drops the lock of a process that dies, however it dies, so a stale one never blocks.
    """
    path = run.path(FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            raise TrainingError(
                f"{path}: run {run.name} is being trained by process {holder}; wait for it to end, or stop it"
            ) from None
        _sign(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _sign(descriptor: int, path: Path) -> None:
    """Write down who holds the lock."""
    line = f"{os.getpid()}\n".encode()
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, line, 0)
    except OSError as error:
        reason = no_room(error, path, len(line)) or f"{path}: cannot be written: {error.strerror}"
        raise TrainingError(f"{reason}; make room and run again") from None
