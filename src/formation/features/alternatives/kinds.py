"""Features of other kinds than the shared basis', each seen at a checkpoint as activations along directions.

Whatever a feature is, taking it from the stage takes its activation along its direction: that is all that usefulness
needs (`docs/measures.md` §5). The kinds differ in where activations come from:

- the *shared basis* itself, measured in the same way;
- *principal components* of what the basis was fit on: each is two features, one for either sign, of which a read keeps
  as many as in the basis. A feature that is never negative is what all other kinds have, and what stands on the two
  sides of a component are different things;
- *neurons* of the MLP block that wrote to the stage last: the model's own, others at every checkpoint;
- a *crosscoder* over checkpoints: one code for all of them, directions of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from formation.components.forward import layer_at
from formation.features.alternatives.crosscoder import Crosscoder
from formation.features.bases.baselines import fit_components
from formation.features.bases.samples import Sample, Scaling
from formation.features.basis import Basis
from formation.features.choices import Kind as Sparsity
from formation.model import Transformer


class Kind(StrEnum):
    """What features are."""

    SHARED = "shared_basis"
    COMPONENTS = "principal_components"
    NEURONS = "neurons"
    CROSSCODER = "crosscoder"


@dataclass(frozen=True, eq=False)
class Coded:
    """Features of one kind at one checkpoint: how much of which direction they add to the stage at each read."""

    amounts: Float[Tensor, "read feature"]  # in units of the stage
    directions: Float[Tensor, "feature d_model"]  # of unit length

    def take(self, features: Sequence[int]) -> "Coded":
        """Some of them."""
        return Coded(self.amounts[:, list(features)], self.directions[list(features)])


@dataclass(frozen=True, eq=False)
class Look:
    """Some reads at one checkpoint: the stage at their answer positions, and what neurons do there if any are asked."""

    model: Transformer | None  # only neurons need it
    step: int
    state: Float[Tensor, "read d_model"]
    hidden: Float[Tensor, "read neuron"] | None
    code: Float[Tensor, "read feature"] | None  # of the crosscoder, once its states at all checkpoints are known


class Features(Protocol):
    """Features of one kind."""

    @property
    def kind(self) -> Kind:
        """What they are."""

    @property
    def count(self) -> int:
        """Number of features."""

    @property
    def steps(self) -> tuple[int, ...]:
        """Checkpoints at which they are there."""

    def at(self, look: Look) -> Coded:
        """All features at a checkpoint."""


@dataclass(frozen=True, eq=False)
class OfBasis:
    """The features of a basis, which means the same at every checkpoint."""

    kind: Kind
    basis: Basis
    steps: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of features."""
        return self.basis.latents

    def at(self, look: Look) -> Coded:
        """Their activations."""
        return Coded(self.basis.scale * self.basis.encode(look.state), self.basis.decoder)


@dataclass(frozen=True, eq=False)
class OfNeurons:
    """The neurons of one layer's MLP block; what one writes is its activation times its output weights."""

    layer: int
    count: int
    steps: tuple[int, ...]
    kind: Kind = Kind.NEURONS

    @property
    def site(self) -> str:
        """The intermediate that holds their activations."""
        return f"layer_{self.layer}.mlp.hidden"

    @torch.no_grad()
    def at(self, look: Look) -> Coded:
        """What their activations write."""
        assert look.model is not None, "neurons were not looked at"
        assert look.hidden is not None, "neurons were not looked at"
        return _coded(look.hidden, layer_at(look.model, self.layer).mlp.fc_out.weight.T)


@dataclass(frozen=True, eq=False)
class OfCrosscoder:
    """The features of a crosscoder; it knows the checkpoints it was fit on, and no others."""

    crosscoder: Crosscoder
    kind: Kind = Kind.CROSSCODER

    @property
    def count(self) -> int:
        """Number of features."""
        return self.crosscoder.joint.latents

    @property
    def steps(self) -> tuple[int, ...]:
        """Checkpoints it was fit on."""
        return self.crosscoder.steps

    def at(self, look: Look) -> Coded:
        """The code, as much as it writes at the checkpoint."""
        assert look.code is not None, "reads were not encoded"
        return _coded(look.code, self.crosscoder.written(look.step))


def _coded(activation: Float[Tensor, "read feature"], written: Float[Tensor, "feature d_model"]) -> Coded:
    """Activations that each write a vector, which may have any length."""
    length = written.norm(dim=1).clamp(min=1e-12)
    return Coded(activation * length, (written / length[:, None]).contiguous())


def component_basis(samples: Sequence[Sample], basis: Basis) -> Basis:
    """Principal components as a basis, in the mean and scale of another and as dense: both signs of each direction."""
    directions = fit_components(samples, Scaling(basis.mean, basis.scale)).directions
    both = torch.cat([directions, -directions])
    return Basis(
        stage=basis.stage,
        kind=Sparsity.TOPK,
        k=basis.k,
        encoder=both,
        encoder_bias=both.new_zeros(len(both)),
        decoder=both,
        decoder_bias=torch.zeros_like(basis.mean),
        mean=basis.mean,
        scale=basis.scale,
        threshold=0.0,
    )


def neurons_before(model: Transformer, stage: str, steps: tuple[int, ...]) -> OfNeurons | None:
    """The neurons that wrote to a stage last; none where no MLP block writes just before it."""
    for layer in range(len(model.layers)):
        if stage == f"layer_{layer}_post_mlp":
            return OfNeurons(layer, model.params.d_ff, steps)
    return None
