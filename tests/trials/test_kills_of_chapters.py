"""A chapter that fails, in each way a chapter can: its last good page stays, stamped, and goes on when it is mended."""

import random
import re
import shutil
from html import unescape
from pathlib import Path

import pytest

from tests.livingpaper.conftest import Paper
from tests.livingpaper.execute.test_chapters import FAILING, NOTEBOOKS
from tests.trials.conftest import Trial
from tests.trials.killing import differing, finish, mortal_paper, results, said

MEAN = "chapters/mean.ipynb"


def pdf_text(path: Path) -> str:
    """The words of a PDF."""
    pypdfium2 = pytest.importorskip("pypdfium2", reason="needs pypdfium2: install the project's dev extra")
    document = pypdfium2.PdfDocument(path)
    return " ".join(" ".join(page.get_textpage().get_text_bounded() for page in document).split())


def one_failure(root: Path, good: dict[str, bytes], code: int, message: str) -> list[str]:
    """What is not as it must be after the chapter of both runs failed."""
    bad = [] if code == 1 and "Traceback" not in message else [f"exit code {code}: {message[-300:]}"]
    found = results(Paper(root))
    for name, data in good.items():
        if name.startswith("build/chapters/") and found.get(name) != data:
            bad.append(f"{name} is not the last good one")
    for page in sorted(root.glob("_site/**/mean.html")):
        text = unescape(re.sub(r"<[^>]*>", " ", page.read_text()))
        if "of 400 throws" not in " ".join(text.split()) or "Stale" not in text:
            bad.append(f"{page.relative_to(root)} is not its last good page, stamped")
    for path in sorted(root.glob("_site/**/*.pdf")):
        text = pdf_text(path)
        if "of 400 throws" not in text or "Stale" not in text:
            bad.append(f"{path.relative_to(root)} has not its last good page, stamped")
    if "Stale" in (root / "_site/index.html").read_text():
        bad.append("another page is stamped")
    return bad


def test_a_failing_chapter_keeps_its_last_good_page(trial: Trial, tmp_path: Path) -> None:
    if not trial.full:
        pytest.skip("done by make trials")
    paper, held, wrong = mortal_paper(tmp_path / "paper", True), 0, []
    assert finish(paper) == 0, said(paper)
    good, source = results(paper), (paper.root / MEAN).read_bytes()
    failing = random.Random(8).sample(sorted(FAILING), len(FAILING))
    for notebook in failing:
        shutil.copy(NOTEBOOKS / notebook, paper.root / MEAN)
        text = (paper.root / MEAN).read_text().replace("tiny-s1", "mortal-s1")
        (paper.root / MEAN).write_text(text)
        code = finish(paper)
        bad = one_failure(paper.root, good, code, said(paper))
        (paper.root / MEAN).write_bytes(source)
        code = finish(paper)
        if code or differing(results(paper), good):
            bad.append(f"not mended: {code}, {differing(results(paper), good)}: {said(paper)[-300:]}")
        held, wrong = held + (not bad), wrong + [f"{notebook}: {text}" for text in bad]
    trial.row("Kills", "a chapter that fails, each way it can, then mended", len(failing), held, "; ".join(wrong))
