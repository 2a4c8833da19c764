"""A build that is killed leaves nothing running and nothing half-done: building again ends in the same bytes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.livingpaper.conftest import Paper

BUILD = [sys.executable, "-m", "livingpaper.cli", "build", "--preset", "slow", "--no-render", "--jobs", "2"]


def start(paper: Paper) -> "subprocess.Popen[bytes]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVINGPAPER_")}
    with (paper.root / "err").open("wb") as err:
        return subprocess.Popen(BUILD, cwd=paper.root, env=environment, stdout=subprocess.DEVNULL, stderr=err)


def running_in(root: Path) -> list[str]:
    """Processes whose working folder is the project."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and Path(os.readlink(entry / "cwd")) == root:
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def parts(paper: Paper) -> list[Path]:
    return list((paper.root / "artifacts" / "runs").rglob("part_*.json"))


@pytest.fixture
def clean(fresh_stages: Paper) -> dict[str, bytes]:
    """The artifacts of an undisturbed build."""
    fresh_stages.build("slow")
    return fresh_stages.artifacts()


def test_killed_and_interrupted_builds_end_in_the_same_bytes(clean: dict[str, bytes], stages: Paper) -> None:
    chance = random.Random(7)
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        process = start(stages)
        wanted = len(parts(stages)) + 1
        deadline = time.monotonic() + 20
        while len(parts(stages)) < wanted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(chance.random() * 0.08)
        process.send_signal(number)
        code = process.wait(20)
        if number != signal.SIGKILL and code != 0:
            assert code == 130
            assert "interrupted; everything finished is kept" in (stages.root / "err").read_text()
        deadline = time.monotonic() + 5
        while running_in(stages.root) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert running_in(stages.root) == []
    process = start(stages)
    assert process.wait(60) == 0, (stages.root / "err").read_text()
    slow = {name: data for name, data in stages.artifacts().items() if "slow" in name}
    assert slow == {name: data for name, data in clean.items() if "slow" in name}


def test_a_killed_stage_has_no_manifest_and_goes_on_from_its_parts(fresh_stages: Paper) -> None:
    process = start(fresh_stages)
    deadline = time.monotonic() + 20
    while not parts(fresh_stages) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
    first = parts(fresh_stages)[0]
    inode = first.stat().st_ino
    time.sleep(0.3)
    assert not (fresh_stages.root / "build/manifests" / first.parts[-3] / "throw.json").exists()
    built = fresh_stages.build("slow")
    assert built.results[f"{first.parts[-3]}/throw"].reason == "it failed or was interrupted"
    assert first.stat().st_ino == inode, "a part that was finished is not made again"


def test_two_builds_at_once(fresh_stages: Paper) -> None:
    first = start(fresh_stages)
    deadline = time.monotonic() + 20
    while not parts(fresh_stages) and time.monotonic() < deadline:
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)  # on a busy machine it might be done before the second begins
    try:
        second = subprocess.run(BUILD, cwd=fresh_stages.root, capture_output=True, text=True, check=False)
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert f"process {first.pid} on" in second.stderr
    assert second.stderr.count("\n") == 1
    assert first.wait(60) == 0
