"""Brings every way of writing a figure, a table or an equation into one form.

A float is `Div(#id .float kind=fig|tbl)[Div(.float-caption)[…], body…]`; a numbered equation is
`Span(#eq-x .equation)[Math]`. Everything after this step sees only these.
"""

import re

from livingpaper.render import ast
from livingpaper.render.ast import Attr, Node
from livingpaper.render.callouts import callout

FLOAT = "float"
CAPTION = "float-caption"
EQUATION = "equation"
_EQUATION_LABEL = re.compile(r"\{#(eq-[\w-]+)\}(.*)", re.DOTALL)


def normalise(blocks: list[Node]) -> list[Node]:
    """The blocks with all floats and numbered equations in the one form."""
    out: list[Node] = ast.rewrite(blocks, _normalise)
    return ast.rewrite(out, _unnest)  # type: ignore[no-any-return]


def is_float(node: Node) -> bool:
    """Whether a node is a float."""
    return node["t"] == "Div" and FLOAT in node["c"][0][1]


def parts(node: Node) -> tuple[Attr, list[Node], list[Node]]:
    """Attributes, caption and body of a float."""
    triple, content = node["c"]
    return Attr.of(triple), content[0]["c"][1], content[1:]


def build(attr: Attr, kind: str, caption: list[Node], body: list[Node]) -> Node:
    """A float of its parts."""
    classes = [FLOAT, *(name for name in attr.classes if name not in (FLOAT, "cell-float", "unlabelled-float"))]
    pairs = {**attr.pairs, "kind": kind}
    return ast.div([ast.div(caption, Attr(classes=[CAPTION])), *body], Attr(attr.id, classes, pairs))


def kind_of(identifier: str) -> str:
    """`fig`, `tbl`, `eq` or `sec` for an identifier that can be referred to, else nothing."""
    prefix, dash, _ = identifier.partition("-")
    return prefix if dash and prefix in ("fig", "tbl", "eq", "sec") else ""


def _normalise(node: Node) -> Node | None:
    if node["t"] == "Div":
        return _headings_outside_the_contents(node) if callout(node) else _from_div(node)
    if node["t"] == "Figure":
        triple, caption, body = node["c"]
        return build(Attr.of(triple), "fig", caption[1], _bare(body))
    if node["t"] == "Table":
        return _from_table(node)
    if node["t"] in ("Para", "Plain"):
        if _is_lone_figure(node):
            return build(Attr(), "fig", [], [node])
        return {"t": node["t"], "c": _equations(node["c"])}
    return None


def _headings_outside_the_contents(node: Node) -> Node:
    """A callout whose headings are no sections of the chapter."""

    def change(inner: Node) -> Node | None:
        if inner["t"] != "Header":
            return None
        level, triple, content = inner["c"]
        attr = Attr.of(triple)
        return {"t": "Header", "c": [level, Attr("", [*attr.classes, "unnumbered", "unlisted"]).triple(), content]}

    return {"t": "Div", "c": [node["c"][0], ast.rewrite(node["c"][1], change)]}


def _from_div(node: Node) -> Node | None:
    attr = Attr.of(node["c"][0])
    kind = kind_of(attr.id)
    if FLOAT in attr.classes or (kind not in ("fig", "tbl") and "unlabelled-float" not in attr.classes):
        return None
    caption, body = _split_caption(node["c"][1])
    if kind not in ("fig", "tbl"):
        kind = "tbl" if next(ast.nodes(body, "Table"), None) else "fig"
    return build(attr, kind, caption, body)


def _split_caption(content: list[Node]) -> tuple[list[Node], list[Node]]:
    """Caption and body of a float: a marked caption, else the last paragraph, else that of the one float in it."""
    marked = [block for block in content if block["t"] == "Div" and CAPTION in block["c"][0][1]]
    if marked:
        return marked[-1]["c"][1], [block for block in content if block is not marked[-1]]
    if len(content) > 1 and content[-1]["t"] in ("Para", "Plain"):
        return [ast.plain(content[-1]["c"])], content[:-1]
    inner = [block for block in content if is_float(block)]
    if len(inner) == 1 and parts(inner[0])[1]:
        _, caption, body = parts(inner[0])
        return caption, [part for block in content for part in (body if block is inner[0] else [block])]
    return [], content


def _from_table(node: Node) -> Node:
    triple, caption, columns, *rest = node["c"]
    attr, columns = Attr.of(triple), _columns(columns)
    if not caption[1] and kind_of(triple[0]) != "tbl":
        return {"t": "Table", "c": [triple, caption, columns, *rest]}
    bare = {"t": "Table", "c": [Attr(classes=attr.classes).triple(), [None, []], columns, *rest]}
    return build(Attr(attr.id, [], attr.pairs), "tbl", caption[1], [bare])


def _columns(columns: list[list[Node]]) -> list[list[Node]]:
    """Columns as wide as their content, where pandoc has spread them by the dashes under the headings.

    It does so for a pipe table with one long line in its source, which says nothing about how it should look; the
    widths then fill the line. Those of a grid table, which an author has drawn, do not.
    """
    widths = [width["c"] for _, width in columns if width["t"] == "ColWidth"]
    if abs(sum(widths) - 1) > 0.005:
        return columns
    return [[alignment, {"t": "ColWidthDefault"}] for alignment, _ in columns]


def _unnest(node: Node) -> Node | None:
    """A float without unlabelled ones inside it, its images described at least by its caption."""
    if not is_float(node):
        return None
    attr, caption, body = parts(node)
    flat: list[Node] = ast.rewrite(body, lambda inner: parts(inner)[2] if _is_anonymous(inner) else None)
    words = ast.text(caption).strip()
    for image in ast.nodes(flat, "Image"):
        about = Attr.of(image["c"][0])
        if not about.pairs.get("fig-alt"):
            about.pairs["fig-alt"] = words
            image["c"][0] = about.triple()
    return build(attr, attr.pairs["kind"], caption, flat)


def _is_anonymous(node: Node) -> bool:
    return is_float(node) and not parts(node)[0].id and not parts(node)[1]


def _bare(body: list[Node]) -> list[Node]:
    """A figure's body; pandoc repeats the caption as the image's text, which is no description of it."""

    def undescribed(node: Node) -> Node | None:
        if node["t"] != "Image":
            return None
        attr = Attr.of(node["c"][0])
        alt = attr.pairs.get("fig-alt") or attr.pairs.get("alt") or ast.text(node["c"][1])
        attr.pairs["fig-alt"] = alt
        return {"t": "Image", "c": [attr.triple(), [], node["c"][2]]}

    return ast.rewrite(body, undescribed)  # type: ignore[no-any-return]


def _is_lone_figure(node: Node) -> bool:
    content = node["c"]
    return len(content) == 1 and content[0]["t"] == "Image" and "cell-figure" in content[0]["c"][0][1]


def _equations(content: list[Node]) -> list[Node]:
    """Inlines with every display equation that has a `{#eq-…}` behind it marked."""
    out: list[Node] = []
    index = 0
    while index < len(content):
        node = content[index]
        index += 1
        if node["t"] == "Math" and node["c"][0]["t"] == "DisplayMath":
            behind = index + 1 if index < len(content) and content[index]["t"] in ("Space", "SoftBreak") else index
            label = content[behind]["c"] if behind < len(content) and content[behind]["t"] == "Str" else ""
            match = _EQUATION_LABEL.fullmatch(label)
            if match:
                out.append(ast.span([node], Attr(match[1], [EQUATION])))
                out += [ast.string(match[2])] if match[2] else []
                index = behind + 1
                continue
        out.append(node)
    return out
