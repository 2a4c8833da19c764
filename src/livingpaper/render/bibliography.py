"""Citations of a document: what pandoc's citation processor needs, and where the list of works goes."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livingpaper.book import Book
from livingpaper.render import ast
from livingpaper.render.ast import Attr, Node
from livingpaper.render.errors import RenderError
from livingpaper.render.pages import Page
from livingpaper.render.pandoc import Pandoc

_LIST = "refs"  # the identifier of the div that pandoc fills


@dataclass(frozen=True)
class Cited:
    """A document with its citations prepared: blocks, metadata, and pandoc's arguments and the files they name."""

    blocks: list[Node]
    meta: dict[str, Any] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def works(blocks: Any) -> list[str]:
    """Keys of the works cited, sorted."""
    return sorted({citation["citationId"] for node in ast.nodes(blocks, "Cite") for citation in node["c"][0]})


def known(book: Book, pandoc: Pandoc) -> frozenset[str]:
    """Keys of all works in the book's bibliographies."""
    keys: set[str] = set()
    for name in book.bibliography:
        path = book.root / name
        form = "csljson" if name.endswith(".json") else "biblatex"
        try:
            output = pandoc.run(["-f", form, "-t", "csljson"], path.read_text(encoding="utf-8")).output
        except (RenderError, UnicodeDecodeError) as error:
            raise RenderError(f"{name}: cannot be read as a bibliography: {error}") from None
        keys |= {str(work["id"]) for work in json.loads(output)}
    return frozenset(keys)


def mark_unknown(page: Page, keys: frozenset[str]) -> None:
    """Show citations of works that are in no bibliography as such, and count them as errors of the page."""

    def change(node: Node) -> Node | None:
        unknown = (
            [one["citationId"] for one in node["c"][0] if one["citationId"] not in keys] if node["t"] == "Cite" else []
        )
        if not unknown:
            return None
        page.errors.extend(f"{page.source}: @{key} is not in the bibliography" for key in unknown)
        words = ", ".join(f"?@{key}" for key in unknown)
        return ast.span([{"t": "Strong", "c": [ast.string(words)]}], Attr(classes=["livingpaper-error"]))

    page.blocks = ast.rewrite(page.blocks, change)


def prepare(book: Book, blocks: list[Node], everything: Iterable[str], level: int) -> Cited:
    """The blocks with a list of works at their end, if they cite any; its heading has the given level.

    Blocks that have a `::: {#refs}` of their own list `everything` there instead.
    """
    own_list = any(node["c"][0][0] == _LIST for node in ast.nodes(blocks, "Div"))
    keys = sorted(everything) if own_list else works(blocks)
    if not keys:
        return Cited(blocks)
    if not own_list:
        heading = {"t": "Header", "c": [level, Attr("references", ["unnumbered"]).triple(), [ast.string("References")]]}
        blocks = [*blocks, heading, ast.div([], Attr(_LIST))]
    names = [*(f"--bibliography={book.root / name}" for name in book.bibliography)]
    names += [f"--csl={book.root / book.csl}"] if book.csl else []
    files = [book.root / name for name in (*book.bibliography, *([book.csl] if book.csl else []))]
    meta = {"nocite": {"t": "MetaInlines", "c": [_citation(key) for key in keys]}} if own_list else {}
    return Cited(blocks, meta, ["--citeproc", "--metadata=link-citations:true", *names], files)


def _citation(key: str) -> Node:
    citation = {
        "citationId": key,
        "citationPrefix": [],
        "citationSuffix": [],
        "citationMode": {"t": "NormalCitation"},
        "citationNoteNum": 0,
        "citationHash": 0,
    }
    return {"t": "Cite", "c": [[citation], [ast.string(f"@{key}")]]}
