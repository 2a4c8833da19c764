"""Chapters of the tiny paper: executed once, kept, reworded, and what happens to one that fails.

Kernels take a second each, so each test builds as few chapters as show its point.
"""

import json
import shutil
from pathlib import Path

import nbformat
import pytest

from livingpaper.build import Built
from livingpaper.errors import ProjectError
from livingpaper.execute.outcomes import Outcome
from tests.livingpaper.conftest import Paper

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
MEAN, SPREAD = "chapters/mean.ipynb", "chapters/spread.ipynb"


def with_chapter(paper: Paper, notebook: str) -> Paper:
    """The paper with one run and one chapter, a notebook of tests/notebooks."""
    (paper.root / "chapters").mkdir(exist_ok=True)
    shutil.copy(NOTEBOOKS / notebook, paper.root / MEAN)
    paper.edit("_quarto.yml", "    - index.qmd\n", f"    - index.qmd\n    - {MEAN}\n")
    with (paper.root / "paper/workflow.yml").open("a") as file:
        file.write("\nchapters:\n  defaults:\n    reads: [summary.json]\n    params: [dice]\n")
    paper.edit("params/tiny.yml", "[1, 2, 3]", "[1]")
    return paper


def text_of(paper: Paper, run: str = "tiny-s1", chapter: str = "mean") -> str:
    """What an executed chapter printed."""
    notebook = json.loads((paper.root / f"build/chapters/{run}/{chapter}.ipynb").read_text())
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return "".join("".join(output.get("text", "")) for output in outputs)


def test_an_executed_chapter_is_a_clean_notebook_of_its_run(built_paper: Path) -> None:
    path = built_paper / "build/chapters/tiny-s2/mean.ipynb"
    notebook = nbformat.read(path, nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    injected = next(cell for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", []))
    assert injected.source == '# Parameters\nrun = "tiny-s2"\nparams = "tiny"\n'
    assert "tiny-s2: mean" in text_of(Paper(built_paper), "tiny-s2")
    for volatile in ("papermill", "start_time", "duration", "livingpaper_digest", "iopub", str(built_paper)):
        assert volatile not in path.read_text()


def test_a_copy_of_a_built_paper_is_up_to_date(whole: Paper) -> None:
    built = whole.build()
    assert {result.outcome for result in built.results.values()} == {Outcome.FRESH}


def test_text_around_cells_changes_without_execution(whole: Paper) -> None:
    whole.edit(SPREAD, "How often does each side come?", "How often does a side come up?")
    built = whole.build()
    assert built.executed == []
    reworded = [name for name, result in built.results.items() if result.outcome is Outcome.DONE]
    assert reworded == ["tiny-s1/spread", "tiny-s2/spread", "tiny-s3/spread"]
    assert "How often does a side come up?" in (whole.root / "build/chapters/tiny-s3/spread.ipynb").read_text()
    assert "1 " in text_of(whole, "tiny-s3", "spread")
    assert {result.outcome for result in whole.build().results.values()} == {Outcome.FRESH}


def test_a_chapter_that_was_executed_before_is_taken_from_the_cache(whole: Paper) -> None:
    """An edit undone, a result deleted, a result edited: no kernel is started."""
    before = (whole.root / "build/chapters/tiny-s1/mean.ipynb").read_bytes()
    (whole.root / "build/chapters/tiny-s1/mean.ipynb").unlink()
    (whole.root / "build/chapters/tiny-s2/mean.ipynb").write_text("{}")
    built = whole.build()
    assert built.executed == []
    assert (whole.root / "build/chapters/tiny-s1/mean.ipynb").read_bytes() == before
    assert built.results["tiny-s1/mean"].reason == "its output build/chapters/tiny-s1/mean.ipynb is gone"
    assert built.results["tiny-s2/mean"].reason == "its output build/chapters/tiny-s2/mean.ipynb is not as it left it"


def test_a_damaged_cache_is_not_believed(whole: Paper) -> None:
    before = (whole.root / "build/chapters/tiny-s1/mean.ipynb").read_bytes()
    for path in (whole.root / "build/cache").rglob("base.ipynb"):
        path.write_text(path.read_text().replace("mean 3.", "mean 9."))
    (whole.root / "build/chapters/tiny-s1/mean.ipynb").unlink()
    assert whole.build().executed == ["tiny-s1/mean"]
    assert (whole.root / "build/chapters/tiny-s1/mean.ipynb").read_bytes() == before


def test_an_edited_module_reaches_exactly_its_chapters(whole: Paper) -> None:
    """jupyter-cache alone would still hit here. One run, to start few kernels."""
    whole.edit("params/tiny.yml", "[1, 2, 3]", "[1]")
    whole.build()
    whole.edit("src/tinylab/statistics.py", "len(values) - 1", "len(values) - 2")
    assert set(whole.executed()) == {"tiny-s1/measure", "tiny-s1/spread"}  # mean reads summary.json, which is the same


def test_a_file_looked_for_in_vain_that_appears(whole: Paper) -> None:
    (whole.root / "artifacts/runs/tiny-s2/notes.json").write_text('"six is lucky"')
    built = whole.build()
    assert built.executed == ["tiny-s2/spread"]
    assert built.results["tiny-s2/spread"].reason == "artifacts/runs/tiny-s2/notes.json, which it looked for, appeared"
    assert "six is lucky" in text_of(whole, "tiny-s2", "spread")


def test_a_failing_chapter_keeps_its_last_good_result_and_stops_nobody(whole: Paper) -> None:
    good = (whole.root / "build/chapters/tiny-s1/mean.ipynb").read_bytes()
    shutil.copy(NOTEBOOKS / "raises.ipynb", whole.root / MEAN)
    whole.edit("params/tiny.yml", "[1, 2, 3]", "[1]")
    built = whole.build()
    assert built.failures == [
        "chapter mean of tiny-s1: cell 5 raised ValueError: the die [build/logs/tiny-s1/mean.log]"
    ]
    assert built.results["tiny-s1/spread"].good
    assert (whole.root / "build/chapters/tiny-s1/mean.ipynb").read_bytes() == good
    failed = json.loads((whole.root / "build/chapters/tiny-s1/mean.failed.ipynb").read_text())
    assert failed["cells"][3]["outputs"][0]["text"] == ["before\n"]
    assert failed["cells"][5]["outputs"][0]["ename"] == "ValueError"
    assert not any("papermill-error" in str(cell["metadata"]) for cell in failed["cells"])
    assert whole.build().failures == built.failures, "a failure is not forgotten"


FAILING = {
    "raises.ipynb": r"cell 5 raised ValueError: the die \[",
    "exits.ipynb": r"cell 3 raised SystemExit: 3",
    "kills_its_kernel.ipynb": r"chapter mean of tiny-s1 ended with exit code 1: .*DeadKernelError: Kernel died",
    "undeclared_read.ipynb": r"read artifacts/runs/tiny-s1/evidence.json, which paper/workflow.yml does not declare: "
    r"add it to reads of chapters.own.mean",
    "changes_an_artifact.ipynb": r"artifacts/runs/tiny-s1/summary.json changed while it was being read",
}


@pytest.mark.parametrize("notebook", FAILING)
def test_a_chapter_that_fails_says_how(stages: Paper, notebook: str) -> None:
    built = with_chapter(stages, notebook).build()
    assert len(built.failures) == 1
    assert not (stages.root / "build/manifests/tiny-s1/mean.json").exists()
    assert not (stages.root / "build/chapters/tiny-s1/mean.ipynb").exists()
    with pytest.raises(AssertionError, match=FAILING[notebook]):
        raise AssertionError(built.failures[0])


@pytest.mark.parametrize(
    ("notebook", "message"),
    [
        ("no_parameters.ipynb", "chapters/mean.ipynb: no code cell is tagged 'parameters'; add one"),
        ("not_a_notebook.ipynb", "chapters/mean.ipynb: not a notebook"),
    ],
)
def test_an_unusable_notebook_is_refused_before_anything_runs(stages: Paper, notebook: str, message: str) -> None:
    with_chapter(stages, notebook)
    with pytest.raises(ProjectError, match=message):
        stages.build()


def test_a_chapter_runs_in_the_project_with_this_python_whatever_kernel_it_names(stages: Paper) -> None:
    import sys

    built = with_chapter(stages, "says_where_it_is.ipynb").build()
    assert built.failures == []
    assert text_of(stages).splitlines() == [str(stages.root), sys.executable, str(stages.root), "tiny-s1 tiny True"]


def test_an_old_notebook_of_another_kernel_is_executed(stages: Paper) -> None:
    built: Built = with_chapter(stages, "old_format.ipynb").build()
    assert built.failures == []
    notebook = json.loads((stages.root / "build/chapters/tiny-s1/mean.ipynb").read_text())
    assert [cell["id"] for cell in notebook["cells"]] == ["cell-0", "injected-parameters", "cell-1"]
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_a_file_no_workflow_declares_counts_in_the_cache_too(whole: Paper) -> None:
    """A chapter may read any file of the project; its old outputs never come back under new content."""
    data = whole.root / "data.json"
    data.write_text("1")
    path = whole.root / "chapters/mean.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"][2]["source"] += ["\n", "print(door.read(door.ROOT / 'data.json'))"]
    path.write_text(json.dumps(notebook, indent=1))
    whole.build()
    data.write_text("2")
    assert whole.executed() == {f"tiny-s{seed}/mean" for seed in (1, 2, 3)}
    page = (whole.root / "build/chapters/tiny-s1/mean.ipynb").read_text()
    assert '"2\\n"' in page
    data.write_text("1")
    whole.build()
    assert '"1\\n"' in (whole.root / "build/chapters/tiny-s1/mean.ipynb").read_text()
