"""Builds on a real Dask cluster: same bytes as here, whoever is killed; what does not fit is told in one line."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.livingpaper.conftest import Paper
from tests.livingpaper.execute.grid import Grid, grid, soon
from tests.livingpaper.execute.test_kill import parts, running_in

pytestmark = pytest.mark.xdist_group("cluster")


def start(paper: Paper, *cluster: str, preset: str = "slow", first: str = "pass") -> "subprocess.Popen[bytes]":
    """Begin a build, on a cluster if one is named; `first` is done in its process before."""
    program = f"import livingpaper.cli, livingpaper.execute.cluster as cluster; {first}; livingpaper.cli.main()"
    words = ["build", "--preset", preset, "--no-render", *(word for name in cluster for word in ("--cluster", name))]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVINGPAPER_")}
    with (paper.root / "err").open("wb") as err:
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program, *words],
            cwd=paper.root,
            env=environment,
            stdout=err,
            stderr=err,
        )


def said(paper: Paper) -> str:
    return (paper.root / "err").read_text()


def finished(paper: Paper, process: "subprocess.Popen[bytes]", code: int = 0) -> str:
    """What a build said that ended with this exit code, and said nothing it should not."""
    assert process.wait(120) == code, said(paper)
    assert "Traceback" not in said(paper)
    assert "distributed" not in said(paper)
    return said(paper)


def refused(paper: Paper, address: str) -> str:
    """The one line with which a build on this cluster is refused."""
    told = finished(paper, start(paper, address, preset="tiny"), 2)
    assert told.count("\n") == 1
    return told


def chapters(paper: Paper) -> dict[str, bytes]:
    folder = paper.root / "build" / "chapters"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.ipynb")}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """A scheduler with one worker that no test kills."""
    with grid(tmp_path_factory.mktemp("grid"), workers=1) as made:
        yield made


@pytest.fixture
def second(cluster: Grid) -> Iterator["subprocess.Popen[bytes]"]:
    """Another worker, for one test."""
    process = cluster.worker()
    yield process
    if process.poll() is None:
        cluster.kill(process)


@pytest.fixture(scope="module")
def undisturbed(built_stages: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The artifacts of the slow preset, built on this machine."""
    import shutil

    paper = Paper(Path(shutil.copytree(built_stages, tmp_path_factory.mktemp("undisturbed") / "paper")))
    assert paper.build("slow").failures == []
    return {name: data for name, data in paper.artifacts().items() if "slow" in name}


@pytest.mark.slow
def test_two_workers_make_the_same_bytes_as_this_machine(
    cluster: Grid, second: object, fresh: Paper, built_paper: Path
) -> None:
    told = finished(fresh, start(fresh, cluster.address, preset="tiny"))
    assert told.startswith("cluster: 2 workers with 2 threads\n")
    assert "13 of 13 stages and chapters executed" in told
    assert fresh.artifacts() == Paper(built_paper).artifacts()
    assert chapters(fresh) == chapters(Paper(built_paper))
    assert fresh.build().executed == [], "what a cluster made is up to date on this machine"
    assert list((fresh.root / "build" / "cluster").glob("*.lease")) == []


def test_a_worker_killed_in_the_midst(
    cluster: Grid, second: "subprocess.Popen[bytes]", fresh_stages: Paper, undisturbed: dict[str, bytes]
) -> None:
    process = start(fresh_stages, cluster.address)
    assert soon(lambda: len({path.parent for path in parts(fresh_stages)}) == 2), said(fresh_stages)
    cluster.kill(second)
    told = finished(fresh_stages, process)
    assert fresh_stages.artifacts() == undisturbed
    assert re.search(r"cluster: 1 worker with 1 thread\n", told)
    assert running_in(fresh_stages.root) == []


def test_the_only_worker_is_killed_and_another_comes(
    tmp_path: Path, fresh_stages: Paper, undisturbed: dict[str, bytes]
) -> None:
    with grid(tmp_path, workers=1) as made:
        process = start(fresh_stages, made.address)
        assert soon(lambda: parts(fresh_stages)), said(fresh_stages)
        made.kill(made.processes[-1])
        made.worker()
        finished(fresh_stages, process)
    assert fresh_stages.artifacts() == undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_when_the_build_ends_its_jobs_on_the_workers_end(
    cluster: Grid, fresh_stages: Paper, undisturbed: dict[str, bytes], number: signal.Signals
) -> None:
    fresh_stages.edit("params/slow.yml", "pause: 0.05", "pause: 5")
    process = start(fresh_stages, cluster.address)
    assert soon(lambda: parts(fresh_stages)), said(fresh_stages)
    process.send_signal(number)
    if number == signal.SIGINT:
        assert finished(fresh_stages, process, 130).endswith("build again to go on\n")
    else:
        process.wait()
        assert running_in(fresh_stages.root), "nobody could tell the worker yet"
    fresh_stages.edit("params/slow.yml", "pause: 5", "pause: 0.05")
    finished(fresh_stages, start(fresh_stages))
    assert {name: data for name, data in fresh_stages.artifacts().items() if "slow" in name} == undisturbed
    assert running_in(fresh_stages.root) == []


def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path, fresh_stages: Paper) -> None:
    assert "expected an address as the scheduler prints it" in refused(fresh_stages, "node1:8786")
    assert "no scheduler answers there" in refused(fresh_stages, "tcp://127.0.0.1:9")
    with grid(tmp_path) as made:
        assert "no worker is connected; start some: dask worker" in refused(fresh_stages, made.address)
        for spoiled, reason in SPOILED.items():
            main = "from distributed.cli.dask_worker import main; main()"
            worker = made.worker(("-c", f"import sys, platform; {spoiled}; {main}"))
            told = refused(fresh_stages, made.address)
            assert re.search(rf"worker tcp://127.0.0.1:\d+ does not fit: .*{reason}", told), told
            made.kill(worker)
    assert list((fresh_stages.root / "artifacts").rglob("*.json")) == []


SPOILED = {
    "sys.modules['livingpaper'] = None": "its Python has no livingpaper like this one's .*dask worker",
    "platform.machine = lambda: 'abacus'": "a processor abacus there, .* here; start the workers from",
}


@pytest.mark.slow
def test_workers_come_and_go(tmp_path: Path, fresh_stages: Paper, undisturbed: dict[str, bytes]) -> None:
    fresh_stages.edit("params/slow.yml", "pause: 0.05", "pause: 1.5")
    with grid(tmp_path, workers=1) as made:
        process = start(fresh_stages, made.address)
        assert soon(lambda: parts(fresh_stages)), said(fresh_stages)
        main = "from distributed.cli.dask_worker import main; main()"
        made.worker(("-c", f"import platform; platform.machine = lambda: 'abacus'; {main}"))
        assert soon(lambda: "1 worker with 1 thread; left out: worker" in said(fresh_stages)), said(fresh_stages)
        made.worker(threads=2)
        told = finished(fresh_stages, process)
    assert "2 workers with 3 threads; left out: worker" in told
    assert fresh_stages.artifacts() == undisturbed


def test_a_stage_that_kills_its_workers_fails_and_the_rest_goes_on(tmp_path: Path, fresh_stages: Paper) -> None:
    """The guard's parent is the worker; where one may die over a job, two are enough."""
    fresh_stages.edit(
        "src/tinylab/measure.py",
        '    dice = door.section(run, "dice")\n',
        '    dice = door.section(run, "dice")\n'
        "    import os, pathlib, signal\n"
        "    guard = pathlib.Path(f'/proc/{os.getppid()}/stat').read_text().split()\n"
        "    if run.endswith('1'):\n"
        "        os.kill(int(guard[3]), signal.SIGKILL)\n",
    )
    with grid(tmp_path, workers=3) as made:
        told = finished(fresh_stages, start(fresh_stages, made.address, preset="tiny", first="cluster._ALLOWED = 1"), 1)
    assert (
        "stage measure of tiny-s1 failed (exit code 137): workers that died over this: 2, the last was tcp://" in told
    )
    assert "tiny-s2/measure: done" in told
    assert "tiny/choose: skipped: stage measure of tiny-s1 failed" in told


def test_without_any_worker_a_build_gives_up(tmp_path: Path, fresh_stages: Paper) -> None:
    fresh_stages.edit("params/slow.yml", "pause: 0.05", "pause: 3")
    with grid(tmp_path, workers=1) as made:
        process = start(fresh_stages, made.address, first="cluster._PATIENCE = 1.0")
        assert soon(lambda: parts(fresh_stages)), said(fresh_stages)
        made.kill(made.processes[-1])
        told = finished(fresh_stages, process, 2)
    assert "all workers are gone, since 1 s; everything finished is kept: start workers and build again" in told
    assert running_in(fresh_stages.root) == []


def test_a_scheduler_that_dies_ends_the_build(tmp_path: Path, fresh_stages: Paper) -> None:
    fresh_stages.edit("params/slow.yml", "pause: 0.05", "pause: 3")
    with grid(tmp_path, workers=1) as made:
        process = start(fresh_stages, made.address)
        assert soon(lambda: parts(fresh_stages)), said(fresh_stages)
        made.kill(made.scheduler)
        told = finished(fresh_stages, process, 2)
        assert told.splitlines()[-1].endswith("the connection to the scheduler broke; build again to go on")
        assert soon(lambda: running_in(fresh_stages.root) == [], 10)
