"""Placebos of features: random directions in their place (`docs/measures.md` §4), the same at every checkpoint.

Permuted answers are no placebo here: along any direction a good model loses right answers and gains wrong ones. So
each feature is compared with random directions of matched variance, in two ways:

- For its *activation*, a random encoder row with its bias, and with the variance of its score before rectification. It
  takes the feature's place: it is active where the feature would have been with that score.
- For its *usefulness*, a random direction that is taken away as much as the feature is: the states' part along it,
  centred, with the variance of the feature's activation. Features share a ladder of variances, each the next above its
  own, so that the placebos of a hundred features cost as little as those of a few.

Variances are those over the pooled activations of the fit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from formation.errors import MeasureError
from formation.features.above import Above
from formation.features.activations import Activations, Moments
from formation.features.basis import Basis, Kind
from formation.features.usefulness import Worth, removal

GATED = (Worth.USEFULNESS, Worth.LOG_PROB)


@dataclass(frozen=True, eq=False)
class Placebos:
    """Random directions, and how much each feature's score and activation vary."""

    directions: Float[Tensor, "placebo d_model"]  # of unit length
    deviation: Float[Tensor, "placebo"]  # of the standardised states along them
    score_deviation: Float[Tensor, "feature"]
    ladder: Float[Tensor, "rung"]  # deviations of activations, ascending
    rung: Int[Tensor, "feature"]


def draw_placebos(basis: Basis, samples: Iterable[Activations], count: int, rungs: int, seed: int) -> Placebos:
    """`count` directions drawn evenly over the sphere, matched on the activations that the basis was fit on."""
    states, activations = None, None
    for sample in samples:
        basis.check(sample.stage, sample.x.shape[1])
        of_states, of_activations = Moments.of(sample.x), Moments.of(basis.encode(sample.x))
        states = of_states if states is None else states.with_(of_states)
        activations = of_activations if activations is None else activations.with_(of_activations)
    if states is None or activations is None:
        raise MeasureError("placebos: no activations were given, expected those that the basis was fit on")
    covariance = (states.covariance / basis.scale**2).to(basis.encoder.dtype)
    rows = torch.randn(count, len(basis.mean), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    directions = (rows / rows.norm(dim=1, keepdim=True)).to(basis.encoder.dtype)
    own = activations.covariance.diagonal().clamp(min=0).sqrt().to(basis.encoder.dtype)
    ladder = torch.quantile(own, torch.arange(1, rungs + 1, dtype=own.dtype) / rungs)
    return Placebos(
        directions,
        _deviation(directions, covariance),
        _deviation(basis.encoder, covariance),
        ladder,
        torch.searchsorted(ladder, own).clamp(max=rungs - 1),
    )


def _deviation(
    rows: Float[Tensor, "row d_model"], covariance: Float[Tensor, "d_model d_model"]
) -> Float[Tensor, "row"]:
    return ((rows @ covariance) * rows).sum(-1).clamp(min=0).sqrt()


# --- in a feature's place --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Activity:
    """Sums over the reads of each part, of placebos in the place of each feature."""

    active: Float[Tensor, "part feature placebo"]
    activation: Float[Tensor, "part feature placebo"]
    score: Float[Tensor, "part feature placebo"]


def placebo_activity(
    basis: Basis, placebos: Placebos, x: Float[Tensor, "read d_model"], parts: Sequence[Int[Tensor, "row"]]
) -> Activity:
    """What random encoder rows would have scored in each feature's place, on the states `x`."""
    unit = ((x - basis.mean) / basis.scale) @ placebos.directions.T / placebos.deviation.clamp(min=1e-12)
    to_beat = competition(basis, basis.scores(x))
    sums: list[Tensor] = []
    for feature, deviation in enumerate(placebos.score_deviation):
        score = (deviation * unit + basis.encoder_bias[feature]).clamp(min=0)
        active = score > to_beat[:, feature, None]
        every = torch.stack([active.to(score.dtype), torch.where(active, score, 0), score])
        sums.append(torch.stack([every[:, rows].sum(1) for rows in parts], dim=1))
    return Activity(*torch.stack(sums, dim=2))


def competition(basis: Basis, scores: Float[Tensor, "read feature"]) -> Float[Tensor, "read feature"]:
    """What a score must exceed to count in each feature's place: the k-th largest of the others', or the threshold."""
    if basis.kind is Kind.BATCH_TOPK:
        return torch.full_like(scores, basis.threshold)
    if basis.k >= basis.latents:
        return torch.zeros_like(scores)
    top = scores.topk(basis.k + 1, dim=-1).values
    return torch.where(scores >= top[:, -2:-1], top[:, -1:], top[:, -2:-1])


# --- taken away ------------------------------------------------------------------------------------------------------


def placebo_usefulness(
    above: Above, basis: Basis, placebos: Placebos, answer: Int[Tensor, "read"], parts: Sequence[Int[Tensor, "row"]]
) -> dict[Worth, Float[Tensor, "part feature placebo"]]:
    """Sums over the reads of each part of what is lost, in nats, when random directions are taken away as features are.

    A direction's mean over all reads stays.
    """
    along = (above.state / basis.scale) @ placebos.directions.T / placebos.deviation.clamp(min=1e-12)
    centred = basis.scale * (along - along.mean(0))
    by_rung: dict[Worth, list[Tensor]] = {worth: [] for worth in GATED}
    for deviation in placebos.ladder:
        for worth, values in removal(above, placebos.directions, deviation * centred, answer).items():
            by_rung[worth].append(torch.stack([values[rows].sum(0) for rows in parts]))
    return {worth: torch.stack(sums, dim=1)[:, placebos.rung] for worth, sums in by_rung.items()}
