"""The house style of every figure, and the one way to turn a figure into bytes.

Figures are drawn for a text column of 7 inches, in colours that survive colour-blindness (Okabe & Ito 2008), and come
out as identical SVG bytes for identical data. Import this module before drawing; it sets matplotlib up once.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import rc_context
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

WIDTH = 7.0  # inches: the text column of the PDF and of the site

INK = "#1b1f24"
MUTED = "#6a737d"
GRID = "#e3e6ea"
PAPER = "#ffffff"

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#cc79a7",
    "#56b4e9",
    "#f0e442",
)
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, INK)
SHADES = LinearSegmentedColormap.from_list("shades", [PAPER, SKY, BLUE])  # nothing to much, behind text

DOTTED, DASHED = (0, (1, 1.5)), (0, (4, 2))  # line styles: dates and bounds; levels
COLOUR_BAR: dict[str, Any] = {"fraction": 0.03, "pad": 0.02}  # its width and its distance, as parts of the axes'

SPLIT_COLOURS = {
    "train": MUTED,
    "validation_iid": SKY,
    "test_iid": BLUE,
    "heldout_pairs": VERMILION,
    "structural_ood": GREEN,
    "counterfactual": PURPLE,
}
SPLIT_LABELS = {
    "train": "train",
    "validation_iid": "IID (validation)",
    "test_iid": "IID",
    "heldout_pairs": "held-out pairs",
    "structural_ood": "structural OOD",
    "counterfactual": "counterfactual",
}

_PARTS = {"attn": "attention", "mlp": "MLP"}


def colour(index: int) -> str:
    """The colour of a figure's series number `index`; they come round again."""
    return PALETTE[index % len(PALETTE)]


def stage_label(stage: str) -> str:
    """The block behind which a point of the residual stream lies: `layer_0_post_attn` is `attention 0`."""
    layer, _, part = stage.removeprefix("layer_").partition("_post_")
    return f"{_PARTS[part]} {layer}" if part else {"embed": "embedding"}.get(stage, stage.replace("_", " "))


def stage_order(stage: str) -> tuple[int, int]:
    """Sorts points of the residual stream from the embedding to the final LayerNorm."""
    layer, _, part = stage.removeprefix("layer_").partition("_post_")
    if part:
        return int(layer), list(_PARTS).index(part)
    return (-1, 0) if stage == "embed" else (10**6, 0)


def component_label(component: str) -> str:
    """A component in words: `layer_1.head_2` is `head 1.2`, `layer_0.mlp` is `MLP 0`."""
    layer, _, part = component.removeprefix("layer_").partition(".")
    return f"head {layer}.{part.removeprefix('head_')}" if part.startswith("head_") else f"{part.upper()} {layer}"


def metric_label(metric: str) -> str:
    """A metric of a behaviour or a component in words: `layer_1.head_2:drop_mean` is `head 1.2 drop mean`."""
    component, _, name = metric.rpartition(":")
    stage, _, role = component.partition("/")
    of = f"after {stage_label(stage)}, {role.replace('_', ' ')}: " if role else f"{component_label(component)} "
    return f"{of if component else ''}{name.replace('_', ' ')}"


RC: dict[Any, Any] = {
    "figure.facecolor": PAPER,
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",  # ships with matplotlib, so every machine draws the same
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 3.5,
    "image.cmap": "viridis",
    "svg.hashsalt": "living-paper",  # element ids do not depend on the process
    "svg.fonttype": "path",  # no font needed to read a figure
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with the house style inside this block."""
    with rc_context(RC):
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of the given size (inches), outside matplotlib's global state; draw it within `house_style`."""
    return Figure(figsize=(width, height))


def note(text: str, height: float = 0.6) -> Figure:
    """A figure that says why there is nothing to draw; of any other figure's height (inches)."""
    with house_style():
        figure = new_figure(height)
        figure.text(0.5, 0.5, text, ha="center", va="center", color=MUTED)
    return figure


def svg(figure: Figure) -> str:
    """The figure as SVG text: the same bytes for the same figure."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": "formation"})
    return buffer.getvalue().decode()


def png(figure: Figure, dots_per_inch: int = 160) -> bytes:
    """The figure as PNG bytes, for looking at it."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="png", dpi=dots_per_inch, metadata={"Software": "formation"})
    return buffer.getvalue()


class Shown:
    """A figure as a notebook output: SVG for the page and the PDF."""

    def __init__(self, figure: Figure) -> None:
        self._svg = svg(figure)

    def _repr_svg_(self) -> str:
        return self._svg

    def __repr__(self) -> str:
        return "figure"
