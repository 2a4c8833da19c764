"""Figures and tables of a run's shared features: the choice of a basis, its quality, trajectories, patches, lineage."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from formation.features.record import FeatureRecord
from formation.figures import style
from formation.figures.plotdata import Axis, Mark, Panel, Plot, Series
from formation.figures.window_compare import DIRECTIONS, Dot, DotPlot, Grid, GridPlot, named

CODES = {
    "basis": "shared basis",
    "pca_equal_rank": "principal components, as many",
    "pca_equal_l0": "principal components, as many active",
    "neurons_equal_l0": "neurons, as many active",
}
AIMS = {
    "mean_active_fraction": "active fraction",
    "explained_variance_without_token_means": "variance explained",
    "stability": "stability",
    "dead_fraction": "dead features",
}
CHOICE_COLUMNS = {
    "features, active at once": "basis",
    "active fraction": "mean_active_fraction|.2f",
    "explained": "explained_variance|.2f",
    "beyond the token": "explained_variance_without_token_means|.2f",
    "dead": "dead_fraction|.2f",
    "stability": "stability|.2f",
    "aims missed": "missed",
}
QUALITY_COLUMNS = {
    "code": "code",
    "active fraction": "mean_active_fraction|.3f",
    "active at once": "l0|.1f",
    "explained": "explained_variance|.2f",
    "beyond the token": "explained_variance_without_token_means|.2f",
    "dead": "dead_fraction|.2f",
    "margin preserved": "margin_preserved|.2f",
}
ATLAS = {"mean_activation": "mean activation", "usefulness": "usefulness"}
WRITERS, WRITTEN = 12, 12  # components and features in the figure of lineage

Row = dict[str, Any]


# --- the basis -------------------------------------------------------------------------------------------------------


def choice_rows(record: FeatureRecord) -> list[Row]:
    """One row for each number of features and of those active at once that was tried."""
    choice = record.quality["choice"]
    chosen = (choice["chosen"]["latents"], choice["chosen"]["k"])
    return [
        {
            **tried,
            "basis": _basis(tried["latents"], tried["k"], (tried["latents"], tried["k"]) == chosen),
            "missed": ", ".join(AIMS[aim] for aim in tried["missed"]) or "none",
        }
        for tried in choice["tried"]
    ]


def _basis(latents: int, k: int, chosen: bool) -> str:
    return f"{latents}, {k}{' (chosen)' if chosen else ''}"


def choice_sentence(record: FeatureRecord) -> str:
    """The rule, its aims, and what it chose."""
    choice, stability = record.quality["choice"], record.quality["stability"]
    aims, missed = choice["aims"], choice["chosen"]["missed"]
    met = "meets all aims" if not missed else f"misses {len(missed)}: {', '.join(AIMS[aim] for aim in missed)}"
    return (
        f"{choice['rule']} The aims are an active fraction of at most {aims['mean_active_fraction']:.2f}, at least "
        f"{aims['explained_variance_without_token_means']:.2f} of the variance beyond the tokens' means explained at "
        f"held-out checkpoints, a stability of at least {aims['stability']:.2f}, and at most "
        f"{aims['dead_fraction']:.2f} of the features dead. Chosen: {choice['chosen']['latents']} features, "
        f"{choice['chosen']['k']} active at once; it {met}. Its features are found again by {stability['fits']} other "
        f"seeds with a mean cosine of {stability['mean']:.2f} (random directions spread alike: "
        f"{stability['chance']:.2f}); {stability['unstable_fraction']:.0%} of them count as unstable."
    )


def quality_rows(record: FeatureRecord) -> list[Row]:
    """One row a code, at the held-out checkpoints."""
    return [{"code": CODES[name], **parts["heldout"]} for name, parts in record.quality["quality"].items()]


def explained(record: FeatureRecord) -> Plot:
    """What every code explains beyond the tokens' means, and the margin it leaves, at each checkpoint."""
    data = record.basis_quality
    steps = [float(step) for step in data["steps"]]
    step = Axis("step", low=0, high=steps[-1])
    codes = list(enumerate(data["codes"].items()))
    variance = [
        Series(CODES[name], steps, one["explained_variance_without_token_means"], colour=style.colour(index))
        for index, (name, one) in codes
    ]
    margin = [
        Series("stage as it is", steps, data["margin_clean"], colour=style.INK, style="dashed"),
        *(Series(CODES[name], steps, one["margin"], colour=style.colour(index)) for index, (name, one) in codes),
        Series("stage's mean", steps, data["margin_of_the_mean"], colour=style.MUTED, style="dashed"),
    ]
    held = [float(at) for at, out in zip(data["steps"], data["heldout"], strict=True) if out]
    marks = [Mark(at, "held-out checkpoint" if i == 0 else "", colour=style.MUTED) for i, at in enumerate(held)]
    panels = [
        Panel(
            "Variance explained beyond the token", step, Axis("fraction", low=-0.6, high=1.03), variance, marks=marks
        ),
        Panel("Margin with the stage replaced by its code", step, Axis("margin", "nats"), margin),
    ]
    return Plot("feature-explained", panels)


# --- trajectories ----------------------------------------------------------------------------------------------------


def draw_atlas(record: FeatureRecord, births: Sequence[Mark] = ()) -> Figure:
    """Heat maps of all features over training, in the order in which they come up, with marks at dated births."""
    data = record.atlas
    with style.house_style():
        figure = style.new_figure(height=5.0)
        both = figure.subplots(1, len(ATLAS), sharey=True)
        for axes, (name, label) in zip(both, ATLAS.items(), strict=True):
            _atlas(axes, figure, data, name, label)
            for mark in births:
                axes.axvline(mark.x, color=mark.colour or style.INK, lw=1, ls=style.DOTTED)
        both[0].set_ylabel("feature, in order of its rise")
        both[0].invert_yaxis()  # shared by both
    return figure


def _atlas(axes: Axes, figure: Figure, data: Mapping[str, Any], name: str, label: str) -> None:
    values, steps = np.asarray(data[name], float), np.asarray(data["steps"], float)
    size = float(np.quantile(np.abs(values), 0.995)) or 1.0
    low, colours = (-size, "RdBu_r") if (values < 0).any() else (0.0, "viridis")
    mesh = axes.pcolormesh(
        steps, np.arange(len(values)), values, vmin=low, vmax=size, cmap=colours, shading="nearest", rasterized=True
    )
    axes.set_title(label.capitalize())
    axes.set_xlabel("step")
    axes.grid(False)
    unit = {"usefulness": "nats", "mean_activation": "of the basis' scale"}[name]
    figure.colorbar(mesh, ax=axes, label=f"{label} ({unit})", location="bottom", fraction=0.04, pad=0.02)


# --- patches ---------------------------------------------------------------------------------------------------------


def patches(record: FeatureRecord, split: str = "test_iid") -> DotPlot:
    """How much of the change between the two checkpoints each of the most changed features carries, and all of them."""
    data = record.patches
    rows = [bar for bar in data["bars"] if (bar["split"], bar["mode"]) == (split, "swap") and bar["carried"]]
    labels = list(dict.fromkeys(_label(bar["features"]) for bar in rows))
    dots = [
        Dot(labels.index(_label(bar["features"])), bar["direction"], *(bar["carried"][key] for key in _BOUNDS))
        for bar in rows
        if bar["direction"] in DIRECTIONS
    ]
    title = f"Steps {data['source']} to {data['target']}"
    axis = Axis(f"fraction of the change that the whole stage carries, {style.SPLIT_LABELS[split]}")
    return DotPlot("feature-patches", title, axis, labels, dots, None if dots else "no feature changed between them")


_BOUNDS = ("value", "low", "high")


def _label(features: Sequence[int]) -> str:
    return f"feature {features[0]}" if len(features) == 1 else f"these {len(features)} together"


# --- lineage ---------------------------------------------------------------------------------------------------------


def lineage(record: FeatureRecord) -> GridPlot:
    """What every useful feature's score loses with a head or MLP block replaced, as a fraction of the score."""
    data = record.lineage
    grids, names = [], _writers(data)
    titles = {"resample_key": "its key-twin output", "mean": "its mean"}
    for kind, found in data["kinds"].items():
        score = np.asarray(found["score"], float)
        moved = dict(zip(found["writers"], np.asarray(found["moved"], float), strict=True))
        shown = range(min(len(score), WRITTEN))
        values: list[list[float | None]] = [[_share(moved[name][i], score[i]) for i in shown] for name in names]
        grids.append(Grid(f"by {titles.get(kind, kind.replace('_', ' '))}", values))
    columns = [f"feature {feature}" for feature in data["features"][:WRITTEN]]
    note = None if columns else "no feature of this run costs margin when it is removed"
    return GridPlot(
        "feature-lineage", "moved, as a fraction of the score", [named(n) for n in names], columns, grids, note
    )


def _writers(data: Mapping[str, Any]) -> list[str]:
    """Heads and MLP blocks that move some feature's score most, in the order of computation, the last on top."""
    size: dict[str, float] = {}
    for found in data["kinds"].values():
        for name, moved in zip(found["writers"], found["moved"], strict=True):
            if ".neuron_" not in name and moved:
                size[name] = max(size.get(name, 0.0), *(abs(one) for one in moved))
    kept = set(sorted(size, key=lambda name: -size[name])[:WRITERS])
    return [name for name in size if name in kept]


def _share(moved: float, score: float) -> float:
    return float(np.clip(moved / score, -1, 1)) if score > 0 else 0.0
