"""How alike two representations of the same reads are, up to rotation and scale: linear CKA.

Centred kernel alignment (Kornblith et al. 2019, ICML) with the unbiased estimate of HSIC (Song et al. 2012, JMLR
13:1393, eq. 5): the biased one calls unrelated states alike when rows are few for the width. All of it is computed from
d × d products, never from the read × read kernels K = XXᵀ.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from formation.components.sample import centred


@dataclass(frozen=True)
class Representation:
    """Centred states of mean square 1, and what its kernel without the diagonal sums to; zeros where nothing varies."""

    x: Float[Tensor, "problem read d"]
    diagonal: Float[Tensor, "problem read"]
    sums: Float[Tensor, "problem read"]  # of the kernel's rows, the diagonal left out


def represent(states: Float[Tensor, "problem read d"]) -> Representation:
    """The representation of the states; its scale is its own, so that products neither vanish nor overflow."""
    x = centred(states)
    size = x.square().sum((1, 2), keepdim=True).div(x.shape[1]).sqrt()
    x = torch.where(size > 0, x / size, 0.0)
    diagonal = x.square().sum(-1).double()
    sums = (x @ x.sum(1, keepdim=True).mT)[..., 0].double() - diagonal
    return Representation(x, diagonal, sums)


def cka(a: Representation, b: Representation) -> Float[Tensor, "problem"]:
    """Similarity of each problem's two representations: 1 if equal up to rotation and scale, 0 on average if unrelated.

    NaN where one of them does not vary. Needs four reads.
    """
    own = hsic(a, a) * hsic(b, b)
    return torch.where(own > 0, hsic(a, b) / own.sqrt(), torch.nan).clamp(max=1.0)


def hsic(a: Representation, b: Representation) -> Float[Tensor, "problem"]:
    """The unbiased estimate of the Hilbert–Schmidt independence criterion with linear kernels, in float64.

    With K and L the kernels without their diagonals k and l: tr KL = ‖XᵀY‖² − k·l.
    """
    n = a.x.shape[1]
    trace = (a.x.mT @ b.x).square().sum((1, 2)).double() - (a.diagonal * b.diagonal).sum(-1)
    both = a.sums.sum(-1) * b.sums.sum(-1) / ((n - 1) * (n - 2))
    return (trace + both - 2 / (n - 2) * (a.sums * b.sums).sum(-1)) / (n * (n - 3))
