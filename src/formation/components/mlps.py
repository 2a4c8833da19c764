"""The neurons of MLP blocks at answer positions: how many are active, and in how many directions they vary."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from formation.components.clean import Clean
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
    """exp of the entropy of the centred covariance's spectrum, its eigenvalues normalised to sum to 1; 0 if all rows
    are equal.

    Eigenvalues are squared singular values, so this is at most Roy & Vetterli's effective rank (EUSIPCO 2007), which
    takes the singular values themselves; k equal directions give k in both.
    """
    centred = rows.double() - rows.double().mean(0)
    gram = centred.T @ centred if len(rows) >= rows.shape[1] else centred @ centred.T
    spectrum = torch.linalg.eigvalsh(gram).clamp(min=0)
    total = spectrum.sum()
    return float(torch.special.entr(spectrum / total).sum().exp()) if total > 0 else 0.0
