"""What makes a stage of the tiny paper stale, and what does not.

Seven stages: throw and measure for three runs, and choose for the study. `expected` names what a build executes after
the mutation; all else would be needless, anything less stale.
"""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from livingpaper.build import open_authority
from livingpaper.execute.aside import Unknown
from livingpaper.explain import explain
from livingpaper.params import load_study
from livingpaper.project import Project
from livingpaper.staleness.verdict import State
from livingpaper.tasks import Plan, make_plan
from tests.livingpaper.conftest import Paper

RUNS = ("tiny-s1", "tiny-s2", "tiny-s3")
THROW, MEASURE = ({f"{run}/{stage}" for run in RUNS} for stage in ("throw", "measure"))
CHOOSE = {"tiny/choose"}
ALL = THROW | MEASURE | CHOOSE
S1 = "artifacts/runs/tiny-s1"


def plan_of(paper: Paper) -> Plan:
    return make_plan(Project(paper.root), load_study(paper.root, "tiny"))


def touch_everything(root: Path) -> None:
    for path in root.rglob("*"):
        os.utime(path, (1, 1))


def rewrite_everything(root: Path) -> None:
    for path in (path for path in root.rglob("*") if path.is_file()):
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)


def edit_with_the_same_size_and_time(root: Path) -> None:
    path = root / "src/tinylab/statistics.py"
    before, text = path.stat(), path.read_text()
    path.write_text(text.replace("mean - half, mean + half", "mean + half, mean - half"))
    assert path.read_text() != text
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


EDITS: dict[str, tuple[str, str, str, set[str]]] = {
    # no stage can tell
    "a comment": ("src/tinylab/throw.py", "import random", "# chance\nimport random", set()),
    "a docstring": ("src/tinylab/throw.py", "Throws the dice", "Casts the dice", set()),
    "layout": ("src/tinylab/choose.py", "best = min(", "best = min(\n        ", set()),
    "a comment in the parameters": ("params/base.yml", "# faces", "# sides and faces", set()),
    "prose": ("index.qmd", "A paper", "One paper", set()),
    "the purpose of the preset": ("params/tiny.yml", "Three runs of a", "Just a", set()),
    "a pin that is not used": ("requirements.lock", "numpy==2.4.6", "numpy==2.4.5", set()),
    "another word for the same command": ("paper/workflow.yml", 'choose, "{preset}"', 'choose, "{study}"', set()),
    "what a stage says of itself": ("paper/workflow.yml", "Throws the dice of a run.", "Casts.", set()),
    # some can
    "the code of one stage": (
        "src/tinylab/measure.py",
        "throws.count(side)",
        "sum(x == side for x in throws)",
        MEASURE,
    ),
    "a helper of one stage": ("src/tinylab/statistics.py", "len(values) - 1", "len(values) - 1.0", MEASURE),
    "the code of the last stage": ("src/tinylab/choose.py", "/ 2", "/ 2.0", CHOOSE),
    "code that all use": ("src/tinylab/door.py", '"artifacts" / "runs"', '"artifacts/runs"', ALL),
    "a parameter of one stage": ("params/base.yml", "confidence: 1.96", "confidence: 2.0", MEASURE),
    "a parameter of all": ("params/base.yml", "sides: 6 ", "sides: 8 ", ALL),
    "a parameter that changes no result": ("params/base.yml", "pause: 0.0 ", "pause: 0.0001 ", ALL),
    "a run less": ("params/tiny.yml", "seeds: [1, 2, 3]", "seeds: [1, 2]", CHOOSE),
    "a pin that is used": ("requirements.lock", "PyYAML==6.0.3", "PyYAML==6.0.2", ALL),
    "a command": ("paper/workflow.yml", "python -m tinylab.measure", "python -B -m tinylab.measure", MEASURE),
    "an output": (f"{S1}/summary.json", '"throws": 400', '"throws": 401', {"tiny-s1/measure"}),
    "a manifest": ("build/manifests/tiny-s1/measure.json", "seconds", "minutes", {"tiny-s1/measure"}),
}

DEEDS: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "nothing": (lambda root: None, set()),
    "every time touched": (touch_everything, set()),
    "every file written anew with the same bytes": (rewrite_everything, set()),
    "a module nobody imports": (lambda root: (root / "src/tinylab/other.py").write_text("x = 1\n"), set()),
    "a data file beside the code": (lambda root: (root / "src/tinylab/table.json").write_text("[]"), ALL),
    "a foreign file in a run": (lambda root: (root / S1 / "notes.txt").write_text("x"), set()),
    "the memo gone": (lambda root: (root / "build/memo.json").unlink(), set()),
    "the memo nonsense": (lambda root: (root / "build/memo.json").write_text("[]"), set()),
    "an edit that hides": (edit_with_the_same_size_and_time, MEASURE),
    "the package's __init__": (lambda root: (root / "src/tinylab/__init__.py").write_text("X = 1\n"), ALL),
    "an output deleted": (lambda root: (root / S1 / "evidence.json").unlink(), {"tiny-s1/measure"}),
    "an intermediate deleted": (lambda root: (root / S1 / "throws/part_1.json").unlink(), {"tiny-s1/throw"}),
    "an intermediate edited": (lambda root: (root / S1 / "throws/part_1.json").write_text("[6]"), {"tiny-s1/throw"}),
    "a file among the outputs": (lambda root: (root / S1 / "throws/part_9.json").write_text("[1]"), {"tiny-s1/throw"}),
    "a manifest deleted": (lambda root: (root / "build/manifests/tiny-s1/measure.json").unlink(), {"tiny-s1/measure"}),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_reruns_exactly_its_users(stages: Paper, name: str) -> None:
    file, old, new, expected = EDITS[name]
    stages.edit(file, old, new)
    assert stages.executed() == expected
    assert stages.executed() == set(), "a second build has nothing left to do"


@pytest.mark.parametrize("name", DEEDS)
def test_a_deed_reruns_exactly_its_users(stages: Paper, name: str) -> None:
    deed, expected = DEEDS[name]
    deed(stages.root)
    assert stages.executed() == expected
    assert stages.executed() == set(), "a second build has nothing left to do"


def test_a_mutated_paper_equals_one_built_from_nothing(stages: Paper, fresh_stages: Paper) -> None:
    """Whatever way led there, the artifacts are those of a clean build of the same sources."""
    for paper in (stages, fresh_stages):
        paper.edit("params/base.yml", "sides: 6 ", "sides: 8 ")
        paper.edit("src/tinylab/measure.py", '"eyes"', '"spots"')
    (stages.root / S1 / "throws/part_2.json").write_text("[7]")
    stages.build()
    fresh_stages.build()
    assert stages.artifacts() == fresh_stages.artifacts()


def test_random_walks_of_mutations_end_in_the_clean_state(stages: Paper) -> None:
    """Several mutations at once, undone again: the artifacts are the ones of the beginning."""
    before = stages.artifacts()
    chance = random.Random(20261120)
    files = [
        stages.root / "src/tinylab/measure.py",
        stages.root / "params/base.yml",
        stages.root / "src/tinylab/throw.py",
    ]
    for _ in range(3):
        kept = {path: path.read_bytes() for path in files}
        victim = stages.root / chance.choice(sorted(f"artifacts/{name}" for name in stages.artifacts()))
        if chance.random() < 0.5:
            victim.unlink()
        else:
            victim.write_bytes(b"{}")
        if chance.random() < 0.5:
            stages.edit("params/base.yml", "throws: 100 ", f"throws: {chance.randint(20, 90)} ")
        if chance.random() < 0.5:
            stages.edit("src/tinylab/measure.py", '"eyes"', f'"eyes {chance.random()}"')
        stages.build()
        for path, data in kept.items():
            path.write_bytes(data)
        stages.build()
        assert stages.artifacts() == before


def test_reading_what_the_workflow_does_not_declare_is_an_error(stages: Paper) -> None:
    stages.edit(
        "src/tinylab/choose.py", "best = min(", 'door.read(door.run_folder(runs[0]) / "evidence.json")\n    best = min('
    )
    built = stages.build()
    assert built.failures == [
        "stage choose of tiny read artifacts/runs/tiny-s1/evidence.json, which paper/workflow.yml does not declare: "
        "add it to reads of stages, choose"
    ]
    assert not (stages.root / "build/manifests/tiny/choose.json").exists()


def test_reading_parameters_that_the_workflow_does_not_declare_is_an_error(stages: Paper) -> None:
    stages.edit("src/tinylab/choose.py", "fair = ", 'door.section(runs[0], "measure")\n    fair = ')
    built = stages.build()
    assert built.failures == [
        "stage choose of tiny read section measure of the parameters, which paper/workflow.yml does not declare: "
        "add it to params of stages, choose"
    ]
    assert not (stages.root / "build/manifests/tiny/choose.json").exists()


def test_not_writing_what_the_workflow_promises_is_an_error(stages: Paper) -> None:
    stages.edit("paper/workflow.yml", "[evidence.json, summary.json]", "[evidence.json, summary.json, extra.json]")
    failures = stages.build().failures
    assert len(failures) == 3
    assert "wrote no artifacts/runs/tiny-s1/extra.json" in failures[0]


def test_a_stage_that_continues_starts_anew_on_other_inputs(stages: Paper) -> None:
    """`throw` keeps the parts it finds; those of other parameters are set aside, not taken over and not deleted."""
    stages.edit("params/base.yml", "throws: 100 ", "throws: 50 ")
    stages.build()
    parts = [json.loads(path.read_text()) for path in (stages.root / S1 / "throws").iterdir()]
    assert [len(part) for part in parts] == [50] * 4
    aside = list((stages.root / "build/set-aside/tiny-s1/throw").rglob("part_*.json"))
    assert [len(json.loads(path.read_text())) for path in aside] == [100] * 4


def test_outputs_that_no_build_made_are_not_gone_on_from_unasked(stages: Paper) -> None:
    """Without manifests nobody knows what code made the parts that `throw` would keep."""
    kept = stages.root / S1 / "throws/part_0.json"
    kept.write_text("[1, 1]")
    shutil.rmtree(stages.root / "build/manifests")
    built = stages.build()
    assert built.executed == []
    assert len(built.failures) == 3
    assert built.failures[0].startswith(
        f"stage throw of tiny-s1: {S1}/throws/part_0.json and 3 more were made outside of any build"
    )
    assert kept.read_text() == "[1, 1]"


@pytest.mark.parametrize(("unknown", "first"), [(Unknown.ADOPT, 2), (Unknown.ANEW, 100)])
def test_outputs_that_no_build_made_are_adopted_or_set_aside_on_demand(
    stages: Paper, unknown: Unknown, first: int
) -> None:
    kept = stages.root / S1 / "throws/part_0.json"
    kept.write_text("[1, 1]")
    shutil.rmtree(stages.root / "build/manifests")
    built = stages.build(unknown=unknown)
    assert set(built.executed) == ALL
    assert len(json.loads(kept.read_text())) == first
    aside = unknown is Unknown.ANEW
    assert ("; 4 files set aside in build/set-aside/tiny-s1/throw/" in built.results["tiny-s1/throw"].reason) is aside


def test_a_repair_touches_only_what_is_damaged(stages: Paper) -> None:
    """One part is damaged: it alone is made again, the others are gone on from."""
    kept = stages.root / S1 / "throws/part_0.json"
    inode = kept.stat().st_ino
    (stages.root / S1 / "throws/part_1.json").write_text("[]")
    before = stages.build().results["tiny-s1/throw"].reason
    assert before.startswith(
        f"its output {S1}/throws/part_1.json is not as it left it; 1 file set aside in build/set-aside"
    )
    assert kept.stat().st_ino == inode


def test_a_repair_that_does_not_lead_to_the_end_is_followed_by_a_new_start(stages: Paper) -> None:
    """This stage takes its last part for the sign that all are there, so it leaves the hole."""
    stages.edit(
        "src/tinylab/throw.py",
        "    for part in range",
        '    last = door.run_folder(run) / "throws" / f"part_{dice[\'parts\'] - 1}.json"\n'
        "    if last.is_file():\n        return\n    for part in range",
    )
    stages.build()
    clean = stages.artifacts()
    (stages.root / S1 / "throws/part_1.json").unlink()
    built = stages.build()
    assert built.failures == []
    assert stages.artifacts() == clean


def test_explain_says_why_in_one_sentence(stages: Paper) -> None:
    assert (
        "would not rerun: its command, its parameters (dice, measure), 4 modules"
        in explain(plan_of(stages), "measure")[0]
    )
    stages.edit("src/tinylab/measure.py", '"eyes"', '"spots"')
    plan = plan_of(stages)
    assert explain(plan, "tiny-s2/measure") == ["stage measure of tiny-s2 would rerun: module tinylab.measure changed."]
    assert explain(plan, f"{S1}/evidence.json") == [
        "stage measure of tiny-s1 would rerun: module tinylab.measure changed."
    ]
    after = explain(plan, "choose")[0]
    assert after.startswith("stage choose of tiny may rerun: it comes after stage measure of tiny-s")
    assert explain(plan, "throw")[0].startswith("stage throw of tiny-s1 would not rerun")


def test_judging_writes_nothing(stages: Paper) -> None:
    stages.edit("src/tinylab/measure.py", '"eyes"', '"spots"')
    before = sorted(stages.root.rglob("*"))
    plan = plan_of(stages)
    authority = open_authority(plan)
    states = {task.id: authority.judge(task).state for task in plan.tasks.values()}
    assert {name for name, state in states.items() if state is State.STALE} == MEASURE
    assert sorted(stages.root.rglob("*")) == before
