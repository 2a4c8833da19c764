"""What a worker of a cluster does: prove that it fits the build, and run jobs only as long as the build wants them.

A worker runs in another process, mostly on another machine, and shares nothing with the build but a folder. So locks in
that folder say everything: the *lease*, which the build holds while it lives, and a *claim* for each task.
"""

import fcntl
import functools
import hashlib
import platform
import re
import signal
import socket
import sys
import sysconfig
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from livingpaper.errors import StageFailed
from livingpaper.execute.claim import Claim
from livingpaper.execute.processes import Ended, Job

_HOST_LOCAL = ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR")  # sockets and databases, which shared folders do badly
_PRESS = ("remote.py", "claim.py", "processes.py", "warden.py")


@dataclass(frozen=True)
class Survey:
    """What the results of a job depend on besides its inputs, and the state of the press that carries it out."""

    python: str
    processor: str
    press: str
    packages: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Pact:
    """What a build and its workers must have in common; goes with every job."""

    root: str
    lease: str
    survey: Survey


def _loaded() -> str:
    """Digest of the files this process has its part of the press from; taken at import, as they may be edited later."""
    folder = Path(__file__).parent
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in _PRESS)).hexdigest()[:12]


_LOADED = _loaded()


@functools.cache
def survey() -> Survey:
    """What this process runs with."""
    from importlib.metadata import distributions

    installed = distributions(path=[sysconfig.get_path("purelib")])
    found = {re.sub(r"[-_.]+", "-", one.name).lower(): one.version for one in installed if one.name}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Survey(python, platform.machine(), _LOADED, tuple(sorted(found.items())))


def difference(wanted: Survey, found: Survey) -> str | None:
    """How a survey differs from the build's, in half a sentence; packages that only it has do not count."""
    if found.python != wanted.python:
        return f"Python {found.python} there, {wanted.python} here"
    if found.processor != wanted.processor:
        return f"a processor {found.processor} there, {wanted.processor} here"
    there = dict(found.packages)
    for name, version in wanted.packages:
        if there.get(name) != version:
            return f"{name} {there.get(name, 'is not installed')} there, {version} here"
    if found.press != wanted.press:
        return "an older or newer state of livingpaper there than here"
    return None


def unfit(pact: Pact) -> str | None:
    """Why this process cannot carry out jobs of a build, if so."""
    if not Path(pact.root).is_dir():
        return f"there is no {pact.root} there; the workers need the project's folder under the same path"
    if not Path(pact.lease).is_file():
        return f"{pact.root} there is another folder than here; the workers need to share the build's"
    unlike = difference(pact.survey, survey())
    return f"{unlike}; start the workers from the environment of the build, anew" if unlike else None


def held(lease: str) -> bool:
    """Whether the build that took the lease still lives; the kernel gives its lock back whatever ends it."""
    try:
        with open(lease, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except OSError:  # locked; or the folder does not answer just now, which says nothing
        return True


def hold(pact: Pact, run: Callable[..., Ended], job: Job) -> Ended:
    """Run a job of a build: not beside an earlier attempt at it, and not longer than the build lives."""
    began = time.monotonic()
    wrong = unfit(pact) if held(pact.lease) else None
    if wrong:
        raise StageFailed(f"the worker on {socket.gethostname()} does not fit: {wrong}")
    log = Path(job.log)
    claim = Claim(Path(pact.lease).parent / log.parent.name / f"{log.stem}.claim")

    def wanted() -> bool:
        return held(pact.lease) and claim.stands()

    local = [name for name in _HOST_LOCAL if name in job.environment]
    place = TemporaryDirectory(prefix="livingpaper-") if local else nullcontext("")
    with claim.taken(wanted) as descriptor, place as scratch:
        if descriptor is None:
            return Ended(128 + signal.SIGTERM, time.monotonic() - began)
        _forget(job)
        environment = {**job.environment, **dict.fromkeys(local, scratch)}
        return run(replace(job, environment=environment, inherit=(descriptor,)), wanted)


def _forget(job: Job) -> None:
    """Remove what an attempt on a worker that died had recorded."""
    for name in ("LIVINGPAPER_READS", "LIVINGPAPER_PROGRESS"):
        with suppress(KeyError):
            Path(job.environment[name]).unlink(missing_ok=True)
