"""One resolved page → the HTML of its body."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from livingpaper.book import Book
from livingpaper.render import ast, bibliography, images
from livingpaper.render.ast import Attr, Node
from livingpaper.render.callouts import Callout, callout
from livingpaper.render.markup import unbalanced
from livingpaper.render.pages import Page
from livingpaper.render.pandoc import Pandoc
from livingpaper.render.structure import EQUATION, is_float, parts

WORDS = {"fig": "Figure", "tbl": "Table"}
_ARGUMENTS = ("-f", "json", "-t", "html5", "--mathml", "--wrap=none")
_HEADING = re.compile(r'<h([1-6])([^>]*?)\sid="([^"]*)"([^>]*)>(.*?)</h\1>', re.DOTALL)
_LINK = re.compile(r"</?a\b[^>]*>|<sup>.*?</sup>", re.DOTALL)
_NUMBER = re.compile(r'<span class="section-number">.*?</span> ?')


@dataclass(frozen=True)
class Heading:
    """A heading of a page, for its contents list; `html` is its text with number, free of links."""

    level: int
    identifier: str
    html: str


@dataclass(frozen=True)
class Body:
    """A page's body as HTML, its title as HTML without number, and its headings below the title."""

    html: str
    title: str
    headings: tuple[Heading, ...]


def write_body(book: Book, page: Page, pandoc: Pandoc, figures: Mapping[str, bytes], cited: list[str]) -> Body:
    """The body of a resolved page; `figures` are the images by URL, `cited` the works cited anywhere in the book."""
    title = {"t": "Header", "c": [1, _title_attr(page).triple(), page.title]}
    blocks = ast.rewrite([title, *page.blocks], lambda node: _html(node, figures))
    prepared = bibliography.prepare(book, blocks, cited, level=2)
    text = json.dumps(ast.document(ast.unique(prepared.blocks), prepared.meta))
    result = pandoc.run([*_ARGUMENTS, *prepared.arguments], text, prepared.files)
    page.warnings += [f"{page.source}: {message}" for message in result.warnings]
    if tag := unbalanced(result.output):
        page.errors.append(f"{page.source}: raw HTML is not balanced at {tag}; close what it opens, and nothing else")
    return _body(result.output)


def _title_attr(page: Page) -> Attr:
    number = {"number": page.number} if page.number else {}
    return Attr(page.attr.id or f"page-{page.slug}", ["title", *page.attr.classes], number)


def _body(output: str) -> Body:
    title, headings = "", []
    for level, before, identifier, after, inner in _HEADING.findall(output):
        text = _LINK.sub("", inner).strip()
        if level == "1" and not title:
            title = _NUMBER.sub("", text)
        elif "unlisted" not in before + after:
            headings.append(Heading(int(level), identifier, text))
    # a formula's TeX stands beside it for programs; search would show it twice
    return Body(output.replace("<annotation ", "<annotation data-pagefind-ignore "), title, tuple(headings))


def _html(node: Node, figures: Mapping[str, bytes]) -> Node | list[Node] | None:
    kind = node["t"]
    if kind == "Image":
        return _image(node, figures)
    if kind == "Header":
        level, triple, content = node["c"]
        return {"t": "Header", "c": [level, *_numbered(triple, content)]}
    if kind == "Span" and EQUATION in node["c"][0][1]:
        return _equation(node)
    if kind == "CodeBlock":
        return _code(node)
    if kind == "Table":
        return ast.div([_headed(node)], Attr(classes=["table-scroll"]))
    if kind == "Div":
        if is_float(node):
            return _float(node)
        found = callout(node)
        return _callout(found) if found else None
    return None


def _numbered(triple: list[object], content: list[Node]) -> tuple[list[object], list[Node]]:
    """Attributes without the number, and the content with it in front."""
    attr = Attr.of(triple)
    number = attr.pairs.pop("number", "")
    if not number:
        return attr.triple(), content
    return attr.triple(), [ast.span([ast.string(number)], Attr(classes=["section-number"])), ast.SPACE, *content]


def _headed(table: Node) -> Node:
    """A table whose empty headings say what their column is to whoever hears them: pandas leaves that of the index."""
    for row in table["c"][3][1]:
        for column, cell in enumerate(row[1]):
            if not cell[4]:
                word = "Row" if column == 0 else f"Column {column + 1}"
                cell[4] = [ast.plain([ast.span([ast.string(word)], Attr(classes=["visually-hidden"]))])]
    return table


def _image(node: Node, figures: Mapping[str, bytes]) -> Node:
    triple, content, target = node["c"]
    attr = Attr.of(triple)
    alt = attr.pairs.pop("fig-alt", "") or attr.pairs.pop("alt", "") or ast.text(content)
    data = figures.get(target[0])
    shown = images.size(data) if data else None
    if shown and not {"width", "height"} & attr.pairs.keys():
        attr.pairs |= {"width": str(shown.width), "height": str(shown.height)}
    attr.pairs |= {"loading": "lazy", "decoding": "async"}
    return {"t": "Image", "c": [attr.triple(), [ast.string(alt)] if alt else [], target]}


def _equation(node: Node) -> Node:
    attr = Attr.of(node["c"][0])
    number = attr.pairs.pop("number")
    return ast.span([*node["c"][1], ast.span([ast.string(f"({number})")], Attr(classes=["equation-number"]))], attr)


def _code(node: Node) -> Node | list[Node] | None:
    attr = Attr.of(node["c"][0])
    if "html-only" in attr.classes or "html-table" in attr.classes:
        return ast.div([ast.raw_block("html", node["c"][1])], Attr(classes=["cell-output", "cell-output-html"]))
    if "cell-code" not in attr.classes:
        return None
    fold, summary = attr.pairs.pop("fold"), attr.pairs.pop("summary")
    block = {"t": "CodeBlock", "c": [attr.triple(), node["c"][1]]}
    if fold == "false":
        return block
    shown = " open" if fold == "show" else ""
    opening = f'<details class="code-fold" data-pagefind-ignore{shown}><summary>{escape(summary)}</summary>'
    return [ast.raw_block("html", opening), block, ast.raw_block("html", "</details>")]


def _float(node: Node) -> list[Node]:
    attr, caption, body = parts(node)
    kind, number = attr.pairs["kind"], attr.pairs.get("number", "")
    label = f"{WORDS[kind]}{ast.NO_BREAK_SPACE}{number}" if number else ""
    identifier = f' id="{escape(attr.id)}"' if attr.id else ""
    classes = " ".join(["float", f"float-{kind}", *(name for name in attr.classes if name != "float")])
    words = _caption(label, caption)
    captioned = [ast.raw_block("html", "<figcaption>"), *words, ast.raw_block("html", "</figcaption>")] if words else []
    inner = [*captioned, *body] if kind == "tbl" else [*body, *captioned]
    opening = f'<figure{identifier} class="{escape(classes)}">'
    return [ast.raw_block("html", opening), *inner, ast.raw_block("html", "</figure>")]


def _caption(label: str, caption: list[Node]) -> list[Node]:
    """The caption with its label in front of the first line."""
    if not label:
        return caption
    first = caption[0]["c"] if caption and caption[0]["t"] in ("Plain", "Para") else []
    rest = caption[1:] if first else caption
    mark = ast.span([ast.string(f"{label}.")], Attr(classes=["float-label"]))
    return [ast.plain([mark, *([ast.SPACE] if first else []), *first]), *rest]


def _callout(found: Callout) -> Node | list[Node]:
    name = ast.text(found.title)
    hidden = ast.span([ast.string(f"{found.kind.capitalize()}: ")], Attr(classes=["visually-hidden"]))
    told = "claim" in found.attr.classes or name.lower() == found.kind
    title = [*([] if told else [hidden]), *found.title]
    classes = ["callout", f"callout-{found.kind}", *found.attr.classes]
    body = ast.div(found.body, Attr(classes=["callout-body"]))
    if found.collapse is None:
        attr = Attr(found.attr.id, classes, {**found.attr.pairs, "role": "note"})
        return ast.div([ast.div([ast.plain(title)], Attr(classes=["callout-title"])), body], attr)
    identifier = f' id="{escape(found.attr.id)}"' if found.attr.id else ""
    opening = f'<details class="{escape(" ".join(classes))}"{identifier}{"" if found.collapse else " open"}>'
    return [
        ast.raw_block("html", f'{opening}<summary class="callout-title">'),
        ast.plain(title),
        ast.raw_block("html", "</summary>"),
        body,
        ast.raw_block("html", "</details>"),
    ]
