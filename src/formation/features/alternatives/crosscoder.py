"""A crosscoder over checkpoints: one sparse code for all of them, with an encoder and a decoder for each.

Lindsey et al. 2024 (transformer-circuits.pub/2024/crosscoders) with the k largest scores kept in place of a penalty. A
read has one code, made from its states at every checkpoint at once, and what changes over training is how much of a
state each feature writes. So what is said of an early checkpoint knows all later ones. It is fit as a basis is, on
states laid side by side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from formation.features.bases.fit import Prepared, fit_prepared
from formation.features.bases.samples import Sample, Scaling, check_samples, own_scaling
from formation.features.bases.settings import FitSettings
from formation.features.basis import Basis
from formation.progress import track


@dataclass(frozen=True, eq=False)
class Crosscoder:
    """Encoders and decoders of some checkpoints of a stage; states are seen in each checkpoint's own mean and scale."""

    stage: str
    steps: tuple[int, ...]
    scalings: tuple[Scaling, ...]
    joint: Basis  # of the states side by side, each divided by √checkpoints

    def encode(self, states: Mapping[int, Float[Tensor, "row d_model"]]) -> Float[Tensor, "row latent"]:
        """The code of rows whose states at every checkpoint are given."""
        return self.joint.encode(_side_by_side([states[step] for step in self.steps], self.scalings))

    def decode(self, code: Float[Tensor, "row latent"], step: int) -> Float[Tensor, "row d_model"]:
        """The states at a checkpoint that a code stands for."""
        place = self.steps.index(step)
        scaling, bias = self.scalings[place], self._own(self.joint.decoder_bias, place)
        return scaling.mean + scaling.scale * bias + code @ self.written(step)

    def written(self, step: int) -> Float[Tensor, "latent d_model"]:
        """What a feature of activation 1 writes to the stage at a checkpoint."""
        place = self.steps.index(step)
        return self.scalings[place].scale * self._own(self.joint.decoder, place)

    def _own(self, rows: Float[Tensor, "*rows width"], place: int) -> Float[Tensor, "*rows d_model"]:
        """A checkpoint's part of rows that hold all of them."""
        width = rows.shape[-1] // len(self.steps)
        return rows[..., place * width : (place + 1) * width] * sqrt(len(self.steps))


def fit_crosscoder(samples: Sequence[Sample], settings: FitSettings, seed: int) -> Crosscoder:
    """A crosscoder fit on the same rows at several checkpoints; the same arguments give the same one.

    Raises `MeasureError` where no basis could be fit on the samples.
    """
    check_samples(samples)
    scalings = tuple(own_scaling(sample.x) for sample in samples)
    rows = _side_by_side([sample.x for sample in samples], scalings).float()
    nothing = Scaling(rows.new_zeros(rows.shape[1]), 1.0)
    with track("crosscoder", settings.steps, "steps") as tracker:
        prepared = Prepared(samples[0].stage, rows, rows.new_ones(len(rows), 1), nothing)
        fitted = fit_prepared(prepared, settings, seed, tracker)
    return Crosscoder(samples[0].stage, tuple(sample.step for sample in samples), scalings, fitted.basis)


def _side_by_side(
    states: Sequence[Float[Tensor, "row d_model"]], scalings: Sequence[Scaling]
) -> Float[Tensor, "row width"]:
    """Standardised states of all checkpoints in one row, as long as one of them."""
    return torch.cat([scaling(x) for scaling, x in zip(scalings, states, strict=True)], dim=1) / sqrt(len(states))
