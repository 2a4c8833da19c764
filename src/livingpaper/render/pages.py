"""Reads the book's pages: source or executed notebook → Markdown → document tree, title and number."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from livingpaper.book import Book, Entry
from livingpaper.printing import Printing
from livingpaper.render import ast
from livingpaper.render.ast import Attr, Node
from livingpaper.render.coverage import uncovered
from livingpaper.render.errors import RenderError
from livingpaper.render.notebook import Converted, Defaults, convert
from livingpaper.render.pandoc import Pandoc

ASSETS = Path(__file__).parent / "assets"
ERROR_CLASS = "livingpaper-error"  # what the fragment filter marks an unknown claim, page or value with
_ATTRIBUTES = re.compile(r"\{((?:\s*[#.][\w:-]+)+)\s*\}")


@dataclass
class Page:
    """One page as read: nothing in it is resolved yet."""

    entry: Entry
    url: str  # relative to the printing's folder
    slug: str
    title: list[Node]
    attr: Attr  # of the title
    blocks: list[Node]
    number: str = ""  # "3", "A", or empty for a page without one
    figures: dict[str, bytes] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    stale: str = ""
    failure: str = ""
    evidence: str = ""  # where it comes from; empty on pages that show none

    @property
    def source(self) -> str:
        """Path of the page's source, relative to the project."""
        return self.entry.source


def read_pages(book: Book, printing: Printing, pandoc: Pandoc, target: str) -> list[Page]:
    """All pages of the book for `target` (`html` or `typst`), chapters numbered 1, 2, … and appendices A, B, …"""
    pages = [_page(book, entry, printing, pandoc, target) for entry in book.entries]
    chapters = [page for page in pages if "unnumbered" not in page.attr.classes]
    for number, page in enumerate((page for page in chapters if not page.entry.appendix), 1):
        page.number = str(number)
    for number, page in enumerate(page for page in chapters if page.entry.appendix):
        page.number = chr(ord("A") + number)
    return pages


def _page(book: Book, entry: Entry, printing: Printing, pandoc: Pandoc, target: str) -> Page:
    converted = _markdown(book, entry, printing, target)
    tree = _parse(book, entry, converted.markdown, printing, pandoc)
    title, attr, blocks = _title(tree, entry)
    path = PurePosixPath(entry.source)
    unknown = uncovered(converted.markdown, tree["meta"], tree["blocks"])
    return Page(
        entry=entry,
        url=str(path.with_suffix(".html")),
        slug="-".join(path.with_suffix("").parts),
        title=title,
        attr=attr,
        blocks=blocks,
        figures=converted.figures,
        warnings=[*converted.warnings, *(f"{entry.source}: {message}" for message in unknown)],
        errors=[f"{entry.source}: {message}" for message in _unknown(blocks)],
        stale=printing.stale.get(entry.source, ""),
        failure=printing.errors.get(entry.source, ""),
        evidence=printing.evidence if entry.source in printing.notebooks else "",
    )


def _markdown(book: Book, entry: Entry, printing: Printing, target: str) -> Converted:
    path = book.root / entry.source
    if not entry.source.endswith(".ipynb"):
        try:
            return Converted(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise RenderError(f"{entry.source}: cannot be read: {error}") from None
    executed = printing.notebooks.get(entry.source, path)
    echo = book.html.echo if target == "html" else bool(book.pdf and book.pdf.echo)
    return convert(executed, entry.source, Defaults(echo, True, book.html.code_fold, book.html.code_summary))


def _parse(book: Book, entry: Entry, markdown: str, printing: Printing, pandoc: Pandoc) -> dict[str, Any]:
    """The page as pandoc reads it, with the outputs of its cells and the press's fragments put in."""
    filters = [ASSETS / "cells.lua", *(book.root / name for name in book.filters)]
    environment = {
        "LIVINGPAPER_FRAGMENTS": str(printing.fragments),
        "LIVINGPAPER_ERRORS": "",  # the tree itself says what was unknown
        "LIVINGPAPER_PAGE": entry.source,
        "QUARTO_PROJECT_DIR": str(book.root),
    }
    files = [*filters, *([printing.fragments] if printing.fragments.is_file() else [])]
    arguments = ["-f", "markdown", "-t", "json", *(f"--lua-filter={path}" for path in filters)]
    try:
        tree: dict[str, Any] = json.loads(pandoc.run(arguments, markdown, files, environment).output)
    except RenderError as error:
        raise RenderError(f"{entry.source}: {error}") from None
    return tree


def _title(tree: dict[str, Any], entry: Entry) -> tuple[list[Node], Attr, list[Node]]:
    """Title, its attributes and the rest: from the front matter, else from the first heading of level 1."""
    blocks: list[Node] = tree["blocks"]
    meta = tree["meta"].get("title")
    if meta is not None and meta["t"] == "MetaInlines":
        title, attr = _trailing_attributes(meta["c"])
        return title, attr, blocks
    first = next((i for i, block in enumerate(blocks) if block["t"] == "Header" and block["c"][0] == 1), None)
    if first is None:
        raise RenderError(f"{entry.source}: has no title; open it with a line such as: # Title")
    _, triple, title = blocks[first]["c"]
    return title, Attr.of(triple), blocks[:first] + blocks[first + 1 :]


def _trailing_attributes(title: list[Node]) -> tuple[list[Node], Attr]:
    """A front matter's title without the `{#sec-x .unnumbered}` at its end, which becomes its attributes."""
    for start in range(len(title) - 1, -1, -1):
        match = _ATTRIBUTES.fullmatch(ast.text(title[start:]))
        if match:
            words = match[1].replace("#", " #").replace(".", " .").split()
            ids = [word[1:] for word in words if word.startswith("#")]
            kept = title[: start - 1] if start and title[start - 1] == ast.SPACE else title[:start]
            return kept, Attr(next(iter(ids), ""), [word[1:] for word in words if word.startswith(".")])
    return title, Attr()


def _unknown(blocks: list[Node]) -> list[str]:
    marked = ast.nodes(blocks, "Div", "Span")
    return [ast.text(node["c"][1]).strip() for node in marked if ERROR_CLASS in node["c"][0][1]]
