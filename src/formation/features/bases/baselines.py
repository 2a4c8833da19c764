"""What a sparse basis must beat: principal components and neurons, coded as densely, judged by the same figures.

Both are codes of rows at one checkpoint (`formation.features.bases.quality.Coded`). Principal components come from the
fit checkpoints, so that they too mean the same everywhere; neurons are the model's own and bring their weights along.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from formation.errors import MeasureError
from formation.features.bases.quality import Coded
from formation.features.bases.samples import Sample, Scaling, check_samples, checkpoint_weight, pooled_scaling


@dataclass(frozen=True, eq=False)
class Components:
    """Principal directions of a stage in falling order of variance; rows are seen as (x − mean)/scale."""

    stage: str
    directions: Float[Tensor, "component d_model"]  # orthonormal rows
    variance: Float[Tensor, "component"]
    mean: Float[Tensor, "d_model"]
    scale: float

    def code(self, x: Float[Tensor, "row d_model"], rank: int | None = None, largest: int | None = None) -> Coded:
        """The rows in the first `rank` components, of which each row keeps its `largest` (default: all, all).

        Keeping the largest of orthogonal coordinates is the best that so many of them can do for a row. They have
        signs: a rectified basis needs two features for what is one component here.
        """
        directions = self.directions[:rank]
        scores = ((x - self.mean) / self.scale) @ directions.T
        scores = keep_largest_size(scores, scores, largest)
        return Coded(x, scores, self.mean + self.scale * (scores @ directions))


def fit_components(samples: Sequence[Sample], measured_with: Scaling | None = None) -> Components:
    """The principal components of what a basis would be fit on, weighted alike, about the mean of measurement.

    Raises `MeasureError` where no basis could be fit.
    """
    check_samples(samples)
    pooled = measured_with or pooled_scaling(samples)
    moments = torch.stack([_moments(sample, pooled) for sample in samples]).mean(0)
    variance, directions = torch.linalg.eigh(moments)
    return Components(
        stage=samples[0].stage,
        directions=directions.flip(1).T.to(pooled.mean.dtype),
        variance=variance.flip(0).clamp(min=0),
        mean=pooled.mean,
        scale=pooled.scale,
    )


def _moments(sample: Sample, pooled: Scaling) -> Float[Tensor, "d_model d_model"]:
    """Mean products of a checkpoint's rows, in units of its own variance."""
    x = pooled(sample.x).double()
    return checkpoint_weight(sample, pooled) * (x.T @ x) / len(x)


def code_neurons(
    x: Float[Tensor, "row d_model"],
    hidden: Float[Tensor, "row neuron"],
    weight: Float[Tensor, "d_model neuron"],
    largest: int | None = None,
) -> Coded:
    """Rows of a stage in the neurons that wrote there last: hidden values × output weights, and one constant.

    Each row keeps the `largest` neurons by the length of what they write (default: all). The constant is the best one,
    taken from these rows themselves: it makes up for the mean of all that is not coded, which favours the neurons.
    """
    if hidden.shape[1] != weight.shape[1]:
        raise MeasureError(f"{hidden.shape[1]} neurons with {weight.shape[1]} columns of weights: expected as many")
    kept = keep_largest_size(hidden, hidden * weight.norm(dim=0), largest)
    written = kept @ weight.T
    return Coded(x, kept, written + (x - written).mean(0))


def keep_largest_size(
    values: Float[Tensor, "row latent"], size: Float[Tensor, "row latent"], count: int | None
) -> Float[Tensor, "row latent"]:
    """The values of the `count` largest |size| of every row, 0 elsewhere; None keeps all."""
    if count is None or count >= values.shape[1]:
        return values
    place = size.abs().topk(count, dim=1, sorted=False).indices
    return torch.zeros_like(values).scatter(1, place, values.gather(1, place))
