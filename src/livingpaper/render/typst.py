"""The resolved pages → one Typst document, with the same numbers, callouts and citations as the site."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from livingpaper.book import Book
from livingpaper.printing import Printing
from livingpaper.render import ast, bibliography
from livingpaper.render.ast import Attr, Node
from livingpaper.render.callouts import Callout, callout
from livingpaper.render.html import WORDS
from livingpaper.render.links import Place, identifiers, place
from livingpaper.render.pages import ASSETS, Page
from livingpaper.render.pandoc import Pandoc
from livingpaper.render.site import project_version
from livingpaper.render.structure import EQUATION, is_float, kind_of, parts

_ARGUMENTS = ("-f", "json", "-t", "typst-citations", "--wrap=none")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
# raw markup that would show something: words outside of tags, or a tag that is a picture or a widget
_SHOWS = re.compile(
    r"(?:^|>)[^<]*[^<\s]|<(?:img|svg|iframe|video|audio|canvas|object|embed|form|input)\b", re.IGNORECASE
)
_LABEL = re.compile(r"[^A-Za-z0-9_.:-]")
_TONES = {
    "note": ("blue", "i"),
    "tip": ("green", "✓"),
    "warning": ("amber", "!"),
    "important": ("red", "!"),
    "caution": ("orange", "!"),
}
_CLAIMS = (
    ("claim-supported", "green", "✓"),
    ("claim-hypothesis", "blue", "◐"),
    ("claim-negative", "violet", "✗"),
    ("claim-unsupported", "amber", "–"),
    ("claim-next-test", "grey", "→"),
)


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
    chapters: list[Node] = []
    for page in pages:
        writer = _Writer(book, page, by_source, known, files)
        chapters += [writer.heading(), *_banners(page), *ast.rewrite(page.blocks, writer.change)]
    prepared = bibliography.prepare(book, chapters, bibliography.works(chapters), level=1)
    blocks = [*_contents(book, pages), *ast.rewrite(ast.unique(prepared.blocks), _works)]
    result = pandoc.run(
        [*_ARGUMENTS, *prepared.arguments], json.dumps(ast.document(blocks, prepared.meta)), prepared.files
    )
    errors, warnings = bibliography.problems(result)
    pages[0].errors += errors
    pages[0].warnings += warnings
    return Document(_head(book, printing) + result.output, files)


def string(value: str) -> str:
    """A Typst string literal."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def label(page: Page, identifier: str) -> str:
    """The label of an identifier: those numbered over the book stand as they are, others bear their page's name."""
    name = identifier if kind_of(identifier) else f"{page.slug}:{identifier}"
    return _LABEL.sub("-", name)


def _title_label(page: Page) -> str:
    return label(page, page.attr.id) if page.attr.id else label(page, "page")


def _head(book: Book, printing: Printing) -> str:
    """The opening of the document: the house style, and the title page's lines."""
    assert book.pdf is not None
    version = project_version(book.root)
    lines = [book.date, f"Run {printing.run}", f"Version {version}" if version else "", book.repository]
    shown = "".join(f"{string(line)}, " for line in lines if line)
    return (
        (ASSETS / "paper.typ").read_text(encoding="utf-8")
        + f"\n#show: paper.with(title: {string(book.title)}, subtitle: {string(book.subtitle)}, "
        + f"author: {string(book.author)}, lines: ({shown}), language: {string(book.language)}, "
        + f"size: {string(book.pdf.paper)}, text-size: {book.pdf.font_size})\n\n"
    )


def _contents(book: Book, pages: Sequence[Page]) -> list[Node]:
    """The table of contents, with the parts of the book between its entries."""
    depth = book.pdf.toc_depth if book.pdf else 2
    blocks, part = [_raw("#contents[")], None
    for page in pages:
        here = "Appendices" if page.entry.appendix else page.entry.part
        if here and here != part:
            blocks += [_raw("#contents-part["), ast.plain([ast.string(here)]), _raw("]")]
        part = here
        blocks += _entry(1, page.number, _title_label(page), page.title)
        for level, triple, content in (node["c"] for node in ast.nodes(page.blocks, "Header")):
            attr = Attr.of(triple)
            if 2 <= level <= depth and "unlisted" not in attr.classes and attr.id:
                blocks += _entry(level, attr.pairs.get("number", ""), label(page, attr.id), content)
    return [*blocks, _raw("]")]


def _entry(level: int, number: str, target: str, title: list[Node]) -> list[Node]:
    opening = f"#contents-entry({level}, {string(number)}, label({string(target)}))["
    return [_raw(opening), ast.plain(ast.rewrite(title, _in_contents)), _raw("]")]


def _in_contents(node: Node) -> Node | list[Node] | None:
    """A title's inlines as the contents show them: without links, notes and identifiers."""
    if node["t"] == "Math":
        return _math(node)
    if node["t"] in ("Link", "Span"):
        return list(node["c"][1])
    return [] if node["t"] == "Note" else None


def _math(node: Node) -> list[Node]:
    """A formula that says its TeX source to whoever cannot see it."""
    source = " ".join(str(node["c"][1]).split())
    return [ast.raw_inline("typst", f"#described({string(source)})["), node, ast.raw_inline("typst", "]")]


def _banners(page: Page) -> list[Node]:
    """What the reader must know before the chapter: that it failed, or that it is not fresh."""
    told = (("red", "This chapter could not be made.", page.failure), ("amber", "Stale.", page.stale))
    return [
        block
        for tone, title, text in told
        if text
        for block in (_raw(f'#callout("{tone}", "!", {string(title)})['), ast.plain([ast.string(text)]), _raw("]"))
    ]


def _works(node: Node) -> list[Node] | None:
    """The list of works cited, hanging."""
    if node["t"] != "Div" or node["c"][0][0] != "refs":
        return None
    return [_raw("#works["), node, _raw("]")]


def _raw(text: str) -> Node:
    return ast.raw_block("typst", text)


class _Writer:
    """Turns the nodes of one page into what pandoc's Typst writer prints the way the house style wants it."""

    def __init__(
        self,
        book: Book,
        page: Page,
        pages: Mapping[str, Page],
        known: Mapping[str, set[str]],
        files: dict[str, bytes],
    ) -> None:
        self._book, self._page, self._pages, self._known, self._files = book, page, pages, known, files

    def heading(self) -> Node:
        """The chapter's title."""
        attr = Attr(_title_label(self._page), [], {"number": self._page.number} if self._page.number else {})
        return self._header(
            {"t": "Header", "c": [1, attr.triple(), ast.rewrite(self._page.title, self.change)]}, attr.id
        )

    def change(self, node: Node) -> Node | list[Node] | None:
        """What stands in the place of a node; see `ast.rewrite`."""
        kind = node["t"]
        if kind == "Header":
            identifier = node["c"][1][0]
            return self._header(node, label(self._page, identifier) if identifier else "")
        if kind in ("Link", "Image"):
            return self._link(node) if kind == "Link" else self._image(node)
        if kind == "Span":
            return self._equation(node) if EQUATION in node["c"][0][1] else self._relabelled(node)
        if kind == "Math":
            return _math(node)
        if kind == "CodeBlock":
            return self._code(node)
        if kind in ("RawBlock", "RawInline"):
            return self._foreign(node)
        if kind == "Div":
            if is_float(node):
                return self._float(node)
            found = callout(node)
            return self._callout(found) if found else self._relabelled(node)
        return None

    def _header(self, node: Node, identifier: str) -> Node:
        level, triple, content = node["c"]
        number = Attr.of(triple).pairs.get("number", "")
        words = [ast.string(f"{number}\u2002"), *content] if number else content
        return {"t": "Header", "c": [level, Attr(identifier).triple(), words]}

    def _relabelled(self, node: Node) -> Node:
        attr = Attr.of(node["c"][0])
        attr.id = label(self._page, attr.id) if attr.id and attr.id != "refs" else attr.id
        return {"t": node["t"], "c": [attr.triple(), node["c"][1]]}

    def _link(self, node: Node) -> Node | list[Node]:
        """A link inside the book, or to another host; one to a file of the site is printed as its words alone."""
        _, content, (target, _) = node["c"]
        found = place(self._book, self._page, target, self._pages)
        if found.page is not None:
            title = found.fragment in ("", found.page.attr.id)
            if not title and found.fragment not in self._known[found.page.source]:
                self._page.warnings.append(f"{self._page.source}: link {target[:80]!r} points at nothing on its page")
                return list(content)
            name = _title_label(found.page) if title else label(found.page, found.fragment)
            return [ast.raw_inline("typst", f"#link(label({string(name)}))["), *content, ast.raw_inline("typst", "]")]
        address = found.outside if found.outside not in ("", "#") else self._address(found)
        return ast.link(content, address) if address else list(content)

    def _address(self, found: Place) -> str:
        site = self._book.site_url.rstrip("/")
        return f"{site}/{found.file}" if site and found.file else ""

    def _image(self, node: Node) -> Node:
        triple, content, (target, _) = node["c"]
        attr = Attr.of(triple)
        alt = attr.pairs.get("fig-alt") or attr.pairs.get("alt") or ast.text(content)
        found = place(self._book, self._page, target, self._pages)
        if not found.file.endswith((".svg", ".png", ".jpg", ".jpeg", ".gif", ".webp")):
            self._page.warnings.append(f"{self._page.source}: image {target[:80]!r} cannot be printed in the PDF")
            return ast.span([{"t": "Emph", "c": [ast.string(f"[{alt or target}]")]}])
        data = self._page.figures.get(f"/{found.file}")
        self._files[found.file] = (self._book.root / found.file).read_bytes() if data is None else data
        width = _width(attr.pairs.get("width", ""))
        return ast.raw_inline("typst", f"#picture({string('/' + found.file)}, {string(alt)}, {width})")

    def _equation(self, node: Node) -> Node:
        attr = Attr.of(node["c"][0])
        opening = f"#numbered-equation({string(attr.pairs['number'])})["
        closing = f" #label({string(label(self._page, attr.id))})]"
        return ast.span([ast.raw_inline("typst", opening), *node["c"][1], ast.raw_inline("typst", closing)])

    def _code(self, node: Node) -> Node | list[Node]:
        attr, text = Attr.of(node["c"][0]), node["c"][1]
        if "html-only" in attr.classes or "html-table" in attr.classes:
            self._page.warnings.append(f"{attr.pairs['where']}: HTML output cannot be printed in the PDF")
            words = attr.pairs["plain"] or "An interactive view; see the site."
            return ast.para([{"t": "Emph", "c": [ast.string(words)]}])
        classes = [name for name in attr.classes if not name.startswith("cell-")]
        return {"t": "CodeBlock", "c": [Attr("", classes).triple(), text]}

    def _foreign(self, node: Node) -> list[Node] | None:
        form, text = node["c"]
        if form == "typst":
            return None
        if _SHOWS.search(_COMMENT.sub("", text)):
            self._page.warnings.append(
                f"{self._page.source}: raw {form} {text.strip()[:40]!r} is not printed in the PDF"
            )
        return []

    def _float(self, node: Node) -> list[Node]:
        attr, caption, body = parts(node)
        kind, number = attr.pairs["kind"], attr.pairs.get("number", "")
        mark = [{"t": "Strong", "c": [ast.string(f"{WORDS[kind]}{ast.NO_BREAK_SPACE}{number}.")]}, ast.SPACE]
        words = [*([ast.plain(mark)] if number else []), *caption]
        captioned = [_raw(", caption: ["), *_run_in(words), _raw("]")] if words else []
        closing = f"]) #label({string(label(self._page, attr.id))})" if attr.id else "])"
        opening = f'#figure(kind: "{kind}", supplement: none, numbering: none'
        return [_raw(opening), *captioned, _raw(", ["), *body, _raw(closing)]

    def _callout(self, found: Callout) -> list[Node]:
        tone, sign = next(((t, s) for name, t, s in _CLAIMS if name in found.attr.classes), _TONES[found.kind])
        name = found.attr.id
        closing = f"] #label({string(label(self._page, name))})" if name else "]"
        return [
            _raw(f'#callout("{tone}", "{sign}", ['),
            ast.plain(found.title),
            _raw("])["),
            *found.body,
            _raw(closing),
        ]


def _run_in(words: list[Node]) -> list[Node]:
    """A caption whose label stands in its first line."""
    if len(words) > 1 and words[1]["t"] in ("Plain", "Para"):
        return [ast.plain([*words[0]["c"], *words[1]["c"]]), *words[2:]]
    return words


def _width(value: str) -> str:
    """A width of Markdown in Typst: percent as it stands, pixels as points, anything else as the image wants."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(%|px|in|cm|mm|pt)?", value.strip())
    if match is None:
        return "auto"
    number, unit = match.groups()
    return f"{float(number) * 0.75}pt" if unit in (None, "px") else f"{number}{unit}"
