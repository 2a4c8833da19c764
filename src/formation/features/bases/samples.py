"""What a basis is fit on: activations of one stage at several checkpoints, and their means and scales.

One pooled mean and scale stand for all checkpoints, in every measurement (`docs/measures.md` §5) and so in the fit too:
biases and thresholds learnt on other numbers would not fit. A checkpoint's own scale decides what its errors count in
the fit, so that late checkpoints with their larger residual stream do not decide alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from formation.components.dimensionality import ROUNDING
from formation.errors import MeasureError


@dataclass(frozen=True, eq=False)
class Sample:
    """Activations of one stage at the checkpoint of `step`, not standardised; rows are positions already chosen."""

    stage: str
    step: int
    x: Float[Tensor, "row d_model"]


@dataclass(frozen=True, eq=False)
class Scaling:
    """A mean, and the root mean square distance from it per dimension."""

    mean: Float[Tensor, "d_model"]
    scale: float

    def __call__(self, x: Float[Tensor, "*row d_model"]) -> Float[Tensor, "*row d_model"]:
        """The activations standardised."""
        return (x - self.mean) / self.scale


def own_scaling(x: Float[Tensor, "row d_model"]) -> Scaling:
    """Mean and scale of one checkpoint's rows."""
    mean = x.double().mean(0)
    return Scaling(mean.to(x.dtype), float((x - mean).square().mean().sqrt()))


def pooled_scaling(samples: Sequence[Sample]) -> Scaling:
    """Mean and scale of all checkpoints together, each counting the same."""
    mean = torch.stack([sample.x.double().mean(0) for sample in samples]).mean(0)
    spread = torch.stack([(sample.x - mean).square().mean() for sample in samples]).mean()
    return Scaling(mean.to(samples[0].x.dtype), float(spread.sqrt()))


def checkpoint_weight(sample: Sample, pooled: Scaling) -> Float[Tensor, ""]:
    """What a square error on pooled rows is worth, to count in units of the checkpoint's own variance."""
    return torch.tensor((pooled.scale / own_scaling(sample.x).scale) ** 2)


def check_samples(samples: Sequence[Sample]) -> None:
    """Raise `MeasureError` where no shared basis can be fit: see the messages."""
    stages = sorted({sample.stage for sample in samples})
    if len(stages) > 1:
        raise MeasureError(f"samples of several stages ({', '.join(stages)}): a basis belongs to one; give one --stage")
    steps = [sample.step for sample in samples]
    if len(set(steps)) < 2:
        raise MeasureError(
            f"fit checkpoints {steps}: a shared basis needs at least two different ones; name more fit checkpoints"
        )
    for sample in samples:
        _check_values(sample, samples[0].x.shape[1])


def _check_values(sample: Sample, width: int) -> None:
    where = f"{sample.stage} at checkpoint {sample.step}"
    if not len(sample.x):
        raise MeasureError(f"{where}: no activations; choose positions that the streams have")
    if sample.x.shape[1] != width:
        raise MeasureError(f"{where}: {sample.x.shape[1]} dimensions, expected {width}; give checkpoints of one run")
    if not torch.isfinite(sample.x).all():
        count = int((~torch.isfinite(sample.x)).sum())
        raise MeasureError(f"{where}: {count} activations are not finite; leave the checkpoint out or train it again")
    spread, size = own_scaling(sample.x).scale ** 2, float(sample.x.double().square().mean())
    if spread <= ROUNDING * size:
        raise MeasureError(
            f"{where}: all {len(sample.x)} activations are the same (zero variance); choose a stage, positions or a "
            "checkpoint at which they differ"
        )
