"""Small projects for tests of several folders: made far from this machine's artifacts, copied, swept and killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from formation.artifacts import Run, open_run

ROOT = Path(__file__).resolve().parents[2]
SHORT = ("training.steps=28", "training.checkpoint_every=4", "training.warmup=4")
STEPS = [0, 4, 8, 12, 16, 20, 24, 28]  # checkpoints of a run that is so short


@contextmanager
def own_artifacts() -> Iterator[None]:
    """Artifacts lie in the project that a test names, whatever the environment says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FORMATION_ARTIFACTS", raising=False)
        patch.delenv("LIVINGPAPER_PROJECT", raising=False)
        yield


def project(root: Path) -> Path:
    """An empty project with this one's parameters."""
    shutil.copytree(ROOT / "params", root / "params")
    return root


def copied(original: Path, root: Path) -> Run:
    """The run smoke-s1 of a copy of a project, to be damaged at will."""
    shutil.copytree(original, root)
    return open_run("smoke-s1", root)


def kill_after(run: Run, sweep: Callable[[Run], Path], folder: str, wanted: int) -> None:
    """Start a sweep in a process of its own and kill it once `wanted` checkpoints are finished in its folder."""
    code = (
        f"import time; import {sweep.__module__} as sweep; from formation.artifacts import open_run\n"
        "measure = sweep._measure\n"
        "sweep._measure = lambda *given: (time.sleep(0.2), measure(*given))[1]\n"
        f"sweep.{sweep.__name__}(open_run({run.name!r}))"
    )
    environment = {**os.environ, "LIVINGPAPER_PROJECT": str(run.root), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while _finished(run.path(folder)) < wanted and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the sweep ended before it could be killed"


def _finished(folder: Path) -> int:
    return len(list(folder.glob("step_*")))
