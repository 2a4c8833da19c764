"""Cards of features: what each is worth, where it is strongest, and its strongest streams token by token."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from formation.features.record import FeatureRecord
from formation.figures import style

CARDS = 6  # drawn; the others are in the data
STREAMS = 3  # on a card
TOKENS = 24  # of a stream, the last ones before the answer
_LINE, _HEAD = 0.2, 0.36  # inches: a stream's row, a card's two lines of text

Card = Mapping[str, Any]


def draw_cards(record: FeatureRecord) -> Figure:
    """One block a feature, the most useful first."""
    cards = record.cards["cards"][:CARDS]
    if not cards:
        return style.note(f"no feature of {record.run.name} costs margin when it is removed")
    heights = [_HEAD + _LINE * min(len(card["streams"]), STREAMS) + 0.08 for card in cards]
    with style.house_style():
        figure = style.new_figure(sum(heights) + 0.3)
        places = figure.subplots(len(cards), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
        for axes, card, height in zip(places.flat, cards, heights, strict=True):
            _card(axes, card, height)
    return figure


def _card(axes: Axes, card: Card, height: float) -> None:
    """Two lines of text above rows of tokens, in inches from the top."""
    axes.set_axis_off()
    axes.set_xlim(0, TOKENS + 3)
    axes.set_ylim(height, 0)
    useful = card["usefulness"]
    head = (
        f"Feature {card['feature']}: worth {useful['value']:.2f} nats [{useful['low']:.2f}, {useful['high']:.2f}], "
        f"active at {card['active']:.0%} of answers"
    )
    axes.text(0, 0.02, head, va="top", fontsize=8, fontweight="bold")
    axes.text(0, 0.18, _strongest(card), va="top", fontsize=7, color=style.MUTED)
    shown = card["streams"][:STREAMS]
    largest = max((max(one["activation"]) for one in shown), default=1.0)
    for row, stream in enumerate(shown):
        _stream(axes, stream, _HEAD + row * _LINE, Normalize(0, largest or 1.0))


def _strongest(card: Card) -> str:
    """The keys, answers and lags with the largest mean activation."""
    parts = [("keys", card["by_key"], 3), ("answers", card["by_answer"], 4), ("lags", card["by_lag"], 3)]
    return "strongest at " + "; ".join(f"{name} {_listed(found[:most])}" for name, found, most in parts)


def _listed(found: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{one['label']} ({one['activation']:.1f})" for one in found)


def _stream(axes: Axes, stream: Mapping[str, Any], top: float, scale: Normalize) -> None:
    tokens, activation = stream["tokens"], stream["activation"]
    first = max(0, len(tokens) - TOKENS)
    colours = style.SHADES
    for place, (token, value) in enumerate(zip(tokens[first:], activation[first:], strict=True)):
        shade = scale(value)
        axes.add_patch(Rectangle((place, top), 1, 0.17, facecolor=colours(shade), edgecolor="none"))
        axes.text(
            place + 0.5, top + 0.085, token, ha="center", va="center", fontsize=5.6,
            color=style.PAPER if shade > 0.6 else style.INK,
        )  # fmt: skip
    for start, length in ((stream["support"] - first, 3), (len(tokens) - 1 - first, 1)):
        if start >= 0:
            box = Rectangle((start, top), length, 0.17, facecolor="none", edgecolor=style.VERMILION, lw=0.9)
            axes.add_patch(box)
    axes.text(len(tokens) - first + 0.3, top + 0.085, f"→ {stream['answer']}", va="center", fontsize=6.5)
