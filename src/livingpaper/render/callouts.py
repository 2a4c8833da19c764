"""Callouts: what kind, which title, folded or not."""

from dataclasses import dataclass

from livingpaper.render import ast
from livingpaper.render.ast import Attr, Node

KINDS = ("note", "tip", "warning", "important", "caution")
_DROPPED = ("title", "icon", "collapse", "appearance")


@dataclass(frozen=True)
class Callout:
    """A callout, ready to be written; its title is inlines, and plain text where it came from an attribute."""

    kind: str
    attr: Attr  # identifier, other classes and attributes
    title: list[Node]
    body: list[Node]
    collapse: bool | None  # None: not foldable; True: folded at first


def callout(node: Node) -> Callout | None:
    """The callout a node is, else None."""
    if node["t"] != "Div":
        return None
    attr = Attr.of(node["c"][0])
    kind = next((kind for kind in KINDS if f"callout-{kind}" in attr.classes), None)
    if kind is None:
        return None
    title, body = _title(attr, node["c"][1], kind)
    collapse = {"true": True, "false": False}.get(attr.pairs.get("collapse", "").lower())
    classes = [name for name in attr.classes if name != f"callout-{kind}"]
    pairs = {key: value for key, value in attr.pairs.items() if key not in _DROPPED}
    return Callout(kind, Attr(attr.id, classes, pairs), title, body, collapse)


def _title(attr: Attr, body: list[Node], kind: str) -> tuple[list[Node], list[Node]]:
    """The title of the attribute, else a heading that opens the callout, else the kind's own name."""
    if "title" in attr.pairs:
        return [ast.string(attr.pairs["title"])], body
    if body and body[0]["t"] == "Header":
        return body[0]["c"][2], body[1:]
    return [ast.string(kind.capitalize())], body
