"""One build at a time: a lock on `build/`, which the kernel releases when its holder and all its children are dead."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from livingpaper.errors import BusyError, PressError
from livingpaper.execute.claim import at_work
from livingpaper.room import no_room

_PATIENCE = 5.0  # seconds given to the children of a build that was killed
_FAR_PATIENCE = 20.0  # seconds given to its jobs on other machines, which look once a second and end politely


@contextmanager
def build_lock(folder: Path) -> Iterator[int]:
    """Hold the lock of a build folder and yield its descriptor; `BusyError` says who else holds it, and since when.

    Children that inherit the descriptor keep the lock until they are dead too, so a killed build's stages are gone
    before the next build begins.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+b") as file:
        _acquire(file)
        _sign(file.fileno(), folder / "lock")
        _await_jobs(folder / "cluster")
        yield file.fileno()


def _sign(descriptor: int, path: Path) -> None:
    """Write down who holds the lock, and since when."""
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    about = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode()
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, about, 0)
    except OSError as error:
        reason = no_room(error, path, len(about)) or f"{path}: {error.strerror}"
        raise PressError(f"{reason}; make room and build again") from None


def _acquire(file: IO[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = _holder(file)
            if _alive(holder) or time.monotonic() > deadline:
                raise BusyError(_sentence(holder)) from None
            time.sleep(0.05)


def _await_jobs(claims: Path) -> None:
    """Wait for jobs that a killed build left on the workers of its cluster; they look after it and end."""
    deadline = time.monotonic() + _FAR_PATIENCE
    while worker := at_work(claims):
        if time.monotonic() > deadline:
            raise BusyError(
                f"build/lock: a job of a killed build is still being ended ({worker}); try again in a moment"
            )
        time.sleep(0.05)


def _holder(file: IO[bytes]) -> dict[str, Any]:
    file.seek(0)
    try:
        data = json.loads(file.read())
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _alive(holder: dict[str, Any]) -> bool:
    """Whether the holder still runs; one on another host is taken to be alive, one not yet written down is not."""
    if holder.get("host") != socket.gethostname():
        return bool(holder)
    try:
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, KeyError, ValueError, TypeError):
        return True
    return True


def _sentence(holder: dict[str, Any]) -> str:
    who = f"process {holder.get('pid', 'unknown')} on {holder.get('host', 'an unknown host')}"
    if not _alive(holder):
        return f"build/lock: the stages of a killed build ({who}) are still being ended; try again in a moment"
    since = holder.get("since", "just now")
    return f"build/lock: another build is at work here since {since} ({who}); wait for it or end it"
