"""Just enough of a document tree to ask printed pages questions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@dataclass
class Element:
    """An element with its attributes and children, words included."""

    tag: str
    attributes: dict[str, str]
    children: "list[Element | str]" = field(default_factory=list)

    def all(self, tag: str = "", **wanted: str) -> "list[Element]":
        """Elements below, by tag and attributes (`class_` holds one class)."""
        return [element for element in self._below() if element.matches(tag, wanted)]

    def one(self, tag: str = "", **wanted: str) -> "Element":
        """The only element of that kind."""
        found = self.all(tag, **wanted)
        assert len(found) == 1, f"{len(found)} of <{tag} {wanted}>"
        return found[0]

    def matches(self, tag: str, wanted: dict[str, str]) -> bool:
        """Whether tag and attributes are these."""
        own = self.attributes
        return (not tag or self.tag == tag) and all(
            value in own.get("class", "").split() if key == "class_" else own.get(key.replace("_", "-")) == value
            for key, value in wanted.items()
        )

    @property
    def text(self) -> str:
        """All words below, white space made single."""
        words = "".join(child if isinstance(child, str) else f" {child.text} " for child in self.children)
        return " ".join(words.replace("\u00a0", " ").split())

    def _below(self) -> "Iterator[Element]":
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child._below()


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs})
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def parse(html: str) -> Element:
    """The tree of a page; tags that do not match fail."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert len(builder._open) == 1, f"<{builder._open[-1].tag}> is not closed"
    return builder.root


def read(path: Path) -> Element:
    """The tree of a printed page."""
    return parse(path.read_text(encoding="utf-8"))
