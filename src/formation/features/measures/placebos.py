"""Placebos of features: random directions in their place (`docs/measures.md` §4), the same at every checkpoint.

Permuted answers are no placebo here: along any direction a good model loses right answers and gains wrong ones. So
features are compared with random directions, in two ways:

- For what is *active*, a feature's encoder row is turned at random: a row of the same length, whose score has the same
  variance on average over directions, with the feature's bias and against the same competitors. A feature that is
  itself a random row cannot be told from its placebos.
- For its *usefulness*, the states' part along a direction is taken away, centred, with the variance that the feature's
  activation has over the pooled activations of the fit. Features share a ladder of variances, each the next above its
  own, so that the placebos of a hundred features cost as little as those of a few.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from formation.errors import MeasureError
from formation.features.bases.activations import Activations
from formation.features.basis import Basis
from formation.features.choices import Kind
from formation.features.measures.above import Above
from formation.features.measures.usefulness import Worth, removal

GATED = (Worth.USEFULNESS, Worth.LOG_PROB)


@dataclass(frozen=True, eq=False)
class Placebos:
    """Random directions, and how much is taken away along them for which feature."""

    directions: Float[Tensor, "placebo d_model"]  # of unit length
    deviation: Float[Tensor, "placebo"]  # of the standardised states along them
    ladder: Float[Tensor, "rung"]  # deviations of activations, ascending
    rung: Int[Tensor, "feature"]


def draw_placebos(basis: Basis, samples: Iterable[Activations], count: int, rungs: int, seed: int) -> Placebos:
    """`count` directions drawn evenly over the sphere, matched on the activations that the basis was fit on.

    Raises `MeasureError` if there are none, or if they are not of the basis.
    """
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randn(count, len(basis.mean), generator=draw, dtype=torch.float64)
    directions = (rows / rows.norm(dim=1, keepdim=True)).to(basis.encoder.dtype)
    along, activation = _Deviations(), _Deviations()
    for sample in samples:
        basis.check(sample.stage, sample.x.shape[1])
        along.add(_along(basis, directions, sample.x))
        activation.add(basis.encode(sample.x))
    if not along.rows:
        raise MeasureError("placebos: no activations were given, expected those that the basis was fit on")
    own = activation.values.to(directions.dtype)
    ladder = torch.quantile(own, torch.arange(1, rungs + 1, dtype=own.dtype) / rungs)
    rung = torch.searchsorted(ladder, own).clamp(max=rungs - 1)
    return Placebos(directions, along.values.to(directions.dtype), ladder, rung)


class _Deviations:
    """Standard deviations of columns whose rows come in parts."""

    def __init__(self) -> None:
        self.rows = 0
        self.sums: list[Tensor] = []

    def add(self, values: Float[Tensor, "row column"]) -> None:
        """Take in some rows."""
        exact = values.double()
        sums = [exact.sum(0), exact.square().sum(0)]
        self.rows += len(values)
        self.sums = [one + more for one, more in zip(self.sums, sums, strict=True)] if self.sums else sums

    @property
    def values(self) -> Float[Tensor, "column"]:
        """Deviations over all rows so far."""
        return (self.sums[1] / self.rows - (self.sums[0] / self.rows).square()).clamp(min=0).sqrt()


def _along(
    basis: Basis, directions: Float[Tensor, "placebo d_model"], x: Float[Tensor, "row d_model"]
) -> Float[Tensor, "row placebo"]:
    return ((x - basis.mean) / basis.scale) @ directions.T


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
    """What encoder rows that point elsewhere would have scored in each feature's place, on the states `x`."""
    along, to_beat = _along(basis, placebos.directions, x), competition(basis, basis.scores(x))
    member = torch.stack([torch.bincount(rows, minlength=len(x)) for rows in parts]).to(x.dtype)
    sums: list[Tensor] = []
    for feature, length in enumerate(basis.encoder.norm(dim=1)):
        score = torch.addcmul(basis.encoder_bias[feature], along, length).relu_()
        active = (score > to_beat[:, feature, None]).to(score.dtype)
        whole = member @ score
        sums.append(torch.stack([member @ active, member @ active.mul_(score), whole]))
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
    unit = _along(basis, placebos.directions, above.state) / placebos.deviation.clamp(min=1e-12)
    centred = basis.scale * (unit - unit.mean(0))
    by_rung: dict[Worth, list[Tensor]] = {worth: [] for worth in GATED}
    for deviation in placebos.ladder:
        for worth, values in removal(above, placebos.directions, deviation * centred, answer).items():
            by_rung[worth].append(torch.stack([values[rows].sum(0) for rows in parts]))
    return {worth: torch.stack(sums, dim=1)[:, placebos.rung] for worth, sums in by_rung.items()}
