"""What a page uses of Quarto that the embedded renderer does not cover: named, never dropped in silence."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from livingpaper.render import ast
from livingpaper.render.ast import Attr, Node

_SHORTCODE = re.compile(r"\{\{<\s*([\w-]+)[^\n]*?>\}\}")
_CELL = re.compile(r"^`{3,}\s*(\{\w+)[^.\n]*\}\s*$", re.MULTILINE)
_FRONT_MATTER = {"title", "jupyter"}  # the kernel concerns whoever executes
_CLASSES = re.compile(r"panel-\w+|column-[\w-]+|aside|content-(?:visible|hidden)|landscape|cell-output-hidden")
_ATTRIBUTES = re.compile(r"layout(?:-[\w-]+)?|fig-subcap|fig-scap|lightbox|group")
_LABELS = re.compile(r"(?:lst|thm|lem|cor|prp|cnj|def|exm|exr|rem|sol|nte|tip|wrn|imp|cau)-[\w-]+")


def uncovered(markdown: str, meta: dict[str, Any], blocks: list[Node]) -> list[str]:
    """One message for each construct of a page that is not covered, sorted."""
    found = {f"shortcode {name!r}" for name in _SHORTCODE.findall(markdown)}
    found |= {f"a cell {name + '}'!r} to be executed in a page" for name in _CELL.findall(markdown)}
    found |= {f"front matter {name!r}" for name in meta.keys() - _FRONT_MATTER}
    for node in ast.nodes(blocks, "Div", "Span", "CodeBlock", "Figure", "Table", "Header", "Image"):
        found |= set(_of(node))
    return sorted(f"{name} is not covered" for name in found)


def _of(node: Node) -> Iterator[str]:
    attr = Attr.of(node["c"][1] if node["t"] == "Header" else node["c"][0])
    yield from (f"class {name!r}" for name in _matching(_CLASSES, attr.classes))
    yield from (f"attribute {name!r}" for name in _matching(_ATTRIBUTES, attr.pairs))
    yield from (f"label {name!r}" for name in _matching(_LABELS, [attr.id]))


def _matching(pattern: re.Pattern[str], names: Iterable[str]) -> list[str]:
    return [name for name in names if pattern.fullmatch(name)]
