"""The event graph of one stream as a figure: a reader sees which write each read must find, and which are stale."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, Rectangle

from formation.figures import style

_BOX = 0.44  # half the width of a write's box, in events
_HEIGHT = 0.17  # half its height, in lanes
_LAG_ROW, _STALE_ROW = -0.68, -0.93  # below the lowest lane


def draw(graph: Mapping[str, Any], target_position: int | None = None) -> Figure:
    """A lane per key: writes as boxes, the life of each value as a bar, each read tied to the write it must find.

    `graph` is node-link JSON of `formation.geometry.event_graph`; time runs from left to right, one step an event. The
    read whose R token is at `target_position` is marked as the one the stream's twins are made for.
    """
    nodes = {node["id"]: node for node in graph["nodes"]}
    keys = sorted({node["key"] for node in nodes.values()})
    lanes = {key: len(keys) - 1 - row for row, key in enumerate(keys)}
    with style.house_style():
        figure = style.new_figure(height=0.72 * len(keys) + 1.15)
        axes = figure.subplots()
        for key in keys:
            _lives(axes, [node for node in nodes.values() if node["key"] == key], lanes[key], len(nodes))
        for edge in graph["edges"]:
            _tie(axes, nodes[edge["source"]], nodes[edge["target"]], lanes, edge["relation"])
        for node in nodes.values():
            if node["kind"] == "read":
                _read(axes, node, lanes[node["key"]], node["position"] == target_position)
                _counts(axes, node)
        _frame(axes, keys, len(nodes))
        figure.legend(handles=_legend(target_position is not None), loc="outside lower center", ncols=3)
    return figure


def _lives(axes: Axes, events: Sequence[Mapping[str, Any]], lane: int, end: int) -> None:
    """Writes of one key as boxes; behind each a bar as long as its value is the current one."""
    writes = [event for event in events if event["kind"] == "write"]
    for write, following in zip(writes, [*writes[1:], None], strict=True):
        until = following["id"] - _BOX if following else end - 0.45
        shade = Rectangle(
            (write["id"], lane - _HEIGHT), until - write["id"], 2 * _HEIGHT, color=style.SKY, alpha=0.3, lw=0
        )
        axes.add_patch(shade)
        box = FancyBboxPatch(
            (write["id"] - _BOX, lane - _HEIGHT),
            2 * _BOX,
            2 * _HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=style.BLUE,
            edgecolor=style.PAPER,
            lw=0.6,
            zorder=3,
        )
        axes.add_patch(box)
        axes.text(
            write["id"],
            lane,
            write["value"],
            color=style.PAPER,
            fontsize=_font(write["value"]),
            ha="center",
            va="center",
            zorder=4,
        )


def _tie(
    axes: Axes, source: Mapping[str, Any], target: Mapping[str, Any], lanes: Mapping[str, int], relation: str
) -> None:
    """An arc from a read to a write of its key: above the lane to the one it must find, below to stale ones."""
    if relation == "overwrites":
        return
    lane, right = lanes[source["key"]], relation == "latest_write"
    side = 1 if right else -1
    span = source["id"] - target["id"]
    arrow = FancyArrowPatch(
        (source["id"], lane + side * _HEIGHT),
        (target["id"], lane + side * _HEIGHT),
        connectionstyle=f"arc3,rad={side * _bend(span)}",
        arrowstyle="-|>",
        mutation_scale=6 if right else 4.5,
        color=style.VERMILION if right else style.MUTED,
        lw=1.2 if right else 0.7,
        ls="-" if right else (0, (2, 1.5)),
        alpha=1.0 if right else 0.9,
        shrinkA=0,
        shrinkB=0,
        zorder=2,
    )
    axes.add_patch(arrow)


def _font(text: str) -> float:
    """Size (points) in which a value's name fits its box."""
    return 6.3 if len(text) <= 3 else 4.9


def _bend(span: float) -> float:
    """Curvature that keeps every arc about as high as a third of a lane, however far it reaches."""
    return min(0.5, 0.75 / span)


def _read(axes: Axes, read: Mapping[str, Any], lane: int, target: bool) -> None:
    """A read as a circle with its right answer in it."""
    axes.plot(
        read["id"],
        lane,
        "o",
        ms=15,
        mfc=style.YELLOW if target else style.PAPER,
        mec=style.VERMILION,
        mew=1.2,
        zorder=3,
        clip_on=False,
    )
    axes.text(read["id"], lane, read["value"], fontsize=_font(read["value"]), ha="center", va="center", zorder=4)


def _counts(axes: Axes, read: Mapping[str, Any]) -> None:
    """Lag and number of stale values below a read."""
    for row, name in ((_LAG_ROW, "lag"), (_STALE_ROW, "stale")):
        axes.text(read["id"], row, str(read[name]), fontsize=7, color=style.MUTED, ha="center", va="center")


def _frame(axes: Axes, keys: Sequence[str], events: int) -> None:
    axes.set_xlim(-0.7, events - 0.3)
    axes.set_ylim(_STALE_ROW - 0.2, len(keys) - 0.45)
    axes.set_yticks([_STALE_ROW, _LAG_ROW, *range(len(keys))], ["stale values", "lag", *reversed(keys)])
    axes.axhline(_LAG_ROW + 0.17, color=style.GRID, lw=0.8)
    axes.set_xticks(range(0, events, 2))
    axes.set_xlabel("event of the stream (write or read)")
    axes.grid(False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _legend(target: bool) -> list[Any]:
    circle: dict[str, Any] = {"marker": "o", "ms": 8, "mec": style.VERMILION, "mew": 1.2, "ls": ""}
    entries: list[Any] = [
        Patch(color=style.BLUE, label="write"),
        Line2D([], [], mfc=style.PAPER, label="read, with its right answer", **circle),
        Line2D([], [], color=style.VERMILION, lw=1.2, label="the write it must find"),
        Patch(color=style.SKY, alpha=0.3, label="value is current"),
        Line2D([], [], color=style.MUTED, lw=0.8, ls=(0, (2, 1.5)), label="stale write of its key"),
    ]
    if target:
        entries.append(Line2D([], [], mfc=style.YELLOW, label="read the twins are made for", **circle))
    return entries
