"""The resolved pages → one Typst document, with the same numbers, callouts and citations as the site."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from livingpaper.book import Book
from livingpaper.printing import Printing
from livingpaper.render import ast, bibliography
from livingpaper.render.ast import Attr, Node
from livingpaper.render.links import identifiers
from livingpaper.render.pages import ASSETS, Page
from livingpaper.render.pandoc import Pandoc
from livingpaper.render.site import project_version
from livingpaper.render.typstnodes import NodeWriter, formula, label, raw, string, title_label

_PIECE = 500  # letters of a word
_ARGUMENTS = ("-f", "json", "-t", "typst-citations", "--wrap=none")


@dataclass
class Document:
    """Typst source, and the files it shows: path in its folder → bytes."""

    text: str
    files: dict[str, bytes]


def write_document(book: Book, printing: Printing, pages: Sequence[Page], pandoc: Pandoc) -> Document:
    """The whole book as one Typst document; what it cannot print becomes a warning of its page."""
    by_source = {page.source: page for page in pages}
    known = {page.source: identifiers(page) for page in pages}
    files: dict[str, bytes] = {}
    labels: set[str] = set()
    chapters: list[Node] = []
    for page in pages:
        writer = NodeWriter(book, page, by_source, known, files, labels)
        chapters += [
            raw("#pagebreak(weak: true)"),
            writer.heading(),
            *_banners(page),
            *ast.rewrite(page.blocks, writer.change),
        ]
    prepared = bibliography.prepare(book, chapters, bibliography.works(chapters), level=1)
    blocks = ast.rewrite([*_contents(book, pages), *ast.rewrite(ast.unique(prepared.blocks), _works)], _pieces)
    result = pandoc.run(
        [*_ARGUMENTS, *prepared.arguments], json.dumps(ast.document(blocks, prepared.meta)), prepared.files
    )
    pages[0].warnings += result.warnings
    return Document(_head(book, printing) + result.output, files)


def _head(book: Book, printing: Printing) -> str:
    """The opening of the document: the house style, and the title page's lines."""
    assert book.pdf is not None
    version = project_version(book.root)
    language = book.language.split("-")[0].lower()
    lines = [book.date, f"Run {printing.run}", f"Version {version}" if version else "", book.repository]
    shown = "".join(f"{string(line)}, " for line in lines if line)
    return (
        (ASSETS / "paper.typ").read_text(encoding="utf-8")
        + f"\n#show: paper.with(title: {string(book.title)}, subtitle: {string(book.subtitle)}, "
        + f"author: {string(book.author)}, lines: ({shown}), language: {string(language)}, "
        + f"size: {string(book.pdf.paper)}, text-size: {book.pdf.font_size})\n\n"
    )


def _contents(book: Book, pages: Sequence[Page]) -> list[Node]:
    """The table of contents, with the parts of the book between its entries."""
    depth = book.pdf.toc_depth if book.pdf else 2
    blocks, part = [raw("#contents[")], None
    for page in pages:
        here = "Appendices" if page.entry.appendix else page.entry.part
        if here and here != part:
            blocks += [raw("#contents-part["), ast.plain([ast.string(here)]), raw("]")]
        part = here
        blocks += _entry(1, page.number, title_label(page), page.title)
        for level, triple, content in (node["c"] for node in ast.nodes(page.blocks, "Header")):
            attr = Attr.of(triple)
            if 2 <= level <= depth and "unlisted" not in attr.classes and attr.id:
                blocks += _entry(level, attr.pairs.get("number", ""), label(page, attr.id), content)
    return [*blocks, raw("]")]


def _entry(level: int, number: str, target: str, title: list[Node]) -> list[Node]:
    opening = f"#contents-entry({level}, {string(number)}, label({string(target)}))["
    return [raw(opening), ast.plain(ast.rewrite(title, _in_contents)), raw("]")]


def _in_contents(node: Node) -> Node | list[Node] | None:
    """A title's inlines as the contents show them: without links, notes and identifiers."""
    if node["t"] == "Math":
        return formula(node)
    if node["t"] in ("Link", "Span"):
        return list(node["c"][1])
    return [] if node["t"] == "Note" else None


def _banners(page: Page) -> list[Node]:
    """What the reader must know before the chapter: where its evidence comes from, that it failed or is not fresh."""
    evidence = [raw("#evidence["), ast.plain([ast.string(page.evidence)]), raw("]")] if page.evidence else []
    told = (("red", "This chapter could not be made.", page.failure), ("amber", "Stale.", page.stale))
    return evidence + [
        block
        for tone, title, text in told
        if text
        for block in (raw(f'#callout("{tone}", "!", {string(title)})['), ast.plain([ast.string(text)]), raw("]"))
    ]


def _pieces(node: Node) -> list[Node] | None:
    """A long word in pieces: pandoc's writer takes minutes for one of a hundred thousand letters."""
    if node["t"] != "Str" or len(node["c"]) <= _PIECE:
        return None
    return [ast.string(node["c"][at : at + _PIECE]) for at in range(0, len(node["c"]), _PIECE)]


def _works(node: Node) -> list[Node] | None:
    """The list of works cited, hanging."""
    if node["t"] != "Div" or node["c"][0][0] != "refs":
        return None
    return [raw("#works["), node, raw("]")]
