"""A sentence more on a page: until site and PDF of every run show it, with nothing executed.

The peer is a lower bound, not a rival: pandoc and Typst called plainly on the same pages, without claims, numbers,
references over chapters, search or navigation.
"""

import json
import sys
from dataclasses import replace
from importlib.metadata import version
from itertools import count
from pathlib import Path

import pypandoc

from benchmarks.measuring import Contender, interleaved
from benchmarks.places import PAGES_ONLY, ROOT, build
from benchmarks.results import Results, beside

LIMIT = 8.0  # seconds
PEER = f"pandoc {pypandoc.get_pandoc_version()} and Typst {version('typst')}, plainly"
_PLAIN = ROOT / "benchmarks" / "plain_print.py"


def measure(root: Path, preset: str, what: str, results: Results, repeats: int) -> None:
    """An edit of the first page, and one of the text of the first chapter, in a paper that is built and printed."""
    edits = count()
    own = build(root, preset, PAGES_ONLY)
    page = replace(own, name="page", before=lambda: edit_page(root, next(edits)))
    text = replace(own, name="text", before=lambda: edit_chapter(root, next(edits)))
    plain = Contender("plain", [sys.executable, str(_PLAIN)], root, called="python benchmarks/plain_print.py")
    measured = interleaved([page, text, plain], repeats)
    results.rows += beside(f"prose edit of a page, {what}", page, measured, {PEER: plain}, LIMIT)
    results.rows += beside(f"prose edit in a chapter, {what}", text, measured, {PEER: plain}, LIMIT)


def edit_page(root: Path, number: int) -> None:
    """Another last sentence on the first page."""
    page = root / "index.qmd"
    page.write_text(page.read_text().partition("\n\nEdit ")[0].rstrip("\n") + f"\n\nEdit {number} of this page.\n")


def edit_chapter(root: Path, number: int) -> None:
    """Another last sentence in the first text cell of the first chapter."""
    path = min((root / "chapters").glob("*.ipynb"))
    notebook = json.loads(path.read_text())
    cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    text = "".join(cell["source"]).partition("\n\nEdit ")[0] + f"\n\nEdit {number} of this text."
    cell["source"] = text.splitlines(keepends=True)
    path.write_text(json.dumps(notebook, indent=1) + "\n")
