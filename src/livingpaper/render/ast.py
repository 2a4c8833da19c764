"""Pandoc's document tree as plain JSON: building it, walking it, rewriting it.

A node is `{"t": kind, "c": content}`; an attribute triple is `[id, classes, [[key, value], …]]` (pandoc-types 1.23).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

API_VERSION = [1, 23, 1]

Node = dict[str, Any]
Rewrite = Callable[[Node], Node | list[Node] | None]


@dataclass
class Attr:
    """Identifier, classes and key–value pairs of a node."""

    id: str = ""
    classes: list[str] = field(default_factory=list)
    pairs: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, triple: list[Any]) -> Self:
        """The attributes of a pandoc triple."""
        return cls(triple[0], list(triple[1]), dict(triple[2]))

    def triple(self) -> list[Any]:
        """The attributes as pandoc writes them."""
        return [self.id, list(self.classes), [[key, value] for key, value in self.pairs.items()]]


def rewrite(tree: Any, change: Rewrite) -> Any:
    """The tree with `change` applied to every node, innermost first.

    `change` gives None to keep a node, a node to put in its place, or a list to splice into the list it stands in.
    """
    if isinstance(tree, list):
        return _rewrite_items(tree, change)
    return _rewrite_node(tree, change) if isinstance(tree, dict) else tree


def _rewrite_items(items: list[Any], change: Rewrite) -> list[Any]:
    """`rewrite` of a list; words and spaces are most of a tree, so that text is passed on without a call of its own."""
    out: list[Any] = []
    for item in items:
        if isinstance(item, dict):
            new = _rewrite_node(item, change)
            if isinstance(new, list):
                out += new
            else:
                out.append(new)
        else:
            out.append(_rewrite_items(item, change) if isinstance(item, list) else item)
    return out


def _rewrite_node(node: Node, change: Rewrite) -> Any:
    """`rewrite` of a node, or of a mapping that is none."""
    new = dict(node)
    for key, value in node.items():
        if isinstance(value, list):
            new[key] = _rewrite_items(value, change)
        elif isinstance(value, dict):
            new[key] = _rewrite_node(value, change)
    if "t" not in new:
        return new
    changed = change(new)
    return new if changed is None else changed


def nodes(tree: Any, *kinds: str) -> Iterator[Node]:
    """Every node of the given kinds, in document order, a parent before its children."""
    waiting = [tree]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            if found.get("t") in kinds:
                yield found
            found = found.values()
        elif not isinstance(found, list):
            continue
        waiting += [part for part in reversed(found) if isinstance(part, (dict, list))]


def text(tree: Any) -> str:
    """The plain text of a tree: words and spaces, notes and raw parts left out."""
    if isinstance(tree, list):
        return "".join(text(item) for item in tree)
    if not isinstance(tree, dict):
        return ""
    kind, content = tree.get("t"), tree.get("c", [])
    if kind == "Str":
        return str(content)
    if kind in ("Space", "SoftBreak", "LineBreak"):
        return " "
    if kind in ("Code", "Math", "CodeBlock"):
        return str(content[1])  # behind the attributes, or the kind of a formula
    if kind in ("RawInline", "RawBlock", "Note"):
        return ""
    return text(content)


def unique(blocks: list[Node]) -> list[Node]:
    """The blocks with every identifier given once: a heading gets a new one, anything else loses its second."""
    seen: set[str] = set()
    for node in nodes(blocks, "Header", "Div", "Span", "CodeBlock", "Code", "Link", "Image", "Table", "Figure"):
        triple = node["c"][1] if node["t"] == "Header" else node["c"][0]
        identifier, number = triple[0], 1
        while triple[0] and triple[0] in seen:
            number += 1
            triple[0] = f"{identifier}-{number}" if node["t"] == "Header" else ""
        seen.add(triple[0])
    return blocks


# --- building --------------------------------------------------------------------------------------------------------


def string(value: str) -> Node:
    """A word; pandoc takes one with spaces in it as it stands."""
    return {"t": "Str", "c": value}


SPACE: Node = {"t": "Space"}
NO_BREAK_SPACE = "\u00a0"


def span(content: list[Node], attr: Attr | None = None) -> Node:
    """Inlines with attributes."""
    return {"t": "Span", "c": [(attr or Attr()).triple(), content]}


def div(content: list[Node], attr: Attr | None = None) -> Node:
    """Blocks with attributes."""
    return {"t": "Div", "c": [(attr or Attr()).triple(), content]}


def plain(content: list[Node]) -> Node:
    """Inlines as a block without a paragraph around them."""
    return {"t": "Plain", "c": content}


def para(content: list[Node]) -> Node:
    """A paragraph."""
    return {"t": "Para", "c": content}


def link(content: list[Node], target: str, attr: Attr | None = None) -> Node:
    """A link to `target`."""
    return {"t": "Link", "c": [(attr or Attr()).triple(), content, [target, ""]]}


def raw_block(format: str, content: str) -> Node:
    """A block handed through to the writer of `format`."""
    return {"t": "RawBlock", "c": [format, content]}


def raw_inline(format: str, content: str) -> Node:
    """An inline handed through to the writer of `format`."""
    return {"t": "RawInline", "c": [format, content]}


def code_span(content: str) -> Node:
    """Code within a line."""
    return {"t": "Code", "c": [Attr().triple(), content]}


def document(blocks: list[Node], meta: dict[str, Any] | None = None) -> Node:
    """A whole document, as `pandoc -f json` reads it."""
    return {"pandoc-api-version": API_VERSION, "meta": meta or {}, "blocks": blocks}


def meta_string(value: str) -> Node:
    """Text as document metadata."""
    return {"t": "MetaString", "c": value}
