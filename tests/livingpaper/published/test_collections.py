"""Collections: what compares several presets is published by name and read as guests are, never mixed."""

import json
from pathlib import Path

import pytest

from livingpaper.command import run_publish
from livingpaper.errors import ParamsError, PublicationError, StageFailed, WorkflowError
from livingpaper.files import bytes_digest
from livingpaper.project import Project
from livingpaper.published.evidence import Sources
from livingpaper.published.publication import load_publication
from livingpaper.published.studies import without_guests
from livingpaper.staleness.memo import Memo
from livingpaper.staleness.reads import recorded_reads
from livingpaper.tasks import Plan
from tests.livingpaper.conftest import Paper
from tests.livingpaper.published.conftest import plan_of

FILE = "studies/across/all.json"
DECLARED = """collections:
  - name: across
    says: What differs between presets.
    regenerate: python -m tinylab.across
    publish: ["*.json"]

main:
"""


@pytest.fixture
def paper(fresh: Paper, monkeypatch: pytest.MonkeyPatch) -> Paper:
    """The tiny paper with a collection that a chapter may read."""
    monkeypatch.chdir(fresh.root)
    fresh.edit("paper/workflow.yml", "main:\n", DECLARED)
    fresh.edit("paper/workflow.yml", "notes.json]", 'notes.json, "shared:studies/across/*.json"]')
    write(fresh, "here")
    return fresh


def write(paper: Paper, text: str) -> None:
    path = paper.root / "artifacts" / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"says": text}))


def reads(plan: Plan, place: str) -> list[str]:
    """What the press makes of a chapter that read the collection's file at some place."""
    log = plan.project.root / "reads.jsonl"
    log.write_text(json.dumps({"path": str(plan.project.root / place / FILE), "found": True}))
    return recorded_reads(plan.homes, plan.tasks["tiny-s1/spread"], log)


def test_a_collection_is_published_with_its_digests(paper: Paper) -> None:
    assert run_publish("across") == 0
    found = load_publication(Project(paper.root), "across")
    assert found is not None
    data = (paper.root / "results/across" / FILE).read_bytes()
    assert found.files[FILE].sha256 == bytes_digest(data)
    assert (found.regenerate, found.stages, found.is_run) == ("python -m tinylab.across", {}, False)


def test_publishing_again_changes_nothing(paper: Paper, capsys: pytest.CaptureFixture[str]) -> None:
    run_publish("across")
    run_publish("across")
    assert capsys.readouterr().err.splitlines() == ["results/across: published", "results/across: unchanged"]


def test_a_published_collection_is_read_as_published_whatever_lies_here(paper: Paper) -> None:
    assert reads(plan_of(paper.root), "artifacts") == [f"artifacts/{FILE}"]
    run_publish("across")
    write(paper, "newer")
    plan = plan_of(paper.root)
    assert reads(plan, "results/across") == [f"results/across/{FILE}"]
    assert plan.homes.told(plan.tasks["tiny-s1/spread"].reads, "tiny-s1") == {"across": "results/across"}
    with pytest.raises(StageFailed, match="its evidence lies in results/across"):
        reads(plan, "artifacts")


def test_of_a_published_paper_nothing_is_read_from_here(paper: Paper, published: Paper) -> None:
    for name in ("tiny", "tiny-s1", "tiny-s2", "tiny-s3"):
        (published.root / "results" / name).rename(_results(paper) / name)
    with pytest.raises(StageFailed, match="its evidence lies in results/across"):
        reads(plan_of(paper.root, published=True), "artifacts")


def test_a_collection_that_was_changed_ends_the_build(paper: Paper) -> None:
    run_publish("across")
    (paper.root / "results/across" / FILE).write_text("{}")
    with pytest.raises(PublicationError, match=r"results/across/studies/across/all.json: is not as it was published"):
        plan_of(paper.root)


def test_a_collection_without_files_says_how_to_make_it(paper: Paper) -> None:
    (paper.root / "artifacts" / FILE).unlink()
    with pytest.raises(PublicationError, match=r"has none of .*; run: python -m tinylab.across"):
        run_publish("across")


def test_a_collection_is_no_preset(paper: Paper) -> None:
    paper.edit("paper/workflow.yml", "name: across", "name: tiny")
    with pytest.raises(WorkflowError, match=r"workflow.yml:\d+: collections.0.name = 'tiny': is a preset"):
        plan_of(paper.root)


def test_what_no_workflow_names_is_not_published(paper: Paper) -> None:
    with pytest.raises(ParamsError, match="acros"):
        run_publish("acros")


def _results(paper: Paper) -> Path:
    folder = paper.root / "results"
    folder.mkdir(exist_ok=True)
    return folder


def test_the_paper_lists_a_collection_with_the_command_that_makes_it(paper: Paper) -> None:
    def row() -> str:
        plan = plan_of(paper.root)
        told = Sources(plan, Memo(plan.project.build / "memo.json")).table("tiny-s1")
        assert "`python -m tinylab.across`" in told.splitlines()[-1]
        return next(line for line in told.splitlines() if "across" in line).replace("\\", "")

    assert "What differs between presets. Made here." in row()
    run_publish("across")
    published = load_publication(Project(paper.root), "across")
    assert published is not None
    assert f"Published {published.published}." in row()
    (paper.root / "results").rename(paper.root / "elsewhere")
    (paper.root / "artifacts/studies/across").rename(paper.root / "away")
    assert "Not made yet." in row()


def test_a_study_is_published_from_chapters_that_read_a_published_collection(paper: Paper) -> None:
    run_publish("across")
    project = Project(paper.root)
    task = plan_of(paper.root).tasks["tiny-s1/spread"]
    alone = without_guests(project, "tiny")
    assert alone.homes.told(task.reads, "tiny-s1") == {"across": "results/across"}
    assert set(alone.homes.published) == {"across"}
