"""The whole paper, from parameters to pages, on the smallest preset."""

import json
import os
import re
from pathlib import Path

import nbformat
import pypdfium2
import pytest

from tests.paper.conftest import Paper

RUNS = ("smoke-s1", "smoke-s2", "smoke-s3")
CHAPTERS = ("dataset-geometry", "formation-windows", "shared-features", "candidate-families")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("smoke")]  # one build serves all of them


def test_it_builds(smoke_paper: Paper) -> None:
    assert smoke_paper.code == 0, smoke_paper.log[-3000:]


def test_every_run_is_printed_once(smoke_paper: Paper) -> None:
    selection = json.loads((smoke_paper.root / "artifacts/studies/smoke/reference_selection.json").read_text())
    others = sorted(folder.name for folder in (smoke_paper.site / "runs").iterdir())
    assert sorted([selection["run"], *others]) == sorted(RUNS)
    for folder in (smoke_paper.site, *(smoke_paper.site / "runs" / run for run in others)):
        for page in ("index", *(f"chapters/{chapter}" for chapter in CHAPTERS), "paper/claims-ledger"):
            assert (folder / f"{page}.html").is_file(), page


def test_a_model_that_learned_nothing_supports_no_claim_about_learning(smoke_paper: Paper) -> None:
    judged = json.loads((smoke_paper.root / "build/claims.json").read_text())
    claims = {claim["id"]: claim for claim in judged["claims"]}
    assert claims["oracle-solves-every-split"]["status"] == "Supported"
    assert claims["splits-do-not-leak"]["status"] == "Supported"
    assert claims["retrieval-is-born"]["status"] == "Negative result"
    assert claims["no-shortcut-explains-the-end"]["status"] == "Negative result"
    assert claims["shortcut-precedes-retrieval"]["status"] == "Unsupported"
    assert claims["routing-precedes-generalisation"]["status"] == "Unsupported"


def test_chapters_ran_without_error_and_show_figures(smoke_paper: Paper) -> None:
    for run in RUNS:
        for chapter in CHAPTERS:
            notebook = nbformat.read(smoke_paper.root / "build/chapters" / run / f"{chapter}.ipynb", as_version=4)
            outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
            assert not [output for output in outputs if output.output_type == "error"]
            figures = sum("#| label: fig-" in cell.source for cell in notebook.cells)
            assert figures >= 3
            assert sum("image/svg+xml" in output.get("data", {}) for output in outputs) == figures
            assert all(
                "<svg" in output.data["image/svg+xml"]
                for output in outputs
                if "image/svg+xml" in output.get("data", {})
            )


def test_no_page_holds_an_unresolved_reference_or_number(smoke_paper: Paper) -> None:
    for page in smoke_paper.site.rglob("*.html"):
        text = page.read_text()
        body = re.sub(r"<(script|style|pre|code).*?</\1>", "", text, flags=re.S)
        assert not re.search(r"\?\?|@(fig|tbl|sec|eq)-|\{\.value|livingpaper-error", body), page


def test_no_page_asks_another_host(smoke_paper: Paper) -> None:
    loading = re.compile(r"""<(?:script|img|link|iframe|source)[^>]+(?:src|href)=["'](https?:)?//""")
    assert [page.name for page in smoke_paper.site.rglob("*.html") if loading.search(page.read_text())] == []


def test_the_pdf_has_the_same_claims(smoke_paper: Paper) -> None:
    pdf = next(smoke_paper.site.glob("*.pdf"))
    with pypdfium2.PdfDocument(pdf) as document:
        text = " ".join(page.get_textpage().get_text_range() for page in document)
    flat = re.sub(r"\s+", " ", text)
    for words in (
        "What the data asks for",
        "When behaviour is born",
        "Negative result",
        "Next test",
        "Figure 2.1",
        "Table 1.1",
    ):
        assert words in flat


def test_building_again_executes_nothing(smoke_paper: Paper) -> None:
    before = {path: path.read_bytes() for path in smoke_paper.site.rglob("*.html")}
    again = smoke_paper.run("livingpaper", "build", "--preset", "smoke", "--renderer", "embedded")
    assert again.returncode == 0, again.stderr
    assert ": began" not in again.stdout + again.stderr
    assert {path: path.read_bytes() for path in smoke_paper.site.rglob("*.html")} == before


def test_a_chapter_runs_under_papermill_from_any_folder(smoke_paper: Paper, tmp_path: Path) -> None:
    chapter = smoke_paper.root / "chapters/formation-windows.ipynb"
    ran = smoke_paper.run(
        "papermill",
        str(chapter),
        str(tmp_path / "out.ipynb"),
        "-p",
        "run",
        "smoke-s2",
        "-p",
        "params",
        "smoke",
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "smoke-s2" in (tmp_path / "out.ipynb").read_text()


UNSATISFIABLE = "benchmark.iid.active_keys={low: 9, high: 9}"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("formation", "train", "--run", "quik-s1"), ["quik-s1", "quick", "reference"]),
        (("formation", "train", "--run", "../quick-s1"), ["../quick-s1", "<preset>-s<seed>"]),
        (("formation", "train", "--run", "smoke-s1", "--set", "training.steps=61"), ["smoke-s1", "parameters"]),
        (
            (
                "formation",
                "generate-benchmark",
                "--run",
                "smoke-s9",
                "--set",
                "benchmark.iid.active_keys={low: 9, high: 9}",
            ),
            ["active_keys"],
        ),
        (("formation", "checkpoint-sweep", "--run", "smoke-s8"), ["smoke-s8", "run:"]),
        (("livingpaper", "build", "--preset", "quik"), ["quik", "quick", "smoke"]),
        (("livingpaper", "explain", "nothing-like-this"), ["nothing-like-this"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(
    smoke_paper: Paper, command: tuple[str, ...], words: list[str]
) -> None:
    ran = smoke_paper.run(*command)
    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr
    assert all(word in ran.stderr for word in words), ran.stderr


def test_a_checkpoint_with_a_flipped_bit_is_refused_by_path(smoke_paper: Paper) -> None:
    path = sorted((smoke_paper.root / "artifacts/runs/smoke-s3/checkpoints").glob("*.safetensors"))[-1]
    whole = path.read_bytes()
    stat = path.stat()
    try:
        path.write_bytes(whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
        ran = smoke_paper.run("formation", "checkpoint-sweep", "--run", "smoke-s3")
        assert ran.returncode == 2, ran.stderr
        assert path.name in ran.stderr
        assert "Traceback" not in ran.stderr
    finally:
        path.write_bytes(whole)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
