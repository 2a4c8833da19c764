"""Fitting a shared feature basis: a sparse autoencoder on activations of several checkpoints of one stage."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from formation.features.bases.autoencoder import (
    Weights,
    add_auxiliary_gradient,
    initial,
    largest,
    remove_radial_gradient,
    restore_length,
    set_gradient,
    through,
)
from formation.features.bases.directions import common_directions
from formation.features.bases.samples import Sample, Scaling, check_samples, checkpoint_weight, pooled_scaling
from formation.features.bases.settings import FitSettings
from formation.features.basis import Basis
from formation.features.choices import Kind
from formation.progress import Tracker, track

LOGGED = 50  # rows of a fit's history


@dataclass(frozen=True)
class Logged:
    """The fit at one step: mean square error in units of each checkpoint's variance, and the share of dead latents."""

    step: int
    loss: float
    dead_fraction: float


@dataclass(frozen=True, eq=False)
class Fitted:
    """A basis, and how its fit went."""

    basis: Basis
    history: tuple[Logged, ...]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Samples of one stage as a fit sees them: standardised rows of all checkpoints, and what errors on them count."""

    stage: str
    rows: Float[Tensor, "row d_model"]
    worth: Float[Tensor, "row 1"]
    scaling: Scaling


def prepare(samples: Sequence[Sample], measured_with: Scaling | None = None) -> Prepared:
    """The samples seen through `measured_with`, each checkpoint's errors counted in its own variance.

    Without `measured_with` that is the pooled mean and scale of the samples. Raises `MeasureError` for samples of
    several stages or fewer than two checkpoints, and for activations that are not finite or have no variance.
    """
    check_samples(samples)
    pooled = measured_with or pooled_scaling(samples)
    rows = torch.cat([pooled(sample.x).float() for sample in samples])
    worth = torch.cat([checkpoint_weight(sample, pooled).expand(len(sample.x), 1) for sample in samples])
    return Prepared(samples[0].stage, rows, worth, pooled)


def fit_basis(
    samples: Sequence[Sample], settings: FitSettings, seed: int, measured_with: Scaling | None = None
) -> Fitted:
    """A basis fit on `samples`; raises as `prepare` does."""
    prepared = prepare(samples, measured_with)
    with track("shared feature fit", settings.steps, "steps") as tracker:
        return fit_prepared(prepared, settings, seed, tracker)


@torch.no_grad()
def fit_prepared(prepared: Prepared, settings: FitSettings, seed: int, tracker: Tracker) -> Fitted:
    """A basis fit on prepared samples, every step counted by `tracker`; the same arguments give the same basis."""
    draw = torch.Generator().manual_seed(seed)
    weights, history = _optimised(prepared, settings, draw, tracker)
    basis = _basis(weights, prepared.stage, settings, prepared.scaling)
    if settings.kind == Kind.BATCH_TOPK:
        basis = _with_threshold(basis, prepared.rows, settings, draw)
    return Fitted(basis, tuple(history))


def _optimised(
    prepared: Prepared, settings: FitSettings, draw: torch.Generator, tracker: Tracker
) -> tuple[Weights, list[Logged]]:
    """The autoencoder after all steps, with its history."""
    rows, worth = prepared.rows, prepared.worth
    weights = initial(common_directions(rows, settings.latents, draw))
    optimiser = torch.optim.Adam(weights.all(), lr=settings.learning_rate, betas=(0.9, 0.999), fused=True)
    fired = torch.zeros(settings.latents, dtype=torch.long)  # step of each latent's last activation
    history = []
    every = max(settings.steps // LOGGED, 1)
    for step, batch in zip(range(1, settings.steps + 1), _batches(len(rows), settings.batch, draw), strict=False):
        at = through(weights, rows[batch], worth[batch], settings.kind, settings.k)
        fired[at.kept.any(0)] = step
        dead = step - fired > settings.dead_after
        set_gradient(weights, at)
        add_auxiliary_gradient(weights, at, dead.nonzero()[:, 0], settings.auxiliary_k, settings.auxiliary_weight)
        remove_radial_gradient(weights)
        optimiser.param_groups[0]["lr"] = settings.learning_rate * _pace(step, settings)
        optimiser.step()
        restore_length(weights)
        if step % every == 0 or step == settings.steps:
            history.append(Logged(step, at.loss, float(dead.double().mean())))
        tracker.advance()
    return weights, history


def _batches(rows: int, size: int, draw: torch.Generator) -> Iterator[Int[Tensor, "batch"]]:
    """Batches without end: every row once in a random order, then again in another; a rest too small is left out."""
    size = min(size, rows)
    while True:
        order = torch.randperm(rows, generator=draw)
        for start in range(0, rows - size + 1, size):
            yield order[start : start + size]


def _pace(step: int, settings: FitSettings) -> float:
    """The learning rate's share: linear rise, plateau, linear fall to 0."""
    rise = step / max(settings.warmup, 1)
    fall = (settings.steps - step + 1) / max(settings.decay * settings.steps, 1)
    return min(rise, fall, 1.0)


def _basis(weights: Weights, stage: str, settings: FitSettings, pooled: Scaling) -> Basis:
    """The autoencoder as a basis; the bias subtracted before encoding becomes part of the encoder's."""
    return Basis(
        stage=stage,
        kind=settings.kind,
        k=settings.k,
        encoder=weights.encoder,
        encoder_bias=weights.encoder_bias - weights.encoder @ weights.decoder_bias,
        decoder=weights.decoder,
        decoder_bias=weights.decoder_bias,
        mean=pooled.mean.float(),
        scale=pooled.scale,
        threshold=0.0,
    )


def _with_threshold(
    basis: Basis, rows: Float[Tensor, "row d_model"], settings: FitSettings, draw: torch.Generator
) -> Basis:
    """The basis with BatchTopK's threshold: the mean, over the batches of one pass, of the smallest score kept."""
    lowest = []
    passes = range(max(len(rows) // settings.batch, 1))
    for _, batch in zip(passes, _batches(len(rows), settings.batch, draw), strict=False):
        scores = F.linear(rows[batch], basis.encoder, basis.encoder_bias)
        kept = largest(scores.view(1, -1), settings.k * len(batch)).view_as(scores)
        lowest.append(float(scores[kept].min()) if kept.any() else 0.0)
    return replace(basis, threshold=sum(lowest) / len(lowest))
