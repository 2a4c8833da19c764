"""One command as a guarded child process: its log, its environment, its end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_WARDEN = Path(__file__).with_name("warden.py")
_live: set["subprocess.Popen[bytes]"] = set()
_guard = threading.Lock()
_ending = threading.Event()


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


def run_job(job: Job) -> Ended:
    """Run a job to its end; what an executor is given."""
    began = time.monotonic()
    Path(job.log).parent.mkdir(parents=True, exist_ok=True)
    environment = _environment(job)
    command = [sys.executable, "-I", "-S", str(_WARDEN), str(os.getpid()), *_resolved(job.command)]
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
            code = process.wait()
        finally:
            with _guard:
                _live.discard(process)
    return Ended(code if code >= 0 else 128 - code, time.monotonic() - began)


def end_all() -> None:
    """Ask every running job of this process to end, and let no other begin until `allow`."""
    with _guard:
        _ending.set()
        for process in _live:
            process.send_signal(signal.SIGTERM)


def allow() -> None:
    """Let jobs begin again, after `end_all`."""
    _ending.clear()


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
