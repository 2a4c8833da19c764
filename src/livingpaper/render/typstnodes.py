"""What the nodes of a page become on their way into Typst; see `assets/paper.typ` for the functions called."""

import re
from collections.abc import Mapping

from livingpaper.book import Book
from livingpaper.render import ast
from livingpaper.render.ast import Attr, Node
from livingpaper.render.callouts import Callout, callout
from livingpaper.render.html import WORDS
from livingpaper.render.links import Place, place
from livingpaper.render.pages import Page
from livingpaper.render.structure import EQUATION, is_float, kind_of, parts

_LONG = 22  # rows; a table with more may be broken over pages
_CHARACTERS = 1500  # a callout with fewer is kept on one page
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


class NodeWriter:
    """Turns the nodes of one page into what pandoc's Typst writer prints the way the house style wants it."""

    def __init__(
        self,
        book: Book,
        page: Page,
        pages: Mapping[str, Page],
        known: Mapping[str, set[str]],
        files: dict[str, bytes],
        labels: set[str],
    ) -> None:
        self._book, self._page, self._pages, self._known = book, page, pages, known
        self._files, self._labels = files, labels

    def heading(self) -> Node:
        """The chapter's title."""
        attr = Attr(title_label(self._page), [], {"number": self._page.number} if self._page.number else {})
        self._labels.add(attr.id)
        return self._header(
            {"t": "Header", "c": [1, attr.triple(), ast.rewrite(self._page.title, self.change)]}, attr.id
        )

    def change(self, node: Node) -> Node | list[Node] | None:
        """What stands in the place of a node; see `ast.rewrite`."""
        kind = node["t"]
        if kind == "Header":
            identifier = node["c"][1][0]
            return self._header(node, self._own(identifier))
        if kind in ("Link", "Image"):
            return self._link(node) if kind == "Link" else self._image(node)
        if kind == "Span":
            return self._equation(node) if EQUATION in node["c"][0][1] else self._relabelled(node)
        if kind == "Math":
            return formula(node)
        if kind == "CodeBlock":
            return self._code(node)
        if kind == "Table":
            return {"t": "Table", "c": [Attr().triple(), *node["c"][1:]]}
        if kind in ("RawBlock", "RawInline"):
            return self._foreign(node)
        if kind == "Div":
            if is_float(node):
                return self._float(node)
            found = callout(node)
            return self._callout(found) if found else self._relabelled(node)
        return None

    def _own(self, identifier: str) -> str:
        """The label of an identifier of this page; none for one that has been given already, which Typst refuses."""
        name = label(self._page, identifier) if identifier else ""
        if name in self._labels:
            return ""
        self._labels.add(name)
        return name

    def _label(self, identifier: str) -> str:
        name = self._own(identifier)
        return f" #label({string(name)})" if name else ""

    def _header(self, node: Node, identifier: str) -> Node:
        level, triple, content = node["c"]
        number = Attr.of(triple).pairs.get("number", "")
        words = [ast.string(f"{number}\u2002"), *content] if number else content
        return {"t": "Header", "c": [level, Attr(identifier).triple(), words]}

    def _relabelled(self, node: Node) -> Node:
        attr = Attr.of(node["c"][0])
        attr.id = attr.id if attr.id == "refs" else self._own(attr.id)
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
            name = title_label(found.page) if title else label(found.page, found.fragment)
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
        if not alt:
            self._page.warnings.append(f"{self._page.source}: image {target[:80]!r} has no description; add fig-alt")
        data = self._page.figures.get(f"/{found.file}")
        self._files[found.file] = (self._book.root / found.file).read_bytes() if data is None else data
        width = _width(attr.pairs.get("width", ""))
        return ast.raw_inline("typst", f"#picture({string('/' + found.file)}, {string(alt)}, {width})")

    def _equation(self, node: Node) -> Node:
        attr = Attr.of(node["c"][0])
        opening = f"#numbered-equation({string(attr.pairs['number'])})["
        closing = f"{self._label(attr.id)}]"
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
        captioned = [raw(", caption: ["), *_run_in(words), raw("]")] if words else []
        closing = f"]){self._label(attr.id)}"
        rows = sum(len(part[3]) for table in ast.nodes(body, "Table") for part in table["c"][4])
        whole = "false" if rows > _LONG else "true"
        opening = f'#keep({whole})[#figure(kind: "{kind}", supplement: none, numbering: none'
        return [raw(opening), *captioned, raw(", ["), *body, raw(f"{closing}]")]

    def _callout(self, found: Callout) -> list[Node]:
        tone, sign = next(((t, s) for name, t, s in _CLAIMS if name in found.attr.classes), _TONES[found.kind])
        closing = f"]{self._label(found.attr.id)}"
        whole = "true" if len(ast.text(found.body)) < _CHARACTERS else "false"
        return [
            raw(f'#callout("{tone}", "{sign}", whole: {whole}, ['),
            ast.plain(found.title),
            raw("])["),
            *found.body,
            raw(closing),
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


def string(value: str) -> str:
    """A Typst string literal."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def label(page: Page, identifier: str) -> str:
    """The label of an identifier: those numbered over the book stand as they are, others bear their page's name."""
    name = identifier if kind_of(identifier) else f"{page.slug}:{identifier}"
    return _LABEL.sub("-", name)


def title_label(page: Page) -> str:
    return label(page, page.attr.id) if page.attr.id else label(page, "page")


def formula(node: Node) -> list[Node]:
    """A formula that says its TeX source to whoever cannot see it."""
    source = " ".join(str(node["c"][1]).split())
    return [ast.raw_inline("typst", f"#described({string(source)})["), node, ast.raw_inline("typst", "]")]


def raw(text: str) -> Node:
    return ast.raw_block("typst", text)
