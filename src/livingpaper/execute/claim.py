"""The claim to a task: of several attempts at it on the workers of a cluster, the latest one runs, and it runs alone.

When a worker is lost its job begins again elsewhere. The lost one may be dead, dying, or only cut off and
busy as ever. The claim is a file: who writes its own name into it has the task, who finds another name there gives up;
and a lock on it that the job's guard holds until the last process of the job is gone.
"""

import fcntl
import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from livingpaper.errors import StageFailed

_PATIENCE = 120.0  # seconds an earlier attempt may take to end; NFS keeps the locks of a machine that died for 90
_LOOK = 0.1


class Claim:
    """One attempt at a task."""

    def __init__(self, path: Path) -> None:
        self._path = path
        about = {"host": socket.gethostname(), "pid": os.getpid(), "attempt": uuid.uuid4().hex}
        self._name = json.dumps(about).encode()

    def stands(self) -> bool:
        """Whether no later attempt was begun."""
        try:
            return self._path.read_bytes() == self._name
        except OSError:
            return True

    @contextmanager
    def taken(self, wanted: Callable[[], bool]) -> Iterator[int | None]:
        """Displace earlier attempts, wait for their end, and yield the lock; `None` if no longer wanted."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            before = os.pread(descriptor, 4096, 0)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, self._name, 0)
            yield descriptor if _locked(descriptor, wanted, before) else None
        finally:
            os.close(descriptor)


def at_work(folder: Path) -> str | None:
    """Where a job with a claim in this folder still runs, if any does: its machine and the process of the worker."""
    for path in sorted(folder.glob("*/*.claim")):
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _spoken(file.read())
    return None


def _locked(descriptor: int, wanted: Callable[[], bool], before: bytes) -> bool:
    """Whether the lock was got before the attempt was given up."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return wanted()
        except BlockingIOError:
            if not wanted():
                return False
        if time.monotonic() > deadline:
            raise StageFailed(f"an earlier attempt is still at work in {_spoken(before)}; end it and build again")
        time.sleep(_LOOK)


def _spoken(name: bytes) -> str:
    try:
        about = json.loads(name)
        return f"process {about['pid']} on {about['host']}"
    except (ValueError, KeyError, TypeError):
        return "a process unknown"
