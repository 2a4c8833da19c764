"""Numbers sections, figures, tables and equations over the whole book, and resolves references to them.

The numbers are the same in the site and in the PDF because both take them from here. Counting follows Quarto's books:
figures, tables and equations are counted within their chapter (`Figure 3.2`), plainly on an unnumbered page.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from livingpaper.render import ast
from livingpaper.render.ast import Attr, Node
from livingpaper.render.pages import Page
from livingpaper.render.structure import EQUATION, is_float, kind_of

_WORDS = {"fig": "Figure", "tbl": "Table", "eq": "Equation", "sec": "Section"}


@dataclass(frozen=True)
class Target:
    """Something that can be referred to: the page it is on, its word and number."""

    page: Page
    identifier: str
    word: str  # Figure, Table, Equation, Section, Chapter, Appendix
    number: str  # empty if it has none


def number_pages(pages: Sequence[Page]) -> dict[str, Target]:
    """All targets by identifier; writes each number into its node as the attribute `number`.

    An identifier given twice is an error of the page that gives it the second time.
    """
    targets: dict[str, Target] = {}
    for page in pages:
        for target in _number(page):
            if target.identifier in targets:
                first = targets[target.identifier].page.source
                page.errors.append(f"{page.source}: label {target.identifier!r} is also given in {first}")
            targets.setdefault(target.identifier, target)
    return targets


def _number(page: Page) -> list[Target]:
    found = [Target(page, page.attr.id, "Appendix" if page.entry.appendix else "Chapter", page.number)]
    counts: Counter[str] = Counter()
    sections: list[int] = []
    for node in ast.nodes(page.blocks, "Header", "Div", "Span"):
        if node["t"] == "Header":
            number = _section(node, page, sections)
            found.append(Target(page, node["c"][1][0], "Section", number))
        elif is_float(node) or (node["t"] == "Span" and EQUATION in node["c"][0][1]):
            kind = kind_of(node["c"][0][0])
            if not kind:
                continue
            counts[kind] += 1
            number = f"{page.number}.{counts[kind]}" if page.number else str(counts[kind])
            node["c"][0][2].append(["number", number])
            found.append(Target(page, node["c"][0][0], _WORDS[kind], number))
    return [target for target in found if kind_of(target.identifier)]


def _section(node: Node, page: Page, sections: list[int]) -> str:
    """The number of a section, such as 3.1.2; an unnumbered section or page has none and counts nothing."""
    level, attr = node["c"][0], Attr.of(node["c"][1])
    if not page.number or "unnumbered" in attr.classes or level < 2:
        return ""
    depth = level - 1
    sections[depth:] = []
    sections.extend([0] * (depth - len(sections)))
    sections[depth - 1] += 1
    number = ".".join([page.number, *map(str, sections)])
    node["c"][1][2].append(["number", number])
    return number


def resolve(page: Page, targets: dict[str, Target], href: Callable[[Page, Target], str]) -> None:
    """Put links in the place of the page's references; a reference to nothing is an error of the page.

    `href` gives the link's target. `[-@fig-x]` is the number alone, `[Panel @fig-x]` has its own word.
    """

    def change(node: Node) -> Node | list[Node] | None:
        if node["t"] != "Cite":
            return None
        citations = node["c"][0]
        if not any(kind_of(citation["citationId"]) for citation in citations):
            return None
        out: list[Node] = []
        for citation in citations:
            out += [ast.string(", ")] if out else []
            out += _reference(citation, page, targets, href)
        return out

    page.blocks = ast.rewrite(page.blocks, change)


def _reference(
    citation: Node, page: Page, targets: dict[str, Target], href: Callable[[Page, Target], str]
) -> list[Node]:
    identifier = citation["citationId"]
    target = targets.get(identifier)
    if target is None:
        page.errors.append(f"{page.source}: reference @{identifier} names nothing in the book")
        return [ast.span([{"t": "Strong", "c": [ast.string(f"?@{identifier}")]}], Attr(classes=["livingpaper-error"]))]
    prefix, suffix = citation["citationPrefix"], citation["citationSuffix"]
    return [ast.link(_words(target, prefix, citation), href(page, target), Attr(classes=["reference"])), *suffix]


def _words(target: Target, prefix: list[Node], citation: Node) -> list[Node]:
    name = target.number or ast.text(target.page.title)
    if citation["citationMode"]["t"] == "SuppressAuthor":
        return [ast.string(name)]
    if prefix:
        return [*prefix, ast.string(f"{ast.NO_BREAK_SPACE}{name}")]
    if not target.number:
        return [ast.string(f"“{name}”")]
    return [ast.string(f"{target.word}{ast.NO_BREAK_SPACE}{name}")]
