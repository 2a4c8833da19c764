"""How many directions a stage's states fill at a role: ranks that need no threshold (`docs/measures.md` §12).

With p the eigenvalues of the states' covariance over their sum, all three are exp of a Rényi entropy of p: of order ∞,
2 and 1, so each is at least the one before. All are 1 for states on a line and d for states that spread evenly in d
dimensions. They are taken at a fixed sample size, because with n rows none can exceed n − 1.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from formation.components.sample import States, as_array, centred

RANKS = ("stable_rank", "participation_ratio", "entropy_rank")
ROUNDING = 1e-10  # variance below this share of the mean square is what rounding leaves of equal rows in float32


def measure_dimensionality(states: States) -> dict[str, dict[str, float | None]]:
    """{`<stage>/<role>`: {stable_rank, participation_ratio, entropy_rank}}; null where all states are the same."""
    ranks = {name: as_array(values) for name, values in spectrum_ranks(spectrum(states.x)).items()}
    return {problem: {name: ranks[name][at] for name in RANKS} for at, problem in enumerate(states.names)}


def spectrum(x: Float[Tensor, "problem row d"]) -> Float[Tensor, "problem d"]:
    """Eigenvalues of the rows' centred scatter, ascending, in float64; all 0 where the rows are the same."""
    rows = centred(x)
    values = torch.linalg.eigvalsh((rows.mT @ rows).double()).clamp(min=0)
    size = x.square().sum((1, 2)).double()
    return torch.where((values.sum(-1) > ROUNDING * size)[:, None], values, 0.0)


def spectrum_ranks(values: Float[Tensor, "problem d"]) -> Mapping[str, Float[Tensor, "problem"]]:
    """The ranks of covariances with these eigenvalues λ; NaN where all are 0.

    Stable rank ‖A‖_F² / ‖A‖_2² = Σλ / max λ (Rudelson & Vershynin 2007, J. ACM 54:21); participation ratio (Σλ)² / Σλ²
    (Gao et al. 2017, bioRxiv 214262); entropy rank exp H(λ / Σλ), the effective rank of Roy & Vetterli (2007, EUSIPCO)
    on eigenvalues, squared singular values, where theirs is on singular values: at most theirs, k equal directions give
    k in both.
    """
    total = values.sum(-1)
    share = values / total[:, None]
    return {
        "stable_rank": total / values.amax(-1),
        "participation_ratio": total.square() / values.square().sum(-1),
        "entropy_rank": torch.special.entr(share).sum(-1).exp(),
    }
