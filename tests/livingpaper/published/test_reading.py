"""The paper printed from what was published: the same claims and numbers, nothing computed, and the pages say so."""

import json
import shutil
from dataclasses import replace

import pytest

from livingpaper.errors import PublicationError
from livingpaper.execute.outcomes import Outcome
from livingpaper.pageprints import PagePrinter
from livingpaper.project import Project
from livingpaper.published.publication import load_publication
from livingpaper.published.standing import State, standing
from livingpaper.staleness.memo import Memo
from tests.livingpaper.conftest import Paper
from tests.livingpaper.published.conftest import built, plan_of

RUNS = ("tiny-s1", "tiny-s2", "tiny-s3")


def said(paper: Paper, run: str = "tiny-s1") -> tuple[State, str]:
    project = Project(paper.root)
    publication = load_publication(project, run)
    assert publication is not None
    found = standing(project, publication, Memo(paper.root / "memo"))
    return found.state, found.reason


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
        ("paper/workflow.yml", "name: measure", "name: weigh", State.EARLIER, "stage measure is no longer part"),
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
    assert standing(project, other, Memo(clone.root / "memo")).state is State.UNKNOWN


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


def test_a_guest_that_was_computed_here_is_read_here(published: Paper) -> None:
    add_preset(published)
    plan = plan_of(published.root, "other")
    assert plan.homes.published == {}
    (published.root / "artifacts/runs/tiny-s2/summary.json").unlink()
    assert set(plan_of(published.root, "other").homes.published) == {"tiny-s2"}, "half a run is no evidence"


def test_new_evidence_reruns_the_chapters_that_read_it_and_no_other(clone: Paper) -> None:
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
