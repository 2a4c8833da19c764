"""`paper/workflow.yml`: what is refused and in which words, and who comes after whom."""

import pytest

from livingpaper.errors import ParamsError, ProjectError, WorkflowError
from livingpaper.params import load_study
from livingpaper.project import Project, find_project
from livingpaper.tasks import Plan, make_plan
from tests.livingpaper.conftest import TINY, Paper

WORKFLOW = "paper/workflow.yml"


def plan(paper: Paper) -> Plan:
    return make_plan(Project(paper.root), load_study(paper.root, "tiny"))


MISTAKES = {
    "an unknown key": (
        "    per: study\n",
        "    per: study\n    thraeds: 2\n",
        r"paper/workflow.yml:\d+: stages.2.thraeds: unknown key; allowed here: name, says, .*did you mean 'threads'\?",
    ),
    "a missing key": ("    module: tinylab.throw\n", "", r"workflow.yml:\d+: stages.0.module: missing"),
    "a wrong type": (
        "    continues: true",
        "    continues: 3",
        r"workflow.yml:\d+: stages.0.continues = 3: Input should be",
    ),
    "an unknown word": (
        "    per: study",
        "    per: day",
        r"workflow.yml:\d+: stages.2.per = 'day': Input should be 'run' or 'study'",
    ),
    "an unknown section": (
        "[dice, measure]",
        "[dice, mesure]",
        r"workflow.yml:\d+: stages.1.params: no section 'mesure'.*'measure'\?",
    ),
    "an unknown field": (
        "throw {run}",
        "throw {seed}",
        r"stages.0.command = '{seed}': unknown field {seed}; allowed: {preset}, {run}",
    ),
    "a run in a stage per study": ('"{preset}"]', '"{run}"]', r"a stage per study has no {run}; use {preset}"),
    "a way out": (
        "[throws/part_*.json]\n    continues",
        "[../x.json]\n    continues",
        r"stages.0.writes.0 = '../x.json': expected a path",
    ),
    "an unknown prefix": (
        '"runs:summary.json"]\n    writes',
        '"all:summary.json"]\n    writes',
        r"unknown prefix 'all'; allowed: run:, study:",
    ),
    "nothing written": ("writes: [chosen.json]", "writes: []", r"stages.2.writes: List should have at least 1 item"),
    "two writers": (
        "[chosen.json]",
        '["study:chosen.json"]\n\n  - {name: b, says: b, per: study, command: b, module: tinylab, writes: [chosen.*]}',
        r"'studies/tiny/chosen.\*' may be written by stage 'choose' too",
    ),
    "two of a name": ("name: measure", "name: throw", r"two stages are called 'throw'"),
    "a chapter that is not": (
        "    spread:\n",
        "    spraed:\n",
        r"chapters.own.spraed: no such chapter in _quarto.yml.*did you mean 'spread'\?",
    ),
    "the name of a chapter": ("name: throw", "name: mean", r"stage 'mean' has the name of a chapter"),
    "a main run of no study": (
        "study:chosen.json#/run",
        "chosen.json#/run",
        r"main.run = .*expected an artifact of the study",
    ),
    "no pointer": ("study:chosen.json#/run", "study:chosen.json", r"main.run = .*expected <file>.json#/<key>"),
    "a key twice": ("main:\n", "main:\n  run: study:a.json#/b\n", r"line \d+: key 'run' is written twice"),
    "no YAML": ("stages:", "stages: [", r"paper/workflow.yml: not valid YAML"),
    "code in YAML": (
        "says: Throws the dice of a run.",
        "says: !!python/object/apply:os.system [ls]",
        r"not valid YAML: line 8: tag .*os.system': expected plain YAML",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_file_line_and_key(fresh: Paper, name: str) -> None:
    old, new, message = MISTAKES[name]
    fresh.edit(WORKFLOW, old, new)
    with pytest.raises(WorkflowError, match=message) as caught:
        plan(fresh)
    assert "\n" not in str(caught.value)


def test_a_circle_is_named(fresh: Paper) -> None:
    fresh.edit(
        WORKFLOW, "    writes: [throws/part_*.json]", "    reads: [summary.json]\n    writes: [throws/part_*.json]"
    )
    with pytest.raises(WorkflowError, match=r"wait for each other in a circle: tiny-s1/.* → tiny-s1/"):
        plan(fresh)


def test_a_module_that_is_not_there_is_named_before_anything_runs(fresh_stages: Paper) -> None:
    fresh_stages.edit(WORKFLOW, "module: tinylab.choose", "module: tinylap.choose")
    with pytest.raises(WorkflowError, match=r"stage choose: module 'tinylap.choose' is not below src/.*'tinylab'\?"):
        fresh_stages.build()
    assert not (fresh_stages.root / "artifacts").exists()


def test_who_comes_after_whom() -> None:
    needs = make_plan(Project(TINY), load_study(TINY, "tiny")).needs
    assert needs["tiny-s1/throw"] == frozenset()
    assert needs["tiny-s1/measure"] == {"tiny-s1/throw"}
    assert needs["tiny/choose"] == {"tiny-s1/measure", "tiny-s2/measure", "tiny-s3/measure"}
    assert needs["tiny-s2/mean"] == {"tiny-s2/measure"}
    assert needs["tiny-s2/spread"] == {"tiny-s1/measure", "tiny-s2/measure", "tiny-s3/measure"}


def test_shared_files_of_another_run_are_not_waited_for(fresh: Paper) -> None:
    fresh.edit(WORKFLOW, "writes: [throws/part_*.json]", 'writes: [throws/part_*.json, "shared:data/**"]')
    fresh.edit(WORKFLOW, "    reads: [throws/part_*.json]", '    reads: [throws/part_*.json, "shared:data/**"]')
    tasks = plan(fresh)
    assert tasks.needs["tiny-s1/measure"] == {"tiny-s1/throw"}
    assert tasks.tasks["tiny-s1/throw"].shares


def test_the_real_workflow_is_sound() -> None:
    root = TINY.parents[2]
    tasks = make_plan(Project(root), load_study(root, "smoke"))
    assert {"smoke-s1/train", "smoke/select-reference"} <= set(tasks.tasks)
    order = list(tasks.tasks)
    assert order.index("smoke-s1/train") < order.index("smoke-s1/checkpoint-sweep")


def test_a_project_is_found_from_within(fresh: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIVINGPAPER_PROJECT", raising=False)
    assert find_project(fresh.root / "src" / "tinylab").root == fresh.root
    with pytest.raises(ProjectError, match="no project here or above"):
        find_project(fresh.root.parent)
    monkeypatch.setenv("LIVINGPAPER_PROJECT", str(fresh.root))
    assert find_project(fresh.root.parent).root == fresh.root
    monkeypatch.setenv("LIVINGPAPER_PROJECT", str(fresh.root / "src"))
    with pytest.raises(ProjectError, match="no project here "):
        find_project()


def test_an_empty_workflow_is_refused(fresh: Paper) -> None:
    for text in ("", "3", "[]"):
        (fresh.root / WORKFLOW).write_text(text)
        with pytest.raises(WorkflowError, match=r"paper/workflow.yml: \(whole file\)"):
            plan(fresh)


def test_an_unknown_preset_is_no_traceback(fresh: Paper) -> None:
    with pytest.raises(ParamsError, match="there are: slow, tiny"):
        load_study(fresh.root, "huge")
