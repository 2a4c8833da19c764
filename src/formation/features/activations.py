"""Activations of a residual stage at several checkpoints of a run: what a shared basis is fit on.

They are taken from training streams, by default at answer positions alone (`docs/measures.md` §5), one checkpoint after
the other: nothing of one is kept while the next is made. Each checkpoint has a mean and a scale of its own, for the fit
alone; `pooled` gives the one mean and scale that serve every measurement.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from formation.artifacts import Run
from formation.benchmark.streams import Split
from formation.components.roles import Kind, kinds
from formation.components.states import states_at
from formation.errors import MeasureError
from formation.features.above import require_finite
from formation.features.stage import stage_name
from formation.training import checkpoints
from formation.training.replay import load_replayed, replayed_steps


class Positions(StrEnum):
    """Where a basis looks."""

    ANSWERS = "answers"  # the `K` of every read
    ALL = "all"  # every token that is not padding


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and covariance of rows, in float64; those of several sets are merged without the rows."""

    rows: int
    mean: Float[Tensor, "d_model"]
    covariance: Float[Tensor, "d_model d_model"]

    @classmethod
    def of(cls, x: Float[Tensor, "row d_model"]) -> Self:
        """The moments of some rows."""
        exact = x.double()
        mean = exact.mean(0)
        centred = exact - mean
        return cls(len(x), mean, centred.T @ centred / len(x))

    def with_(self, other: "Moments") -> "Moments":
        """The moments of both sets of rows (Chan, Golub & LeVeque 1983, Am. Stat. 37:242)."""
        rows = self.rows + other.rows
        share, apart = other.rows / rows, other.mean - self.mean
        covariance = (1 - share) * self.covariance + share * other.covariance
        return Moments(rows, self.mean + share * apart, covariance + share * (1 - share) * torch.outer(apart, apart))

    @property
    def scale(self) -> float:
        """Root of the mean variance over the dimensions."""
        return float(self.covariance.diagonal().mean().clamp(min=0).sqrt())


@dataclass(frozen=True, eq=False)
class Activations:
    """A stage of one checkpoint at chosen positions; the same positions, in the same order, at every checkpoint."""

    stage: str
    step: int
    x: Float[Tensor, "row d_model"]
    tokens: Int[Tensor, "row"]  # token ids at the positions
    kinds: Int[Tensor, "row"]  # `roles.Kind`

    def moments(self) -> Moments:
        """Mean, covariance and scale of this checkpoint alone."""
        return Moments.of(self.x)


@dataclass(frozen=True, eq=False)
class Places:
    """Positions of training streams."""

    tokens: Int[Tensor, "stream pos"]
    stream: Int[Tensor, "row"]
    position: Int[Tensor, "row"]
    kinds: Int[Tensor, "row"]


def draw_places(split: Split, positions: Positions, streams: int, seed: int) -> Places:
    """The positions of `streams` streams of a split, drawn without repetition; all streams where there are fewer."""
    drawn = np.random.default_rng(seed).permutation(len(split.tokens))[:streams]
    order = np.sort(drawn)
    tokens, kind = split.tokens[order, : int(split.length[order].max())], kinds(split)[order]
    kind = kind[:, : tokens.shape[1]]
    chosen = kind == Kind.READ_KEY if positions is Positions.ANSWERS else kind != Kind.PAD
    stream, position = np.nonzero(chosen)
    return Places(*map(torch.from_numpy, (tokens, stream, position, kind[stream, position])))


def activations(run: Run, stage: str, steps: Sequence[int], places: Places) -> Iterator[Activations]:
    """A stage at `places`, checkpoint by checkpoint, in the order of `steps`.

    All is checked before the first is made: raises `MeasureError` for a stage that is none, for fewer than two
    checkpoints or one named twice, and `ArtifactError` for a missing one, naming it; later, `MeasureError` naming
    checkpoint and stage for an activation that is not finite.
    """
    name = stage_name(stage, run.params.model.layers)
    _require_checkpoints(run, steps)
    return (_activations(run, name, step, places) for step in steps)


def pooled(samples: Iterable[Activations]) -> Moments:
    """Moments over the rows of all checkpoints: one mean, one scale; raises `MeasureError` without any."""
    total: Moments | None = None
    for sample in samples:
        moments = sample.moments()
        total = moments if total is None else total.with_(moments)
    if total is None:
        raise MeasureError("pooled activations: no checkpoint was given, expected at least two")
    return total


def _activations(run: Run, stage: str, step: int, places: Places) -> Activations:
    model, batch = load_replayed(run, step), run.params.record.batch
    x = states_at(model, places.tokens, [stage], places.stream, places.position, batch)[stage]
    require_finite(x, stage, step)
    return Activations(stage, step, x.clone(), places.tokens[places.stream, places.position], places.kinds)


def _require_checkpoints(run: Run, steps: Sequence[int]) -> None:
    """Refuse too few checkpoints, and name the first that is not there."""
    if len(set(steps)) < max(2, len(steps)):
        raise MeasureError(
            f"{run.name}: checkpoints {', '.join(map(str, steps)) or 'none'}: expected at least two different ones, "
            f"for a shared basis is fit across training"
        )
    there = {*checkpoints.steps(run), *replayed_steps(run)}
    for step in steps:
        if step not in there:
            load_replayed(run, step)  # says which there are, and what makes it
