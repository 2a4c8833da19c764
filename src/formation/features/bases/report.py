"""What is said of a fitted basis: its quality in full beside what it must beat, its features one by one, and plot data.

Everything is measured on probe streams of the IID test split, at the fit checkpoints and, apart from them, at the
held-out ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from formation.features.bases.baselines import Components, code_neurons
from formation.features.bases.material import Judged, Rows
from formation.features.bases.quality import Coded, Quality, coded, measure_quality, summarise_quality
from formation.features.bases.stability import Stability
from formation.features.basis import Basis
from formation.features.measures.above import margins

LEAST_MARGIN = 0.1  # nats that the stage must be worth to a mean margin, for a share of it to mean anything
DIGITS = 6

Code = Callable[[Rows], Coded]


@dataclass(frozen=True)
class Margin:
    """Mean margin in nats at the answers of one checkpoint: as it is, with the stage coded, with the stage's mean."""

    step: int
    clean: float
    coded: float
    mean: float

    @property
    def preserved(self) -> float | None:
        """Share of what the stage is worth beyond its mean; None where that is too little to share."""
        worth = self.clean - self.mean
        return (self.coded - self.mean) / worth if worth >= LEAST_MARGIN else None


@dataclass(frozen=True, eq=False)
class Told:
    """One code at every checkpoint that is judged."""

    quality: list[Quality]
    margins: list[Margin]


def codes(basis: Basis, components: Components, l0: float, checkpoints: Sequence[Judged]) -> dict[str, Code]:
    """The basis, and beside it principal components and neurons; `l0` is how many of either a row may keep.

    Neurons write into a stage behind an MLP only; other stages have none.
    """
    keep = max(1, round(l0))
    found: dict[str, Code] = {
        "basis": lambda rows: coded(basis, rows.x),
        "pca_equal_rank": lambda rows: components.code(rows.x, rank=basis.latents),
        "pca_equal_l0": lambda rows: components.code(rows.x, largest=keep),
    }
    if all(one.report.hidden is not None for one in checkpoints):
        found["neurons_equal_l0"] = lambda rows: _neurons(rows, keep)
    return found


def _neurons(rows: Rows, keep: int) -> Coded:
    assert rows.hidden is not None, "asked for at stages with neurons alone"
    assert rows.weight is not None, "comes with the neurons"
    return code_neurons(rows.x, rows.hidden, rows.weight, largest=keep)


@torch.no_grad()
def tell(code: Code, checkpoints: Sequence[Judged]) -> Told:
    """A code's figures at every checkpoint."""
    return Told([_quality(code, one) for one in checkpoints], [_margin(code, one) for one in checkpoints])


def _quality(code: Code, at: Judged) -> Quality:
    """Figures at the positions of the fit; those by role at every role's."""
    everywhere = measure_quality(code(at.places), at.step, at.places.token, at.roles)
    return replace(measure_quality(code(at.report), at.step, at.report.token), by_role=everywhere.by_role)


def _margin(code: Code, at: Judged) -> Margin:
    x = at.answers.x
    changes = (torch.zeros_like(x), x - code(at.answers).reconstructed, x - x.mean(0))
    return Margin(at.step, *(float(margins(at.above.without(change), at.answer).double().mean()) for change in changes))


# --- as JSON ---------------------------------------------------------------------------------------------------------


def quality_json(told: Mapping[str, Told], fit: Sequence[int], heldout: Sequence[int]) -> dict[str, Any]:
    """Every code's figures, means over the fit checkpoints and over the held-out ones."""
    return {
        name: {
            part: rounded(
                summarise_quality([one for one in found.quality if one.step in steps])
                | _margins_json([one for one in found.margins if one.step in steps])
            )
            for part, steps in (("fit", fit), ("heldout", heldout))
        }
        for name, found in told.items()
    }


def _margins_json(found: Sequence[Margin]) -> dict[str, Any]:
    shares = [one.preserved for one in found if one.preserved is not None]
    return {
        "margin_preserved": float(np.mean(shares)) if shares else None,
        "margin_preserved_checkpoints": len(shares),
        "margin_clean": float(np.mean([one.clean for one in found])),
        "margin_coded": float(np.mean([one.coded for one in found])),
        "margin_of_the_mean": float(np.mean([one.mean for one in found])),
    }


def stability_json(stability: Stability, seeds: Sequence[int]) -> dict[str, Any]:
    """How well the basis is found again by fits with other seeds."""
    figures = {
        "fits": len(seeds),
        "seeds": list(seeds),
        "mean": stability.mean,
        "median": float(np.median(stability.cosines)),
        "chance": stability.chance,
        "unstable_fraction": float(stability.unstable.mean()),
    }
    return dict(rounded(figures))


@torch.no_grad()
def features_json(
    basis: Basis, stability: Stability, checkpoints: Sequence[Judged], fit: Sequence[int]
) -> list[dict[str, Any]]:
    """One entry a feature: how stable it is, how often and how strongly it is active, and how it lies.

    A feature is `dead` if it is active at no checkpoint at all, neither fit nor held-out.
    """
    activations = {one.step: basis.encode(one.report.x) for one in checkpoints}
    parts = {
        "fit": torch.cat([a for step, a in activations.items() if step in fit]),
        "heldout": torch.cat([a for step, a in activations.items() if step not in fit]),
    }
    active = {name: (part > 0).double().mean(0).numpy() for name, part in parts.items()}
    mean = {name: part.double().mean(0).numpy() for name, part in parts.items()}
    nearest = F.normalize(basis.decoder, dim=1) @ F.normalize(basis.decoder, dim=1).T
    nearest.fill_diagonal_(-1)
    closest = nearest.max(1)
    aligned = F.cosine_similarity(basis.encoder, basis.decoder, dim=1)
    return [
        rounded(
            {
                "feature": f,
                "stability": float(stability.cosines[f]),
                "unstable": bool(stability.unstable[f]),
                "dead": not (active["fit"][f] or active["heldout"][f]),
                "active_fraction_fit": float(active["fit"][f]),
                "active_fraction_heldout": float(active["heldout"][f]),
                "mean_activation_fit": float(mean["fit"][f]),
                "mean_activation_heldout": float(mean["heldout"][f]),
                "mean_when_active": _ratio(mean["heldout"][f], active["heldout"][f]),
                "encoder_norm": float(basis.encoder[f].norm()),
                "encoder_bias": float(basis.encoder_bias[f]),
                "encoder_decoder_cosine": float(aligned[f]),
                "nearest_feature": int(closest.indices[f]),
                "nearest_cosine": float(closest.values[f]),
            }
        )
        for f in range(basis.latents)
    ]


def quality_plot(told: Mapping[str, Told], heldout: Sequence[int]) -> dict[str, Any]:
    """What every code explains at every checkpoint, so that a reader sees where in training the basis holds."""
    one = next(iter(told.values()))
    return {
        "steps": [at.step for at in one.quality],
        "heldout": [at.step in heldout for at in one.quality],
        "codes": {
            name: rounded(
                {
                    "explained_variance": [at.explained_variance for at in found.quality],
                    "explained_variance_without_token_means": [at.without_token_means for at in found.quality],
                    "l0": [at.l0 for at in found.quality],
                    "margin": [at.coded for at in found.margins],
                    "margin_preserved": [at.preserved for at in found.margins],
                }
            )
            for name, found in told.items()
        },
        "margin_clean": rounded([at.clean for at in one.margins]),
        "margin_of_the_mean": rounded([at.mean for at in one.margins]),
    }


def rounded(data: Any) -> Any:
    """JSON data with figures rounded as rows are."""
    if isinstance(data, Mapping):
        return {key: rounded(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [rounded(value) for value in data]
    return round(data, DIGITS) if isinstance(data, float) else data


def _ratio(total: float, count: float) -> float | None:
    return float(total / count) if count else None
