"""One build at a time, and never a lock without a holder."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from livingpaper.errors import BusyError
from livingpaper.execute import lock as locks
from livingpaper.execute.lock import build_lock

HOLD = """
import subprocess, sys, time
from pathlib import Path
from livingpaper.execute.lock import build_lock
with build_lock(Path(sys.argv[1])) as lock:
    if "with a stage" in sys.argv:
        subprocess.Popen(["sleep", "1"], pass_fds=(lock,), stdout=subprocess.DEVNULL)
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def holder(folder: Path, *words: str) -> Iterator[int]:
    """Process id of a build that holds the lock; it is killed at the end."""
    command = [sys.executable, "-c", HOLD, str(folder), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process.pid
        finally:
            process.kill()


def test_the_second_build_says_who_holds_the_lock_and_since_when(tmp_path: Path) -> None:
    host = re.escape(socket.gethostname())
    with holder(tmp_path) as pid:
        said = rf"build/lock: another build is at work here since \d{{4}}-.*process {pid} on {host}"
        with pytest.raises(BusyError, match=said), build_lock(tmp_path):
            pass
    with build_lock(tmp_path):  # a dead holder holds nothing
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_a_lock_can_be_taken_again_and_again(tmp_path: Path) -> None:
    for _ in range(3):
        with build_lock(tmp_path / "build"):
            pass


def test_the_stages_of_a_killed_build_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They inherit the lock: it is free when the last of them is gone, not when the build is."""
    with holder(tmp_path, "with a stage"):
        pass
    monkeypatch.setattr(locks, "_PATIENCE", 0.1)
    with pytest.raises(BusyError, match=r"the stages of a killed build .* are still being ended"), build_lock(tmp_path):
        pass
    monkeypatch.setattr(locks, "_PATIENCE", 20.0)
    began = time.monotonic()
    with build_lock(tmp_path):
        assert time.monotonic() - began < 10
