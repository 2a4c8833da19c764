"""Citations of a document: what pandoc's citation processor needs, and where the list of works goes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livingpaper.book import Book
from livingpaper.render import ast
from livingpaper.render.ast import Attr, Node
from livingpaper.render.pandoc import Result

_MISSING = re.compile(r"[Cc]itation (\S+) not found")
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


def problems(result: Result) -> tuple[list[str], list[str]]:
    """Errors (works that are in no bibliography) and other warnings of a pandoc run."""
    missing = [found[1] for warning in result.warnings if (found := _MISSING.search(warning))]
    others = [warning for warning in result.warnings if not _MISSING.search(warning)]
    return [f"@{key} is not in the bibliography" for key in dict.fromkeys(missing)], others


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
