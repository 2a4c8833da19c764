"""Children: their exit codes, their environment, and that nothing of them outlives its end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from livingpaper.execute import processes
from livingpaper.execute.processes import Ended, Job, run_job

SLEEP = "import time; time.sleep(60)"
# A stage with a child in a session of its own, as a kernel is; both write down who they are.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
open("pids", "w").write(f"{os.getpid()} {child.pid}")
time.sleep(60)
"""


def job(folder: Path, code: str, *words: str, **environment: str) -> Job:
    return Job(("python", "-c", code, *words), str(folder), environment, str(folder / "log"), threads=3)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def soon(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def pids(folder: Path) -> list[int]:
    assert soon(lambda: (folder / "pids").is_file() and len((folder / "pids").read_text().split()) == 2)
    return [int(pid) for pid in (folder / "pids").read_text().split()]


@pytest.mark.parametrize("code", [0, 1, 2, 77])
def test_the_exit_code_is_the_commands(tmp_path: Path, code: int) -> None:
    assert run_job(job(tmp_path, f"raise SystemExit({code})")).code == code


def test_a_signal_is_told_as_shells_do(tmp_path: Path) -> None:
    ended = run_job(job(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    assert ended.code == 128 + signal.SIGKILL


def test_output_goes_to_the_log_and_the_environment_is_quiet(tmp_path: Path) -> None:
    code = "import os, sys, json; json.dump(dict(os.environ), open('env', 'w')); print('out'); sys.exit('err')"
    run_job(job(tmp_path, code, LIVINGPAPER_READS="x"))
    assert sorted((tmp_path / "log").read_text().split()) == ["err", "out"]
    found = json.loads((tmp_path / "env").read_text())
    assert found["OMP_NUM_THREADS"] == "3"
    assert found["OMP_WAIT_POLICY"] == "PASSIVE"
    assert found["LIVINGPAPER_READS"] == "x"
    assert found["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = run_job(Job(("no-such-program", "x"), str(tmp_path), {}, str(tmp_path / "log")))
    assert ended.code == 127
    assert "cannot start no-such-program: No such file" in (tmp_path / "log").read_text()


def test_what_a_command_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    leaving = FAMILY.replace("time.sleep(60)\n", "\n")
    assert run_job(job(tmp_path, leaving)).code == 0
    assert not any(alive(pid) for pid in pids(tmp_path))


def test_ending_all_ends_children_and_their_children(tmp_path: Path) -> None:
    results: list[Ended] = []
    thread = threading.Thread(target=lambda: results.append(run_job(job(tmp_path, FAMILY))))
    thread.start()
    family = pids(tmp_path)
    assert all(alive(pid) for pid in family)
    try:
        processes.end_all()
        thread.join(10)
        assert results[0].code == 128 + signal.SIGTERM
        assert not any(alive(pid) for pid in family)
        assert run_job(job(tmp_path, SLEEP)).code == 128 + signal.SIGTERM, "none begins while all are being ended"
    finally:
        processes.allow()


def test_a_child_that_will_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warden = tmp_path / "warden.py"
    warden.write_text(Path(processes._WARDEN).read_text().replace("GRACE = 3.0", "GRACE = 0.2"))
    monkeypatch.setattr(processes, "_WARDEN", warden)
    stubborn = FAMILY.replace("child =", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nchild =")
    results: list[Ended] = []
    thread = threading.Thread(target=lambda: results.append(run_job(job(tmp_path, stubborn))))
    thread.start()
    family = pids(tmp_path)
    try:
        processes.end_all()
        thread.join(10)
        assert results[0].code == 128 + signal.SIGKILL
        assert not any(alive(pid) for pid in family)
    finally:
        processes.allow()


def test_when_the_build_is_killed_no_orphan_is_left(tmp_path: Path) -> None:
    code = (
        "from livingpaper.execute.processes import Job, run_job\n"
        f"run_job(Job(('python', '-c', {FAMILY!r}), {str(tmp_path)!r}, {{}}, {str(tmp_path / 'log')!r}))"
    )
    build = subprocess.Popen([sys.executable, "-c", code])
    family = pids(tmp_path)
    build.kill()
    build.wait()
    assert soon(lambda: not any(alive(pid) for pid in family))


def test_when_the_guard_is_killed_no_orphan_is_left(tmp_path: Path) -> None:
    """Neither the command, which dies with its guard, nor its child in a session of its own."""
    results: list[Ended] = []
    thread = threading.Thread(target=lambda: results.append(run_job(job(tmp_path, FAMILY))))
    thread.start()
    family = pids(tmp_path)
    guard = int(Path(f"/proc/{family[0]}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(guard, signal.SIGKILL)
    thread.join(10)
    assert results[0].code == 128 + signal.SIGKILL
    assert not any(alive(pid) for pid in family)


def test_when_build_and_guard_are_killed_the_command_is_too(tmp_path: Path) -> None:
    code = (
        "from livingpaper.execute.processes import Job, run_job\n"
        f"run_job(Job(('python', '-c', {FAMILY!r}), {str(tmp_path)!r}, {{}}, {str(tmp_path / 'log')!r}))"
    )
    build = subprocess.Popen([sys.executable, "-c", code])
    command, child = pids(tmp_path)
    guard = int(Path(f"/proc/{command}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(build.pid, signal.SIGSTOP)  # so that it cannot see the guard die
    os.kill(guard, signal.SIGKILL)
    build.kill()
    build.wait()
    try:
        assert soon(lambda: not alive(command))
    finally:
        os.kill(child, signal.SIGKILL)  # a kernel looks after its parent itself; this one does not
