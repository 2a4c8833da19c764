"""Stages on an executor of other processes, and what the build says while it works."""

import json
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from livingpaper.build import build, open_authority
from livingpaper.execute import progress as progresses
from livingpaper.execute.outcomes import Outcome, Result
from livingpaper.execute.processes import Job, run_job
from livingpaper.execute.progress import Progressing
from livingpaper.execute.stages import Workshop
from livingpaper.params import load_study
from livingpaper.project import Project
from livingpaper.tasks import Plan, make_plan
from tests.livingpaper.conftest import Paper


def plan_of(paper: Paper) -> Plan:
    return make_plan(Project(paper.root), load_study(paper.root, "tiny"))


def test_a_job_can_be_sent_elsewhere() -> None:
    job = Job(("true",), "/", {"A": "b"}, "log")
    assert pickle.loads(pickle.dumps(job)) == job
    assert pickle.loads(pickle.dumps(run_job)) is run_job


def test_stages_run_on_a_given_executor(fresh_stages: Paper, built_stages: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        built = build(plan_of(fresh_stages), 2, executor=executor)
    assert built.failures == []
    assert len(built.executed) == 7
    assert fresh_stages.artifacts() == Paper(built_stages).artifacts()


@pytest.fixture
def progressing(stages: Paper) -> Progressing:
    plan = plan_of(stages)
    return Progressing(Workshop(open_authority(plan)), plan.tasks, 2)


def test_time_left_is_that_of_earlier_builds_shared_by_the_slots(progressing: Progressing) -> None:
    progressing._estimates.update(dict.fromkeys(progressing._estimates, 10.0))
    assert progressing.seconds_left() == pytest.approx(70 / 2)


def test_time_left_of_a_running_stage_follows_its_own_report(
    progressing: Progressing, stages: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(progresses.time, "monotonic", lambda: now)
    tasks = {task.id: task for task in progressing._left.values()}
    for name in list(tasks):
        if name != "tiny-s1/throw":
            progressing.finished(tasks[name], Result(Outcome.FRESH, ""))
    progressing.started(tasks["tiny-s1/throw"])
    now = 1030.0
    report = stages.root / "build/logs/tiny-s1/throw.progress"
    report.write_text(json.dumps({"label": "x", "done": 3, "total": 4, "unit": "parts"}))
    assert progressing.seconds_left() == pytest.approx(10.0)
    for nonsense in ("", "{", "[]", '{"done": "a", "total": 3}', '{"done": 1, "total": 0}'):
        report.write_text(nonsense)
        assert progressing.seconds_left() == pytest.approx(1.0)


def test_a_log_gets_plain_lines(
    progressing: Progressing, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = dict(progressing._left)
    monkeypatch.setattr(progresses, "_LINE_EVERY", 0.0)
    progressing.started(tasks["tiny-s1/throw"])
    progressing.poll()
    progressing.finished(tasks["tiny-s1/throw"], Result(Outcome.FAILED, "it broke"))
    progressing.finished(tasks["tiny-s1/measure"], Result(Outcome.SKIPPED, "stage throw of tiny-s1 failed"))
    progressing.finished(tasks["tiny-s2/throw"], Result(Outcome.FRESH, ""))
    began, status, failed, skipped = capsys.readouterr().err.splitlines()
    assert began == "tiny-s1/throw: began"
    assert status.startswith("0 of 7 done, about ")
    assert status.endswith("running: tiny-s1/throw 4/4 parts")
    assert failed == "tiny-s1/throw: FAILED: it broke"
    assert skipped == "tiny-s1/measure: skipped: stage throw of tiny-s1 failed"
