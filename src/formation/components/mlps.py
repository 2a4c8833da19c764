"""The neurons of MLP blocks at answer positions: how many are active, and in how many directions they vary."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from formation.components.clean import Clean
from formation.components.dimensionality import spectrum, spectrum_ranks
from formation.components.material import Material, Measured, measured


@torch.inference_mode()
def measure_neurons(clean: Clean, material: Material) -> Iterator[Measured]:
    """The fraction of neurons with a positive pre-activation, of every block."""
    for layer, answers in enumerate(clean.answers):
        active = (answers.pre > 0).float().mean(-1)
        yield measured(f"layer_{layer}.mlp", "active_fraction", material, active)


def effective_ranks(clean: Clean) -> dict[str, float]:
    """The entropy rank of every block's hidden layer over the split's answer positions."""
    return {f"layer_{layer}.mlp": entropy_rank(answers.hidden) for layer, answers in enumerate(clean.answers)}


@torch.inference_mode()
def entropy_rank(rows: Float[Tensor, "row width"]) -> float:
    """The entropy rank of `spectrum_ranks`, taken in float64; 0 where all rows are the same."""
    rank = spectrum_ranks(spectrum(rows.double()[None]))["entropy_rank"]
    return float(rank.nan_to_num(0.0))
