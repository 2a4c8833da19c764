"""Figures of the dataset chapter, drawn from `analysis/dataset_geometry.json`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from formation.figures import style

_BLUES = LinearSegmentedColormap.from_list("paper-to-blue", [style.PAPER, "#9fd0ee", style.BLUE, "#00324f"])
_PANELS = {
    "train": "training, written pairs",
    "heldout_pairs": "held-out split, answers",
    "structural_ood": "structural OOD, answers",
}
_SHOWN_SPLITS = ("train", "test_iid", "heldout_pairs", "structural_ood")
_MARKERS = dict(zip(_SHOWN_SPLITS, "osD^", strict=True))


def relation_matrix(relation: Mapping[str, Any]) -> Figure:
    """How often each pair occurs in training, as a held-out answer and as an OOD answer; held-out pairs are framed."""
    heldout = np.asarray(relation["heldout"], bool)
    rows, columns = heldout.shape
    with style.house_style():
        height = max(0.09 * rows, 6.0 * rows / columns)
        figure = style.new_figure(height=len(_PANELS) * (height + 0.3) + 0.7)
        axes = figure.subplots(len(_PANELS), 1, sharex=True)
        for axis, (name, title) in zip(axes, _PANELS.items(), strict=True):
            counts = np.asarray(relation["writes" if name == "train" else "answers"][name])
            shown = _matrix(axis, counts, heldout)
            axis.set_title(title)
            figure.colorbar(shown, ax=axis, label="count", **style.COLOUR_BAR)
        axes[-1].set_xlabel("value")
        frame = Patch(facecolor="none", edgecolor=style.VERMILION, label="held-out pair")
        figure.legend(handles=[frame], loc="outside lower center")
    return figure


def heuristics_chart(rows: Sequence[Mapping[str, Any]], limit: float | None, at_least: float = 0.05) -> Figure:
    """Scores of the shortcuts that reach `at_least` on any split: on reads with a stale value, and on all reads.

    `rows` is the report's `heuristics`; `limit`, if given, is drawn where it holds: on stale reads.
    """
    shown = [row for row in rows if _best(row) >= at_least]
    with style.house_style():
        figure = style.new_figure(height=0.19 * len(shown) + 1.0)
        axes = figure.subplots(1, 2, sharey=True)
        for axis, kind, title in zip(axes, ("stale", "all"), ("reads with a stale value", "all reads"), strict=True):
            _dots(axis, shown, kind)
            axis.set_title(title)
        if limit is not None:
            axes[0].axvline(limit, color=style.INK, lw=1, ls=style.DASHED, label="limit")
        axes[0].set_yticks(range(len(shown)), [row["label"] for row in shown])
        axes[0].set_ylim(len(shown) - 0.4, -0.6)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def lag_by_stale(splits: Mapping[str, Mapping[str, Any]], names: Sequence[str] = ("train", "structural_ood")) -> Figure:
    """Share of a split's reads in every cell of stale count × lag, in per cent; `splits` is the report's `splits`."""
    shares = {name: _share(np.asarray(splits[name]["stale_by_lag"])) for name in names}
    top = max(share.max() for share in shares.values())
    with style.house_style():
        figure = style.new_figure(height=0.24 * max(len(share) for share in shares.values()) + 1.0)
        axes = figure.subplots(1, len(names), squeeze=False)[0]
        for axis, (name, share) in zip(axes, shares.items(), strict=True):
            _cells(axis, share, top)
            axis.set_title(f"{style.SPLIT_LABELS[name]}, {splits[name]['reads']:,} reads")
            axis.set_xlabel("lag (writes)")
        axes[0].set_ylabel("stale values of the key")
    return figure


def _matrix(axes: Axes, counts: Int[np.ndarray, "key value"], heldout: Bool[np.ndarray, "key value"]) -> Any:
    shown = axes.imshow(counts, cmap=_BLUES, vmin=0, vmax=max(counts.max(), 1), aspect="auto", interpolation="nearest")
    for key, value in zip(*np.nonzero(heldout), strict=True):
        frame = Rectangle((value - 0.5, key - 0.5), 1, 1, fill=False, edgecolor=style.VERMILION, lw=0.7, clip_on=False)
        axes.add_patch(frame)
    axes.set_yticks(range(len(counts)), [f"K{key:02d}" for key in range(len(counts))])
    axes.set_ylabel("key")
    axes.grid(False)
    return shown


def _dots(axes: Axes, rows: Sequence[Mapping[str, Any]], kind: str) -> None:
    """One dot per shortcut and split with its 95 % interval over streams, splits a little apart."""
    names = [name for name in _SHOWN_SPLITS if rows and name in rows[0]["scores"]]
    for number, name in enumerate(names):
        scores = [row["scores"][name][kind] for row in rows]
        axes.errorbar(
            [score["value"] for score in scores],
            np.arange(len(rows)) + 0.17 * (number - (len(names) - 1) / 2),
            xerr=[1.96 * score["standard_error"] for score in scores],
            fmt=_MARKERS[name],
            ms=3.2,
            lw=0.8,
            color=style.SPLIT_COLOURS[name],
            label=style.SPLIT_LABELS[name],
        )
    axes.set_xlim(-0.02, 1.0)
    axes.set_xlabel("accuracy")
    axes.tick_params(axis="y", length=0)


def _best(row: Mapping[str, Any]) -> float:
    return max(float(row["scores"][name][kind]["value"]) for name in _SHOWN_SPLITS for kind in ("stale", "all"))


def _share(counts: Int[np.ndarray, "stale lag"]) -> Float[np.ndarray, "stale lag"]:
    return np.asarray(100 * counts / counts.sum())


def _cells(axes: Axes, share: Float[np.ndarray, "stale lag"], top: float) -> None:
    axes.imshow(share, cmap=_BLUES, vmin=0, vmax=top, aspect="auto", origin="lower")
    for (stale, lag), value in np.ndenumerate(share):
        if value > 0:
            text = f"{value:.1f}" if value >= 0.05 else "<0.1"
            colour = style.PAPER if value > 0.6 * top else style.INK
            axes.text(lag, stale, text, ha="center", va="center", fontsize=6.5, color=colour)
    axes.set_xticks(range(share.shape[1]))
    axes.set_yticks(range(share.shape[0]))
    axes.grid(False)
