"""The paper printed from what was published: the same claims and numbers, nothing computed, and the pages say so."""

import json
import shutil
from dataclasses import replace

import pytest

from livingpaper.errors import PublicationError
from livingpaper.execute.outcomes import Outcome
from livingpaper.pageprints import PagePrinter
from livingpaper.project import Project
from livingpaper.published.evidence import Sources
from livingpaper.published.publication import load_publication
from livingpaper.published.standing import Comparison, State
from livingpaper.staleness.memo import Memo
from tests.livingpaper.conftest import Paper
from tests.livingpaper.published.conftest import built, plan_of, publish

RUNS = ("tiny-s1", "tiny-s2", "tiny-s3")


def said(paper: Paper, run: str = "tiny-s1") -> tuple[State, str]:
    project = Project(paper.root)
    publication = load_publication(project, run)
    assert publication is not None
    found = Comparison(project, Memo(paper.root / "memo")).standing(publication)
    return found.state, found.reason


def add_line(paper: Paper, chapter: str, line: str) -> None:
    """A line more of code, at the end of the first cell behind the parameters."""
    path = paper.root / f"chapters/{chapter}.ipynb"
    notebook = json.loads(path.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    cells[1]["source"] += ["\n", line]
    path.write_text(json.dumps(notebook, indent=1))


def add_preset(paper: Paper) -> None:
    """Another study, of one run, beside which the published ones are printed."""
    (paper.root / "params/other.yml").write_text("purpose: One more.\nseeds: [7]\n")
    paper.edit("paper/workflow.yml", "main:\n", 'guests: ["tiny-*"]\n\nmain:\n')


def test_a_clone_prints_the_paper_without_computing_anything(clone: Paper, published: Paper) -> None:
    done, prepared = built(clone.root, published=True)
    assert set(done.executed) == {f"{run}/{chapter}" for run in RUNS for chapter in ("mean", "spread")}
    assert done.failures == []
    assert prepared.errors == []
    assert not (clone.root / "artifacts").exists()
    assert {one.evidence for one in prepared.printings} == {
        f"Published evidence of {record(clone)['published']}. Today’s code would still produce it."
    }
    _, there = built(published.root)
    claims = [
        [(one.claim.id, one.status, one.met, [run.evidence for run in one.runs]) for one in side.judgements]
        for side in (prepared, there)
    ]
    assert claims[0] == claims[1]
    assert prepared.main == there.main, "the study's choice of a run is published, too"
    again, _ = built(clone.root, published=True)
    assert again.executed == []


def record(paper: Paper, run: str = "tiny-s1") -> dict[str, object]:
    data: dict[str, object] = json.loads((paper.root / "results" / run / "publication.json").read_text())
    return data


def test_every_chapter_says_where_its_evidence_comes_from(clone: Paper) -> None:
    done, prepared = built(clone.root, published=True)
    PagePrinter(done, prepared, "embedded").render()
    page = (clone.root / "_site/chapters/mean.html").read_text()
    assert "Published evidence of" in page
    assert "Today’s code would still produce it." in page


def test_computed_here_is_read_here(published: Paper) -> None:
    _, prepared = built(published.root)
    date = record(published)["published"]
    assert {one.evidence for one in prepared.printings} == {f"Evidence computed here, the same as published on {date}."}
    published.edit("params/base.yml", "confidence: 1.96", "confidence: 2.5")
    _, prepared = built(published.root)
    assert (
        prepared.printings[0].evidence == f"Evidence computed here; 1 of 2 files differ from those published on {date}."
    )


@pytest.mark.parametrize(
    ("file", "old", "new", "state", "reason"),
    [
        ("src/tinylab/throw.py", "import random", "# chance\nimport random", State.CURRENT, ""),
        ("chapters/mean.ipynb", "mean {", "the mean {", State.CURRENT, ""),
        ("requirements.lock", "numpy==2.4.6", "numpy==2.4.5", State.CURRENT, ""),
        (
            "src/tinylab/throw.py",
            "import random",
            "import random\nX = 1",
            State.EARLIER,
            "module tinylab.throw changed",
        ),
        ("src/tinylab/door.py", "import yaml", "import yaml\nX = 1", State.EARLIER, "module tinylab.door changed"),
        ("params/base.yml", "sides: 6 ", "sides: 8 ", State.EARLIER, "parameters in section dice changed"),
        (
            "requirements.lock",
            "PyYAML==6.0.3",
            "PyYAML==6.0.2",
            State.EARLIER,
            "package pyyaml went from 6.0.3 to 6.0.2",
        ),
        (
            "paper/workflow.yml",
            "name: measure",
            "name: weigh",
            State.EARLIER,
            "stage tiny-s1/measure is no longer",
        ),
        ("params/tiny.yml", "seeds: [1, 2, 3]", "seeds: [2, 3]", State.CURRENT, ""),
    ],
)
def test_todays_code_is_compared_stage_by_stage(
    clone: Paper, file: str, old: str, new: str, state: State, reason: str
) -> None:
    clone.edit(file, old, new)
    found = said(clone)
    assert found[0] is state
    assert found[1].startswith(reason)
    assert bool(found[1]) is bool(reason)


def test_another_python_says_that_it_cannot_tell(clone: Paper) -> None:
    project = Project(clone.root)
    publication = load_publication(project, "tiny-s1")
    assert publication is not None
    other = publication.model_copy(update={"machine": {**publication.machine, "python": "3.9"}})
    assert Comparison(project, Memo(clone.root / "memo")).standing(other).state is State.UNKNOWN


def test_damaged_evidence_is_refused_by_name(clone: Paper) -> None:
    victim = clone.root / "results/tiny-s2/runs/tiny-s2/summary.json"
    victim.write_text(victim.read_text() + " ")
    message = "results/tiny-s2/runs/tiny-s2/summary.json: is not as it was published; restore it"
    with pytest.raises(PublicationError, match=message):
        plan_of(clone.root, published=True)
    victim.unlink()
    with pytest.raises(PublicationError, match=r"summary\.json: is gone"):
        plan_of(clone.root, published=True)


def test_a_preset_of_which_nothing_is_published_is_refused(clone: Paper) -> None:
    shutil.rmtree(clone.root / "results")
    with pytest.raises(PublicationError, match=r"nothing of 'tiny' is published .*none.*; run: livingpaper build"):
        plan_of(clone.root, published=True)


def test_published_runs_stand_beside_another_study_and_never_in_its_quorum(clone: Paper) -> None:
    add_preset(clone)
    done, prepared = built(clone.root, "other")
    assert done.failures == []
    assert [one.run for one in prepared.printings] == ["other-s7", *RUNS]
    assert [one.output.as_posix() for one in prepared.printings][1:] == [f"_site/runs/{run}" for run in RUNS]
    assert {name.split("/")[0] for name in done.executed if name.endswith(("throw", "measure"))} == {"other-s7"}
    claims = json.loads((clone.root / "build/claims.json").read_text())
    assert claims["runs"] == ["other-s7"]
    assert all(claim["quorum"]["judged"] <= 1 for claim in claims["claims"])
    assert [guest["runs"] for guest in claims["guests"]] == [list(RUNS)]
    assert any(claim["quorum"]["judged"] == 3 for claim in claims["guests"][0]["claims"])
    ledger = json.loads((clone.root / "build/print/other-s7/fragments.json").read_text())["blocks"][
        "page:claims-ledger"
    ]
    assert ledger.index("other\\-s7") < ledger.index("tiny\\-s1")
    assert prepared.printings[0].evidence == "Evidence computed here."
    assert prepared.printings[1].evidence.startswith("Published evidence of")


def test_a_guest_is_never_mixed_with_what_lies_here(published: Paper) -> None:
    """Nobody judged what was computed here of another study; a guest is what was published of it, all of it."""
    add_preset(published)
    (published.root / "artifacts/runs/tiny-s2/summary.json").write_text("{}")
    published.edit("src/tinylab/measure.py", "throws.count(side)", "1 + throws.count(side)")
    done, prepared = built(published.root, "other")
    assert done.failures == []
    assert set(done.plan.homes.elsewhere) == {*RUNS, "tiny"}
    sentences = {one.run: one.evidence for one in prepared.printings}
    assert all("Made by an earlier version: module tinylab.measure changed" in sentences[run] for run in RUNS)


def test_one_seed_of_many_can_be_a_guest(clone: Paper) -> None:
    """The other seeds are looked for where they would be published, and nowhere else."""
    add_preset(clone)
    for run in ("tiny-s2", "tiny-s3", "tiny"):
        shutil.rmtree(clone.root / "results" / run)
    look = 'door.read(door.evidence_folder("tiny-s2") / "summary.json") if run == "tiny-s1" else None'
    add_line(clone, "spread", f"other = {look}")
    done, prepared = built(clone.root, "other")
    assert done.failures == []
    assert [one.run for one in prepared.printings] == ["other-s7", "tiny-s1"]


def test_a_chapter_that_reads_from_another_home_is_refused(published: Paper) -> None:
    published.edit("chapters/mean.ipynb", "door.evidence_folder(", "door.run_folder(")
    done, _ = built(published.root, published=True)
    message = (
        "read artifacts/runs/tiny-s1/summary.json, but its evidence lies in results/tiny-s1/runs/tiny-s1/summary.json"
    )
    assert any(message in failure for failure in done.failures)


def test_without_a_published_study_nothing_of_it_is_taken_from_here(published: Paper) -> None:
    shutil.rmtree(published.root / "results/tiny")
    (published.root / "artifacts/studies/tiny/chosen.json").write_text('{"run": "tiny-s3"}')
    done, prepared = built(published.root, published=True)
    assert prepared.main == "tiny-s1", "the first run"
    assert any("results/tiny/studies/tiny/chosen.json: not found" in error for error in prepared.errors)
    assert done.failures == []


def test_a_study_published_with_other_runs_is_refused(published: Paper) -> None:
    published.edit("params/base.yml", "confidence: 1.96", "confidence: 2.5")
    published.edit("params/base.yml", "throws: 100 ", "throws: 90 ")
    published.build()
    publish(published.root, "tiny-s1")
    for run in ("tiny-s2", "tiny-s3"):
        publish(published.root, run)
    with pytest.raises(PublicationError, match=r"results/tiny/: made .* run: livingpaper publish tiny"):
        plan_of(published.root, published=True)
    publish(published.root, "tiny")
    assert "tiny" in plan_of(published.root, published=True).homes.published


def test_a_file_beside_the_code_that_a_stage_read_counts(published: Paper) -> None:
    (published.root / "data").mkdir()
    (published.root / "data/w.json").write_text("1")
    published.edit("src/tinylab/measure.py", "import door", "import door\n\nW = door.read(door.ROOT / 'data/w.json')")
    published.build()
    publish(published.root, "tiny-s1")
    assert said(published)[0] is State.CURRENT
    (published.root / "data/w.json").write_text("2")
    assert said(published) == (State.EARLIER, "data/w.json, which it read, changed")


def test_a_section_added_to_the_parameters_leaves_older_evidence_readable(clone: Paper) -> None:
    add_preset(clone)
    base = clone.root / "params/base.yml"
    base.write_text(base.read_text() + "extra: {a: 1}\n")
    clone.edit("paper/workflow.yml", "    params: [dice]\n  own:", "    params: [dice, extra]\n  own:")
    clone.edit("paper/workflow.yml", "params: [dice, measure]", "params: [dice, measure, extra]")
    done, prepared = built(clone.root, "other")
    assert done.failures == []
    assert "parameters in section extra changed" in prepared.printings[1].evidence
    done, _ = built(clone.root, published=True)
    assert done.failures == []


def test_a_preset_that_is_gone_leaves_its_guests(clone: Paper) -> None:
    add_preset(clone)
    (clone.root / "params/tiny.yml").unlink()
    done, prepared = built(clone.root, "other")
    assert (done.failures, prepared.errors) == ([], [])
    assert "no such preset" in prepared.printings[1].evidence


def test_a_run_that_is_not_up_to_date_says_so(published: Paper) -> None:
    published.edit("src/tinylab/measure.py", "throws.count(side)", "throws.missing(side)")
    _, prepared = built(published.root)
    assert {one.evidence for one in prepared.printings} == {"Evidence computed here, not up to date."}


def test_nothing_computed_is_not_called_computed(clone: Paper) -> None:
    plan = plan_of(clone.root)
    assert Sources(plan, Memo(clone.root / "memo")).sentence("tiny-s1") == "No evidence here yet."


def hostile(clone: Paper, deed: str) -> None:
    folder = clone.root / "results/tiny-s1"
    record_, summary = folder / "publication.json", folder / "runs/tiny-s1/summary.json"
    if deed == "a record that is a device":
        record_.unlink()
        record_.symlink_to("/dev/zero")
    elif deed == "a record that is huge":
        record_.write_text(" " * 2_000_000)
    elif deed == "a file that is a link out":
        (clone.root / "secret.json").write_bytes(summary.read_bytes())
        summary.unlink()
        summary.symlink_to(clone.root / "secret.json")
    elif deed == "a folder that is a link out":
        shutil.move(folder / "runs", clone.root / "elsewhere")
        (folder / "runs").symlink_to(clone.root / "elsewhere")
    elif deed == "a file that was not published":
        (folder / "runs/tiny-s1/more.json").write_text("{}")
    elif deed == "no stages":
        record_.write_text(json.dumps({**record(clone), "stages": {}}))
    elif deed == "endless seconds":
        record_.write_text(json.dumps({**record(clone), "seconds": 1e308}))
    elif deed == "a date that is a sentence":
        record_.write_text(json.dumps({**record(clone), "published": "2026-11-21 <b>"}))


@pytest.mark.parametrize(
    "deed",
    [
        "a record that is a device",
        "a record that is huge",
        "a file that is a link out",
        "a folder that is a link out",
        "a file that was not published",
        "no stages",
        "endless seconds",
        "a date that is a sentence",
    ],
)
def test_results_of_a_stranger(clone: Paper, deed: str) -> None:
    hostile(clone, deed)
    with pytest.raises(PublicationError, match=r"^results/tiny-s1/"):
        plan_of(clone.root, published=True)


def test_new_evidence_reruns_the_chapters_that_read_it_and_no_other(clone: Paper) -> None:
    shutil.rmtree(clone.root / "results/tiny")  # chosen among the runs as they were
    built(clone.root, published=True)
    folder = clone.root / "results/tiny-s2"
    summary = folder / "runs/tiny-s2/summary.json"
    summary.write_text(summary.read_text() + "\n")
    from livingpaper.files import file_digest

    about = record(clone, "tiny-s2")
    files = about["files"]
    assert isinstance(files, dict)
    files["runs/tiny-s2/summary.json"] = {"sha256": file_digest(summary), "bytes": summary.stat().st_size}
    (folder / "publication.json").write_text(json.dumps(about))
    done, _ = built(clone.root, published=True)
    assert set(done.executed) == {"tiny-s2/mean", "tiny-s2/spread"}


def test_computing_a_run_reruns_its_chapters_on_what_was_computed(clone: Paper) -> None:
    built(clone.root, published=True)
    done, prepared = built(clone.root)
    results = {name: result.outcome for name, result in done.results.items()}
    assert set(results.values()) == {Outcome.DONE}
    assert "was read from results/tiny-s1 and is now read from artifacts" in done.results["tiny-s1/mean"].reason
    assert prepared.printings[0].evidence.startswith("Evidence computed here, the same as published")


def test_runs_published_with_different_parameters_make_no_study(clone: Paper) -> None:
    path = clone.root / "results/tiny-s3/publication.json"
    about = json.loads(path.read_text())
    about["params"]["dice"]["sides"] = 8
    path.write_text(json.dumps(about))
    with pytest.raises(PublicationError, match=r"different parameters \(.*tiny-s3.*\); run: livingpaper publish"):
        plan_of(clone.root, published=True)


def test_a_publication_of_another_form_is_refused_with_file_and_key(clone: Paper) -> None:
    path = clone.root / "results/tiny-s1/publication.json"
    good = json.loads(path.read_text())
    for key, value in {"schema": "publication/0", "files": {"x": 1}, "preset": "", "name": "tiny-s2"}.items():
        path.write_text(json.dumps({**good, key: value}))
        with pytest.raises(PublicationError, match=rf"results/tiny-s1/publication.json: {key}"):
            plan_of(clone.root, published=True)
    path.write_text("[")
    with pytest.raises(PublicationError, match="not readable JSON"):
        plan_of(clone.root, published=True)


def test_a_plan_says_which_homes_a_chapter_reads(clone: Paper) -> None:
    plan = plan_of(clone.root, published=True)
    task = replace(plan.tasks["tiny-s1/mean"])
    assert plan.homes.of("runs/tiny-s2/summary.json", task.scope) == clone.root / "results/tiny-s2"
    assert plan.homes.of("benchmarks/x/y.json", task.scope) == clone.root / "results/tiny-s1"
