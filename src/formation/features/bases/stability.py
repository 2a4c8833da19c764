"""Which features another fit finds again: the best matching of decoder directions over fit seeds.

Signs count: a rectified feature and its opposite are two features. Matching is one to one (Hungarian, Kuhn 1955), so
that no direction of the other fit stands for two. Definitions: `docs/measures.md` §5.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

from formation.errors import MeasureError
from formation.features.bases.settings import StabilitySettings
from formation.features.basis import Basis


@dataclass(frozen=True, eq=False)
class Stability:
    """How well each feature is found again, as the mean cosine to its match over the other fits."""

    cosines: Float[np.ndarray, "latent"]
    unstable: Bool[np.ndarray, "latent"]
    mean: float
    chance: float  # the mean for random directions with the same second moments


def matched_cosines(
    one: Float[Tensor, "latent d_model"], other: Float[Tensor, "latent d_model"]
) -> Float[np.ndarray, "latent"]:
    """Cosine of each direction to the one it is matched with, the matching being the one with the largest sum."""
    a, b = (rows.double() / rows.double().norm(dim=1, keepdim=True) for rows in (one, other))
    cosines = (a @ b.T).numpy()
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    return np.asarray(cosines[rows, columns])


def measure_stability(basis: Basis, others: Sequence[Basis], settings: StabilitySettings, seed: int = 0) -> Stability:
    """The stability of `basis` against fits with other seeds on the same samples; `seed` draws the chance level.

    Raises `MeasureError` for fewer fits than the settings ask for, and for a basis of another stage, width or size.
    """
    if len(others) < settings.fits:
        raise MeasureError(f"{len(others)} fits with other seeds: stability needs {settings.fits}; fit more seeds")
    for other in others:
        basis.check(other.stage, len(other.mean))
        if other.latents != basis.latents:
            raise MeasureError(f"a fit of {other.latents} latents beside one of {basis.latents}: fit both alike")
    cosines = np.mean([matched_cosines(basis.decoder, other.decoder) for other in others], axis=0)
    draw = torch.Generator().manual_seed(seed)
    chance = [matched_cosines(random_alike(other.decoder, draw), other.decoder).mean() for other in others]
    return Stability(cosines, cosines < settings.cosine, float(cosines.mean()), float(np.mean(chance)))


def random_alike(decoder: Float[Tensor, "latent d_model"], draw: torch.Generator) -> Float[Tensor, "latent d_model"]:
    """As many random unit directions, spread as the decoder's are: normal with its second moments."""
    mixed = torch.randn(len(decoder), len(decoder), generator=draw).to(decoder.dtype) @ decoder
    return F.normalize(mixed, dim=1)
