"""Workers and builds killed at random moments on a real cluster: the paper ends in the same bytes, nothing runs on."""

import random
import time
from pathlib import Path

import pytest

from tests.livingpaper.conftest import Paper
from tests.livingpaper.execute.grid import grid, soon
from tests.livingpaper.execute.test_cluster import said, start
from tests.livingpaper.execute.test_kill import running_in
from tests.trials.conftest import Trial

pytestmark = pytest.mark.xdist_group("cluster")


def same(paper: Paper, undisturbed: dict[str, bytes]) -> bool:
    """Whether a build ended in the bytes of one that nobody disturbed, with nothing left running."""
    return paper.artifacts() == undisturbed and soon(lambda: running_in(paper.root) == [], 10)


@pytest.fixture
def undisturbed(fresh_stages: Paper) -> dict[str, bytes]:
    """The artifacts of a build on this machine; the project is left as if nothing had been built."""
    assert fresh_stages.build("slow").failures == []
    made = fresh_stages.artifacts()
    wipe(fresh_stages)
    return made


def wipe(paper: Paper) -> None:
    import shutil

    for name in ("artifacts", "build"):
        shutil.rmtree(paper.root / name)


def test_workers_killed_at_random(
    tmp_path: Path, fresh_stages: Paper, undisturbed: dict[str, bytes], trial: Trial
) -> None:
    chance, tried, held = random.Random(11), trial.amount(full=12, short=1), 0
    with grid(tmp_path, workers=1) as made:
        for _ in range(tried):
            victim = made.worker()
            build = start(fresh_stages, made.address)
            assert soon(lambda: ": began" in said(fresh_stages)), said(fresh_stages)
            time.sleep(chance.random() * 0.8)
            made.kill(victim)
            held += build.wait(120) == 0 and same(fresh_stages, undisturbed)
            wipe(fresh_stages)
    trial.row("Cluster", "one of two workers killed in the midst of a build", tried, held, "same bytes, no orphan")


def test_builds_killed_at_random(
    tmp_path: Path, fresh_stages: Paper, undisturbed: dict[str, bytes], trial: Trial
) -> None:
    """Each build goes on from what the one before it left, at once, on the same workers."""
    chance, tried, held = random.Random(13), trial.amount(full=10, short=1), 0
    with grid(tmp_path, workers=2) as made:
        for _ in range(tried):
            build = start(fresh_stages, made.address)
            assert soon(lambda: ": began" in said(fresh_stages)), said(fresh_stages)
            time.sleep(chance.random() * 0.8)
            build.kill()
            build.wait()
            again = start(fresh_stages, made.address)
            held += again.wait(120) == 0 and same(fresh_stages, undisturbed)
            wipe(fresh_stages)
    trial.row("Cluster", "the build killed while its jobs ran on workers", tried, held, "the next goes on at once")
