"""Who writes what: the look-up by folder finds what looking through all tasks finds."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livingpaper import patterns
from livingpaper.params import load_study
from livingpaper.project import Project
from livingpaper.tasks import Kind, Plan, Task, make_plan, shared
from livingpaper.writers import Writers, home

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "projects" / "tiny_paper"
PLACES = st.sampled_from(["runs/a-s1", "runs/a-s2", "runs/*", "studies/a", "data", "*", "**", "{runs/a-s1/x.json#/d}"])
NAMES = st.sampled_from(["x.json", "*.json", "**", "y/*.json", "{runs/a-s1/x.json#/d}/z"])
GLOBS = st.lists(st.builds("{}/{}".format, PLACES, NAMES), max_size=3).map(tuple)


def needed(task: Task, tasks: list[Task]) -> set[str]:
    """The definition: a task needs those that may write what it reads, but no other run's shared files."""
    return {
        other.id
        for other in tasks
        for written in other.writes
        for read in task.reads
        if other is not task and (other.scope == task.scope or not shared(written)) and patterns.can_meet(read, written)
    }


def writers(tasks: list[Task], path: str) -> list[str]:
    return [task.id for task in tasks if any(patterns.matches(glob, path) for glob in task.writes)]


@given(st.lists(st.tuples(st.sampled_from(["a-s1", "a-s2", "a"]), GLOBS, GLOBS), max_size=6), PLACES, NAMES)
def test_no_task_is_overlooked(written: list[tuple[str, tuple[str, ...], tuple[str, ...]]], at: str, name: str) -> None:
    study = load_study(TINY, "tiny")
    tasks = [
        Task(f"t{number}", Kind.STAGE, scope, "", (), "", (), reads, writes, study)
        for number, (scope, reads, writes) in enumerate(written)
    ]
    found = Writers(tasks)
    assert [found.before(one) for one in tasks] == [needed(one, tasks) for one in tasks]
    for path in (f"{at}/{name}", "runs/a-s1/x.json", "studies/a/y/x.json", "data/x.json", "x.json"):
        assert sorted(one.id for one in found.of(path)) == sorted(writers(tasks, path))


@pytest.mark.parametrize("root", [ROOT, TINY])
def test_the_plans_of_real_papers_are_as_defined(root: Path) -> None:
    plan: Plan = make_plan(Project(root), load_study(root, "tiny" if root == TINY else "smoke"))
    tasks = list(plan.tasks.values())
    assert {one.id: needed(one, tasks) for one in tasks} == plan.needs
    assert any(plan.needs.values())


@pytest.mark.parametrize(
    ("glob", "where"),
    [
        ("runs/a-s1/x/*.json", "runs/a-s1"),
        ("studies/a/**", "studies/a"),
        ("data/x.json", ""),
        ("runs/*/x.json", None),
        ("**/x.json", None),
        ("{runs/a-s1/x.json#/d}/x", None),
    ],
)
def test_the_home_of_a_glob(glob: str, where: str | None) -> None:
    assert home(glob) == where
