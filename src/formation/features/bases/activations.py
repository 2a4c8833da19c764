"""Activations of a residual stage at several checkpoints of a run: what a shared basis is fit on.

They are taken from training streams, by default at answer positions alone (`docs/measures.md` §5), one checkpoint after
the other: nothing of one is kept while the next is made. Means and scales are `formation.features.bases.samples`'s.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from formation.artifacts import Run
from formation.benchmark.streams import Split
from formation.components.roles import Kind, kinds
from formation.components.states import states_at
from formation.errors import MeasureError
from formation.features.bases.samples import Sample
from formation.features.choices import Positions
from formation.features.measures.above import require_finite
from formation.features.stage import stage_name
from formation.training import checkpoints
from formation.training.replay import load_replayed, replayed_steps


@dataclass(frozen=True, eq=False)
class Activations(Sample):
    """A sample with what stands where; the same positions, in the same order, at every checkpoint."""

    tokens: Int[Tensor, "row"]  # token ids at the positions
    kinds: Int[Tensor, "row"]  # `roles.Kind`


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
