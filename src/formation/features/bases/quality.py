"""How well a sparse code stands for a stage: what it explains, how dense it is, how many features never speak.

The same figures for a shared basis and for what stands beside it (PCA, neurons): everything is computed from rows,
their code and their reconstruction. Definitions: `docs/measures.md` §5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from formation.components.dimensionality import ROUNDING
from formation.errors import MeasureError
from formation.features.basis import Basis

QUANTILES = (0.5, 0.9, 0.99)  # of the decoder's cosines


@dataclass(frozen=True, eq=False)
class Coded:
    """Rows of one checkpoint, with the code that stands for them and what it decodes to."""

    x: Float[Tensor, "row d_model"]
    activations: Float[Tensor, "row latent"]  # a feature is active where its activation is not 0
    reconstructed: Float[Tensor, "row d_model"]


@dataclass(frozen=True, eq=False)
class Quality:
    """A code at one checkpoint; an explained variance is None where the rows have no variance to explain."""

    step: int
    explained_variance: float | None
    without_token_means: float | None
    inside_tokens: float  # share of the variance that is left without the tokens' means
    by_role: Mapping[str, float | None]
    l0: float  # active features a row
    active: Float[np.ndarray, "latent"]  # share of rows in which each feature is active


def coded(basis: Basis, x: Float[Tensor, "row d_model"]) -> Coded:
    """The rows in the basis."""
    activations = basis.encode(x)
    return Coded(x, activations, basis.decode(activations))


def measure_quality(
    code: Coded,
    step: int,
    token: Int[Tensor, "row"],
    roles: Mapping[str, Bool[Tensor, "row"]] | None = None,
) -> Quality:
    """The figures of one checkpoint; `roles` says which rows each role stands at (a row may have several)."""
    error = (code.reconstructed - code.x).double().square().sum(1)
    one = torch.zeros_like(token)
    at_role = {name: explained(code.x[rows], error[rows], one[rows]) for name, rows in (roles or {}).items()}
    active = code.activations != 0
    total, inside = variance(code.x, one), variance(code.x, token)
    return Quality(
        step=step,
        explained_variance=explained(code.x, error, one),
        without_token_means=explained(code.x, error, token),
        inside_tokens=inside / total if total else 0.0,
        by_role=at_role,
        l0=float(active.sum(1).double().mean()),
        active=active.double().mean(0).numpy(),
    )


def explained(x: Float[Tensor, "row d_model"], error: Float[Tensor, "row"], group: Int[Tensor, "row"]) -> float | None:
    """1 − Σ error / Σ ‖x − mean of its group‖², with square errors given; None without variance inside the groups.

    A code gains nothing by knowing the groups' means, and is charged for missing them: with tokens as groups this is
    what it explains beyond the token.
    """
    total = variance(x, group)
    return 1 - float(error.sum()) / total if total else None


def variance(x: Float[Tensor, "row d_model"], group: Int[Tensor, "row"]) -> float:
    """Σ ‖x − mean of its group‖², and 0 where that is no more than rounding."""
    if not len(x):
        return 0.0
    x = x.double()
    labels, where = np.unique(group.numpy(), return_inverse=True)
    place = torch.from_numpy(where)
    sums = x.new_zeros(len(labels), x.shape[1]).index_add(0, place, x)
    mean = sums / place.bincount().unsqueeze(1)
    total = float((x - mean[place]).square().sum())
    return 0.0 if total <= ROUNDING * float(x.square().sum()) else total


def summarise_quality(every: Sequence[Quality]) -> dict[str, Any]:
    """Means over checkpoints, each counting the same; a feature is dead if it is active in no row of any of them.

    An explained variance that some checkpoint does not have is the mean over those that do, or None. Without token
    means it is 1 − Σ error / Σ variance over all checkpoints, both in units of each one's whole variance, which for
    the variance as such is the mean: an untrained model's states are their tokens' means but for a few per cent, and a
    mean of ratios would speak of those alone.
    """
    if not every:
        raise MeasureError("fit quality of no checkpoint: name at least one")
    active = np.stack([one.active for one in every])
    roles = dict.fromkeys(name for one in every for name in one.by_role)
    return {
        "checkpoints": [one.step for one in every],
        "explained_variance": _mean([one.explained_variance for one in every]),
        "explained_variance_without_token_means": _mean(
            [one.without_token_means for one in every], [one.inside_tokens for one in every]
        ),
        "variance_inside_tokens": float(np.mean([one.inside_tokens for one in every])),
        "explained_variance_by_role": {name: _mean([one.by_role.get(name) for one in every]) for name in roles},
        "mean_active_fraction": float(active.mean()),
        "l0": float(np.mean([one.l0 for one in every])),
        "dead_fraction": float((active == 0).all(0).mean()),
    }


def cosine_spread(decoder: Float[Tensor, "latent d_model"]) -> dict[str, float | None]:
    """How alike the directions are: of |cosine| over all pairs, the mean, quantiles and the largest.

    Beside them the root mean square of random directions in as many dimensions, 1/√d_model.
    """
    rows = decoder.double() / decoder.double().norm(dim=1, keepdim=True)
    upper = torch.triu_indices(len(rows), len(rows), 1)
    cosines = (rows @ rows.T)[upper[0], upper[1]].abs().numpy()
    names = ("mean", *(f"q{round(100 * q)}" for q in QUANTILES), "max")
    if not cosines.size:
        return dict.fromkeys(names) | {"random_rms": decoder.shape[1] ** -0.5}
    values = (cosines.mean(), *np.quantile(cosines, QUANTILES), cosines.max())
    return {name: float(value) for name, value in zip(names, values, strict=True)} | {
        "random_rms": decoder.shape[1] ** -0.5
    }


def _mean(values: Sequence[float | None], weights: Sequence[float] | None = None) -> float | None:
    pairs = zip(values, weights or [1.0] * len(values), strict=True)
    there = np.array([(value, weight) for value, weight in pairs if value is not None]).reshape(-1, 2)
    return float(np.average(there[:, 0], weights=there[:, 1])) if there[:, 1].any() else None
