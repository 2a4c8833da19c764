"""One command as a guarded child process: its log, its environment, its end."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_WARDEN = Path(__file__).with_name("warden.py")
_MARK = "LIVINGPAPER_JOB"  # variable that all processes of a job inherit, unlike sessions, groups and parents
KILLED = 128  # exit codes from here on: a signal ended the command
_live: set["subprocess.Popen[bytes]"] = set()
_guard = threading.Lock()
_ending = threading.Event()
_LOOK = 1.0  # seconds between looks whether a job is still wanted


@dataclass(frozen=True)
class Job:
    """A command to run; plain data, so that an executor on another machine can be handed it."""

    command: tuple[str, ...]
    folder: str
    environment: Mapping[str, str]
    log: str
    threads: int = 1
    inherit: tuple[int, ...] = ()  # descriptors the guard holds open, such as the build's lock


@dataclass(frozen=True)
class Ended:
    """How a job ended: exit code (128 + signal if one ended it) and wall time."""

    code: int
    seconds: float


def run_job(job: Job, wanted: Callable[[], bool] | None = None) -> Ended:
    """Run a job to its end, which is asked for as soon as it is no longer wanted; what an executor is given."""
    began = time.monotonic()
    Path(job.log).parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex
    environment = {**_environment(job), _MARK: mark}
    command = guarded(_resolved(job.command))
    with open(job.log, "wb") as log:
        with _guard:
            if _ending.is_set():
                return Ended(128 + signal.SIGTERM, 0.0)
            process = subprocess.Popen(
                command,
                cwd=job.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=job.inherit,
            )
            _live.add(process)
        try:
            code = process.wait() if wanted is None else _watched(process, wanted)
        finally:
            with _guard:
                _live.discard(process)
    if code < 0:  # somebody killed the guard
        _kill_marked(mark)
    return Ended(code if code >= 0 else 128 - code, time.monotonic() - began)


def _watched(process: "subprocess.Popen[bytes]", wanted: Callable[[], bool]) -> int:
    """The exit code of a process that is asked to end when it is no longer wanted."""
    while True:
        try:
            return process.wait(_LOOK)
        except subprocess.TimeoutExpired:
            if not wanted():
                process.send_signal(signal.SIGTERM)
                return process.wait()


def guarded(command: Sequence[str]) -> list[str]:
    """The command under a guard that ends it, and all it started, when this process dies."""
    return [sys.executable, "-I", "-S", str(_WARDEN), str(os.getpid()), *command]


def end_all() -> None:
    """Ask every running job of this process to end, and let no other begin until `allow`."""
    with _guard:
        _ending.set()
        for process in _live:
            process.send_signal(signal.SIGTERM)


def allow() -> None:
    """Let jobs begin again, after `end_all`."""
    _ending.clear()


def _kill_marked(mark: str) -> None:
    """Kill what a job left behind whose guard was killed, until none of it runs."""
    for _ in range(200):
        living = _marked(mark)
        if not living:
            return
        for pid in living:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _marked(mark: str) -> list[int]:
    """Living processes with the mark of a job, from /proc; none where there is no /proc."""
    wanted, found = f"{_MARK}={mark}".encode(), []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # of another user, or just gone; the dead have no environment
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def _environment(job: Job) -> dict[str, str]:
    """This process's environment, quiet threads, the project's own programs first on PATH, and the job's variables."""
    threads = str(job.threads)
    programs = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "OMP_WAIT_POLICY": "PASSIVE",
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        **job.environment,
    }


def _resolved(command: tuple[str, ...]) -> list[str]:
    """The command with `python` and programs of the project's environment by their full path."""
    beside = Path(sys.executable).parent / command[0]
    if command[0] == "python":
        return [sys.executable, *command[1:]]
    return [str(beside) if "/" not in command[0] and beside.is_file() else command[0], *command[1:]]
