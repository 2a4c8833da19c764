"""Leases and claims: who is wanted, who gives up, and what a worker has to have in common with the build."""

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from livingpaper.errors import BusyError, StageFailed
from livingpaper.execute import claim as claims
from livingpaper.execute import lock as locks
from livingpaper.execute import processes, remote
from livingpaper.execute.claim import Claim, at_work
from livingpaper.execute.cluster import roomiest
from livingpaper.execute.lease import Lease
from livingpaper.execute.lock import build_lock
from livingpaper.execute.processes import Ended, Job, run_job
from livingpaper.execute.remote import Pact, difference, held, hold, survey, unfit
from tests.livingpaper.execute.grid import soon

HOLDER = "import sys, time; from livingpaper.execute.lease import Lease; from pathlib import Path\n"
HOLDER += "with Lease(Path(sys.argv[1])): time.sleep(60)"


def job(folder: Path, code: str, **environment: str) -> Job:
    return Job(("python", "-c", code), str(folder), environment, str(folder / "logs" / "run" / "stage.log"))


def pact(folder: Path, lease: Lease) -> Pact:
    return Pact(str(folder), str(lease.path), survey())


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_LOOK", 0.05)


def test_a_lease_is_held_until_it_is_released(tmp_path: Path) -> None:
    with Lease(tmp_path / "cluster") as lease:
        assert held(str(lease.path))
        lease.release()
        assert not held(str(lease.path))
    assert list(lease.folder.iterdir()) == []


def test_a_lease_ends_with_its_holder_and_is_tidied_away(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)])
    assert soon(lambda: any(held(str(path)) for path in tmp_path.glob("*.lease")))
    left = next(tmp_path.glob("*.lease"))
    with Lease(tmp_path):
        assert left.exists(), "a lease that is held is nobody else's to remove"
    holder.kill()
    holder.wait()
    assert not held(str(left))
    with Lease(tmp_path) as lease:
        assert list(tmp_path.glob("*.lease")) == [lease.path]


def test_a_job_ends_soon_after_its_lease(tmp_path: Path) -> None:
    results: list[Ended] = []
    with Lease(tmp_path / "cluster") as lease:
        code = "open('begun', 'w'); import time; time.sleep(60)"
        thread = Thread(target=lambda: results.append(hold(pact(tmp_path, lease), run_job, job(tmp_path, code))))
        thread.start()
        assert soon((tmp_path / "begun").exists)
        assert at_work(lease.folder) == f"process {os.getpid()} on {os.uname().nodename}"
        began = time.monotonic()
        lease.release()
        thread.join(20)
        assert results[0].code == 128 + signal.SIGTERM
        assert results[0].seconds < 30
        assert time.monotonic() - began < 10
        assert at_work(lease.folder) is None
        assert hold(pact(tmp_path, lease), run_job, job(tmp_path, "open('late', 'w')")).code == 128 + signal.SIGTERM
        assert not (tmp_path / "late").exists()


def test_a_later_attempt_ends_the_earlier_and_waits_for_it(tmp_path: Path) -> None:
    """Both write down when they ran; never both at once."""
    code = "import os, time\nwith open('ran', 'a') as f: f.write('in ')\ntry: time.sleep({})\n"
    code += "finally:\n with open('ran', 'a') as f: f.write('out ')"
    stubborn = "import signal; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), exit(9)))\n"
    first, second = stubborn.replace("import signal", "import time, signal") + code.format(60), code.format(0)
    results: list[Ended] = []
    with Lease(tmp_path / "cluster") as lease:
        shared = pact(tmp_path, lease)
        thread = Thread(target=lambda: results.append(hold(shared, run_job, job(tmp_path, first))))
        thread.start()
        assert soon(lambda: (tmp_path / "ran").exists() and (tmp_path / "ran").read_text() == "in ")
        assert hold(shared, run_job, job(tmp_path, second)).code == 0
        thread.join(20)
    assert (tmp_path / "ran").read_text() == "in out in out "
    assert results[0].code == 9


def test_an_earlier_attempt_that_never_ends_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_PATIENCE", 0.2)
    path = tmp_path / "run" / "stage.claim"
    with Claim(path).taken(lambda: True) as first:
        assert first is not None
        later = Claim(path)
        with pytest.raises(StageFailed, match=rf"still at work in process {os.getpid()} on"), later.taken(later.stands):
            pass


def test_of_two_that_wait_the_later_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "run" / "stage.claim"
    waiting, last = Claim(path), Claim(path)
    got: dict[str, bool] = {}

    def take(name: str, claim: Claim) -> None:
        with claim.taken(claim.stands) as descriptor:
            got[name] = descriptor is not None

    with Claim(path).taken(lambda: True):
        threads = []
        for name, claim in (("waiting", waiting), ("last", last)):
            threads.append(Thread(target=take, args=(name, claim)))
            threads[-1].start()
            assert soon(claim.stands)
    for thread in threads:
        thread.join(10)
    assert got == {"waiting": False, "last": True}


def test_a_build_waits_for_jobs_that_a_killed_one_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_FAR_PATIENCE", 0.3)
    held_claim = Claim(tmp_path / "cluster" / "run" / "stage.claim")
    told = rf"still being ended \(process {os.getpid()} on .*\); try again"
    with held_claim.taken(lambda: True), pytest.raises(BusyError, match=told), build_lock(tmp_path):
        pass
    with build_lock(tmp_path):
        pass


def test_what_an_attempt_recorded_is_forgotten_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "reads").write_text('{"path": "half of a li')
    again = job(tmp_path, "import os; assert not os.path.exists('reads')", LIVINGPAPER_READS=str(tmp_path / "reads"))
    with Lease(tmp_path / "cluster") as lease:
        assert hold(pact(tmp_path, lease), run_job, again).code == 0


def test_kernels_keep_sockets_and_databases_on_their_machine(tmp_path: Path) -> None:
    code = "import os, json; json.dump([os.environ['IPYTHONDIR'], os.environ['HOME2']], open('env', 'w'))"
    with Lease(tmp_path / "cluster") as lease:
        hold(pact(tmp_path, lease), run_job, job(tmp_path, code, IPYTHONDIR=str(tmp_path), HOME2="x"))
    scratch, other = json.loads((tmp_path / "env").read_text())
    assert not Path(scratch).is_relative_to(tmp_path)
    assert not Path(scratch).exists(), "removed with the job"
    assert other == "x"


def test_what_goes_to_a_worker_can_be_sent(tmp_path: Path) -> None:
    with Lease(tmp_path) as lease:
        shared = pact(tmp_path, lease)
    assert pickle.loads(pickle.dumps((shared, hold))) == (shared, hold)
    error = pickle.loads(pickle.dumps(StageFailed("it broke")))
    assert (type(error), str(error)) == (StageFailed, "it broke")


def test_a_folder_that_is_not_the_builds_is_told(tmp_path: Path) -> None:
    with Lease(tmp_path / "cluster") as lease:
        shared = pact(tmp_path, lease)
        assert unfit(shared) is None
        elsewhere = replace(shared, root=str(tmp_path / "gone"))
        assert f"there is no {tmp_path}/gone there; the workers need" in str(unfit(elsewhere))
        other = replace(shared, lease=str(tmp_path / "other.lease"))
        assert f"{tmp_path} there is another folder than here" in str(unfit(other))
        older = replace(shared, survey=replace(shared.survey, press="older"))
        with pytest.raises(StageFailed, match=r"the worker on .* does not fit: an older or newer state of livingpaper"):
            hold(older, run_job, job(tmp_path, "open('ran', 'w')"))
    assert not (tmp_path / "ran").exists()


def test_a_survey_is_that_of_any_process_of_this_environment() -> None:
    found = survey()
    assert dict(found.packages)["numpy"] == __import__("numpy").__version__
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(survey) == found


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"python": "3.9"}, "Python 3.9 there, 3.11 here"),
        ({"processor": "abacus"}, "a processor abacus there, x86_64 here"),
        ({"press": "old"}, "an older or newer state of livingpaper there than here"),
        ({"packages": (("extra", "1"), ("numpy", "1.0"))}, "numpy 1.0 there, 2.4 here"),
        ({"packages": ()}, "numpy is not installed there, 2.4 here"),
        ({"packages": (("dask-jobqueue", "1"), ("numpy", "2.4"))}, None),
    ],
)
def test_a_difference_is_told_in_half_a_sentence(change: dict[str, str], told: str | None) -> None:
    here = remote.Survey("3.11", "x86_64", "new", (("numpy", "2.4"),))
    assert difference(here, replace(here, **change)) == told


def test_a_job_goes_where_most_threads_are_to_spare() -> None:
    assert roomiest({"a": 4, "b": 8}, Counter()) == "b"
    assert roomiest({"a": 4, "b": 8}, Counter(b=6)) == "a"
    assert roomiest({"a": 2, "b": 4}, Counter(b=2)) == "a", "of equals the one with less to do"
    assert roomiest({"b": 1, "a": 1}, Counter()) == "a"
