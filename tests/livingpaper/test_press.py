"""From evidence to printings of the tiny paper: the main run, fragments, what is printed anew, and the commands."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from livingpaper.build import Built, open_authority
from livingpaper.errors import PressError, ProjectError, WorkflowError
from livingpaper.execute.outcomes import Outcome, Result
from livingpaper.explain import explain
from livingpaper.pageprints import PagePrinter
from livingpaper.params import load_study
from livingpaper.press import Prepared, main_run, prepare
from livingpaper.printing import Printing
from livingpaper.project import Project
from livingpaper.tasks import Plan, make_plan
from tests.livingpaper.conftest import Paper


def plan_of(paper: Paper) -> Plan:
    return make_plan(Project(paper.root), load_study(paper.root, "tiny"))


def as_built(paper: Paper, **failed: str) -> Built:
    """The built paper with some tasks taken to have failed."""
    plan = plan_of(paper)
    results = {name: Result(Outcome.FRESH, "") for name in plan.tasks}
    for name, reason in failed.items():
        results[name.replace("__", "/").replace("_", "-")] = Result(Outcome.FAILED, reason)
    return Built(plan, open_authority(plan), results)


def fragments(prepared: Prepared, run: str) -> dict[str, dict[str, str]]:
    return json.loads(next(one for one in prepared.printings if one.run == run).fragments.read_text())


def test_every_run_gets_its_numbers(whole: Paper) -> None:
    prepared = prepare(as_built(whole))
    assert prepared.errors == []
    for run in ("tiny-s1", "tiny-s2"):
        summary = json.loads((whole.root / f"artifacts/runs/{run}/summary.json").read_text())
        assert fragments(prepared, run)["values"] == {
            "study:chosen.json#/run||": prepared.main,
            "summary.json#/mean|.2f|": f"{summary['mean']:.2f}",
            "summary.json#/throws||": "400",
        }
    blocks = fragments(prepared, "tiny-s1")["blocks"]
    assert set(blocks) == {
        "claim:die-is-fair",
        "claim:sixes-are-rare",
        "claim:sevens-come-late",
        "page:claims-ledger",
        "page:claims-summary",
        "page:artifact-index",
        "page:evidence",
        "page:workflow",
    }


def test_the_chosen_run_is_the_main_one(whole: Paper) -> None:
    chosen = json.loads((whole.root / "artifacts/studies/tiny/chosen.json").read_text())["run"]
    prepared = prepare(as_built(whole))
    main, *others = prepared.printings
    assert (main.run, main.main, main.output) == (chosen, True, Path("_site"))
    assert all(one.output == Path("_site/runs") / one.run and not one.main for one in others)
    assert main.runs[0] == (chosen, "")
    assert main.runs[1:] == tuple((one.run, f"runs/{one.run}") for one in others)
    assert json.loads((whole.root / "build/print/main.json").read_text()) == {"run": chosen}
    assert set(main.notebooks) == {"chapters/mean.ipynb", "chapters/spread.ipynb"}


def test_without_a_choice_the_first_run_is_the_main_one(whole: Paper) -> None:
    path = whole.root / "artifacts/studies/tiny/chosen.json"
    path.write_text('{"run": "other-s1"}')
    with pytest.raises(WorkflowError, match=r"chosen.json names 'other-s1'; expected one of tiny-s1, tiny-s2, tiny-s3"):
        main_run(as_built(whole))
    path.unlink()
    assert main_run(as_built(whole)) == "tiny-s1"


def test_a_number_that_is_missing_is_named_with_run_page_and_artifact(whole: Paper) -> None:
    whole.edit("index.qmd", "summary.json#/throws", "summary.json#/thorws")
    prepared = prepare(as_built(whole))
    assert len(prepared.errors) == 3
    assert prepared.errors[1].startswith("run tiny-s")
    assert "index.qmd: value 'summary.json#/thorws': artifacts/runs/tiny-s" in prepared.errors[0]
    assert (
        "summary.json#/: no entry 'thorws'; there are: throws, mean, counts; did you mean 'throws'?"
        in prepared.errors[0]
    )
    assert "summary.json#/thorws||" not in fragments(prepared, "tiny-s1")["values"]


def test_a_failed_chapter_is_stamped_and_its_claims_are_unsupported(whole: Paper) -> None:
    prepared = prepare(as_built(whole, tiny_s1__mean="chapter mean of tiny-s1: cell 2 raised X"))
    one = next(one for one in prepared.printings if one.run == "tiny-s1")
    assert one.stale == {"chapters/mean.ipynb": "chapter mean of tiny-s1: cell 2 raised X"}
    assert one.notebooks["chapters/mean.ipynb"].is_file()
    assert one.errors == {}
    judgement = next(one for one in prepared.judgements if one.claim.id == "die-is-fair")
    assert [str(run.status) for run in judgement.runs] == ["Unsupported", "Supported", "Supported"]
    assert "cell 2 raised X" in judgement.runs[0].reason


def test_a_chapter_that_never_was_good_is_shown_up_to_its_error(whole: Paper) -> None:
    executed = whole.root / "build/chapters/tiny-s1/mean.ipynb"
    executed.rename(executed.with_name("mean.failed.ipynb"))
    prepared = prepare(as_built(whole, tiny_s1__mean="broken"))
    one = next(one for one in prepared.printings if one.run == "tiny-s1")
    assert one.errors == {"chapters/mean.ipynb": "broken"}
    assert one.stale == {}
    assert one.notebooks["chapters/mean.ipynb"].name == "mean.failed.ipynb"


def test_evidence_of_a_failed_stage_is_not_used(whole: Paper) -> None:
    prepared = prepare(as_built(whole, tiny_s1__measure="stage measure of tiny-s1 failed"))
    assert all(str(one.runs[0].status) == "Unsupported" for one in prepared.judgements)


def test_evidence_that_no_stage_writes_is_told_apart_from_evidence_not_yet_made(whole: Paper) -> None:
    whole.edit("paper/claims.yml", "evidence.json#/share_of_sixes", "eyes.json#/share_of_sixes")
    for path in whole.root.rglob("evidence.json"):
        path.unlink()
    judgements = {one.claim.id: one for one in prepare(as_built(whole)).judgements}
    assert judgements["die-is-fair"].runs[0].reason == "not run yet"
    assert judgements["sixes-are-rare"].runs[0].reason == "no stage writes this artifact yet"
    assert {str(one.status) for one in judgements.values()} == {"Next test"}


def test_the_ledger_leads_to_each_runs_chapter(whole: Paper) -> None:
    prepared = prepare(as_built(whole))
    other = next(one.run for one in prepared.printings if not one.main)
    ledger = fragments(prepared, prepared.main)["blocks"]["page:claims-ledger"]
    assert f'`<a href="../runs/{other}/chapters/mean.html">`{{=html}}Supported' in ledger
    assert (
        '`<a href="../../../chapters/mean.html">`{=html}' in fragments(prepared, other)["blocks"]["page:claims-ledger"]
    )


class Printer:
    """In place of the renderer: writes one page, and remembers what was printed."""

    def __init__(self) -> None:
        self.printed: list[str] = []

    def render(self, root: Path, printing: Printing, renderer: str) -> None:
        self.printed.append(printing.run)
        (root / printing.output).mkdir(parents=True, exist_ok=True)
        (root / printing.output / "index.html").write_text(f"printed for {printing.run}")


@pytest.fixture
def printer(monkeypatch: pytest.MonkeyPatch) -> Printer:
    printer = Printer()
    import livingpaper.render

    monkeypatch.setattr(livingpaper.render, "render", printer.render)
    return printer


def render(paper: Paper) -> Prepared:
    built = as_built(paper)
    prepared = prepare(built)
    PagePrinter(built, prepared, "embedded").render()
    return prepared


def test_pages_are_printed_once(whole: Paper, printer: Printer) -> None:
    main = render(whole).main
    assert sorted(printer.printed) == ["tiny-s1", "tiny-s2", "tiny-s3"]
    assert printer.printed[0] == main
    render(whole)
    assert len(printer.printed) == 3


def test_the_main_run_is_printed_first_and_the_others_side_by_side(
    whole: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    import livingpaper.render

    together, ended = threading.Barrier(2), list[str]()

    def print_slowly(root: Path, printing: Printing, renderer: str) -> None:
        if not printing.main:
            assert len(ended) == 1
            together.wait(timeout=20)  # broken, and an error, if one had to end before the other began
        ended.append(printing.run)

    monkeypatch.setattr(livingpaper.render, "render", print_slowly)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    main = render(whole).main
    assert ended[0] == main
    assert sorted(ended) == ["tiny-s1", "tiny-s2", "tiny-s3"]


def test_what_quarto_empties_with_the_main_printing_is_printed_again(
    whole: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    import livingpaper.render

    printed: list[str] = []

    def print_as_quarto(root: Path, printing: Printing, renderer: str) -> None:
        printed.append(printing.run)
        folder = root / printing.output
        shutil.rmtree(folder, ignore_errors=True)  # a full rendering begins so; the others' folders lie in the main one
        folder.mkdir(parents=True)
        (folder / "index.html").write_text(f"printed for {printing.run}")

    monkeypatch.setattr(livingpaper.render, "render", print_as_quarto)
    monkeypatch.setattr(PagePrinter, "_with_quarto", str(whole.root / "index.qmd"))
    main = render(whole).main
    printed.clear()
    (whole.root / "_site/index.html").write_text("edited")
    render(whole)
    assert printed[0] == main
    assert sorted(printed) == ["tiny-s1", "tiny-s2", "tiny-s3"]


CHANGES = {
    "prose": ("index.qmd", "A paper", "One paper", 3),
    "the book": ("_quarto.yml", "A tiny paper", "A small paper", 3),
    "the words of a claim": ("paper/claims.yml", "Throw more often.", "Rest.", 3),
    "a filter": ("paper/filters/livingpaper.lua", "--- Puts", "-- Puts", 3),
    "one run's page": ("_site/runs/tiny-s1/index.html", "printed", "edited", 1),
    "what an editor left in a notebook": ("chapters/mean.ipynb", '"execution_count": null', '"execution_count": 7', 0),
    "code that prints nothing": ("src/tinylab/door.py", "import os\n", "import os\n# import\n", 0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_pages_are_printed_anew_for_what_they_are_made_of(whole: Paper, printer: Printer, name: str) -> None:
    whole.edit("index.qmd", "about dice", "about [dice](src/tinylab/__init__.py)")
    main = render(whole).main
    file, old, new, count = CHANGES[name]
    if main == "tiny-s1":
        file = file.replace("_site/runs/tiny-s1", "_site")
    printer.printed.clear()
    whole.edit(file, old, new)
    render(whole)
    assert len(printer.printed) == count
    printer.printed.clear()
    render(whole)
    assert printer.printed == []


def test_a_linked_file_is_part_of_its_page(whole: Paper, printer: Printer) -> None:
    whole.edit("index.qmd", "about dice", "about [dice](src/tinylab/__init__.py)")
    render(whole)
    printer.printed.clear()
    whole.edit("src/tinylab/__init__.py", "The laboratory", "The lab")
    render(whole)
    assert len(printer.printed) == 3


def test_printings_of_runs_that_are_no_longer_printed_are_swept_away(whole: Paper, printer: Printer) -> None:
    old = whole.root / "_site/runs/slow-s1"
    other = whole.root / "_site/runs/Something else"
    for folder in (old, other):
        folder.mkdir(parents=True)
        (folder / "index.html").write_text("old")
    render(whole)
    assert not old.exists()
    assert other.is_dir(), "what the press did not print is not the press's to remove"
    assert len(list((whole.root / "_site/runs").glob("tiny-s*"))) == 2


def test_pages_with_errors_are_printed_again_next_time(whole: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    import livingpaper.render

    def fail(root: Path, printing: Printing, renderer: str) -> None:
        raise PressError(f"run {printing.run}: a page has an error")

    monkeypatch.setattr(livingpaper.render, "render", fail)
    for _ in range(2):
        assert len(render(whole).errors) == 3


def test_explaining_pages(whole: Paper, printer: Printer) -> None:
    render(whole)
    said = explain(plan_of(whole), "index.qmd", "embedded")
    assert len(said) == 3
    assert all("would not be printed anew" in sentence for sentence in said)
    whole.edit("index.qmd", "A paper", "One paper")
    assert "index.qmd of tiny-s1 would be printed anew: index.qmd changed." in explain(
        plan_of(whole), "index.qmd", "embedded"
    )
    said = explain(plan_of(whole), "_site/runs/tiny-s2/index.html", "embedded")
    assert len(said) == 1
    whole.edit("src/tinylab/measure.py", '"eyes"', '"spots"')
    assert explain(plan_of(whole), "index.qmd")[0].startswith("index.qmd may be printed anew: stage measure of tiny-s")
    with pytest.raises(PressError, match=r"explain 'spraed': no stage, chapter, run.*did you mean 'spread'\?"):
        explain(plan_of(whole), "spraed")


def test_explain_a_page_after_a_chapter_was_reworded(whole: Paper, printer: Printer) -> None:
    render(whole)
    whole.edit("chapters/mean.ipynb", "What is the mean", "How large is the mean")
    assert explain(plan_of(whole), "index.qmd") == [
        "index.qmd would be printed anew: of chapters/mean.ipynb only the text around its cells changed."
    ]


def run_command(paper: Paper, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIVINGPAPER_")}
    command = [sys.executable, "-m", "livingpaper.cli", *words]
    return subprocess.run(
        command, cwd=paper.root, env={**clean, **environment}, capture_output=True, text=True, check=False
    )


def test_commands_and_exit_codes(whole: Paper) -> None:
    done = run_command(whole, "build", "--preset", "tiny", "--no-render")
    assert (done.returncode, done.stdout) == (0, "")
    assert "0 of 13 stages and chapters executed" in done.stderr
    claims = run_command(whole, "claims", "--preset", "tiny", "--seal")
    assert claims.returncode == 0
    assert "die-is-fair       Supported                3/3 runs  (sealed late)" in claims.stdout
    assert (whole.root / "paper/seals.json").is_file()

    unknown = run_command(whole, "build", "--preset", "huge")
    assert (unknown.returncode, unknown.stderr) == (
        2,
        "livingpaper: params 'huge': no such preset in params/; there are: slow, tiny\n",
    )
    whole.edit("index.qmd", "summary.json#/throws", "summary.json#/thorws")
    assert run_command(whole, "build", "--preset", "tiny", "--no-render").returncode == 1
    whole.edit("paper/claims.yml", "chapter: mean", "chapter: maen")
    broken = run_command(whole, "build", "--preset", "tiny", "--no-render")
    assert broken.returncode == 2
    assert broken.stderr.startswith("livingpaper: paper/claims.yml:4: 0.chapter = 'maen'")


def test_a_build_within_a_build_does_nothing(fresh: Paper) -> None:
    done = run_command(fresh, "build", "--preset", "tiny", LIVINGPAPER_BUILDING="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert not (fresh.root / "build").exists()


def test_outside_a_project(fresh: Paper) -> None:
    (fresh.root / "_quarto.yml").unlink()
    done = run_command(fresh, "build", "--preset", "tiny")
    assert done.returncode == 2
    assert "no project here or above" in done.stderr


def test_the_filter_of_the_tiny_paper_is_the_papers(fresh: Paper) -> None:
    theirs = Path(__file__).resolve().parents[2] / "paper/filters/livingpaper.lua"
    assert (fresh.root / "paper/filters/livingpaper.lua").read_bytes() == theirs.read_bytes()


def test_claims_and_numbers_are_checked_before_anything_runs(fresh: Paper) -> None:
    fresh.edit("index.qmd", "{.value}", "{.value fromat=x}")
    done = run_command(fresh, "build", "--preset", "tiny")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "unknown attribute 'fromat'" in done.stderr
    (fresh.root / "paper/claims.yml").write_text("- id: 3\n")
    done = run_command(fresh, "build", "--preset", "tiny")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "0.id = 3: Input should be a valid string" in done.stderr
    assert not (fresh.root / "artifacts").exists()


def test_a_book_without_its_chapters_is_no_traceback(fresh: Paper) -> None:
    shutil.rmtree(fresh.root / "chapters")
    done = run_command(fresh, "build", "--preset", "tiny")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "chapters/mean.ipynb does not exist" in done.stderr


def test_a_folder_of_other_files_is_never_printed_into(fresh: Paper) -> None:
    fresh.edit("_quarto.yml", "output-dir: _site", "output-dir: docs")
    (fresh.root / "docs").mkdir()
    project = Project(fresh.root)
    project.claim_site()  # an empty folder may be filled
    (fresh.root / "docs/half").write_text("of a printing that was killed")
    project.claim_site()
    (fresh.root / "build/print/site.json").unlink()
    with pytest.raises(ProjectError, match=r"output-dir is 'docs', which holds files and no index\.html"):
        project.claim_site()
    (fresh.root / "docs/index.html").write_text("")
    project.claim_site()
