"""The features of the planted circuit's residual stream, each a direction of its own.

All directions are orthonormal and orthogonal to the all-ones vector, in a basis drawn at random: LayerNorm then takes
no mean away and only scales, and no feature lies along an axis of the residual stream.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from formation.benchmark.streams import Vocabulary

WAVES = 8  # pairs of cosine and sine by which a position is told from the one before it
SPARE = 4  # directions nobody reads

Matrix = Float[Tensor, "row feature"]


@dataclass(frozen=True)
class Axes:
    """Feature indices: tokens, "my key" (with "no key" last), position waves, the slow wave, spare directions."""

    vocabulary: Vocabulary
    context: int
    waves: Float[np.ndarray, "wave"] = field(init=False)  # radians a position
    slow: float = field(init=False)  # a quarter turn over the whole context, so that its sine only rises

    def __post_init__(self) -> None:
        golden = (np.arange(1, WAVES + 1) * (np.sqrt(5) - 1) / 2) % 1
        object.__setattr__(self, "waves", np.pi * golden)
        object.__setattr__(self, "slow", np.pi / 2 / self.context)

    @property
    def size(self) -> int:
        """Number of features."""
        return self.vocabulary.size + self.keys + 1 + 2 * WAVES + 2 + SPARE

    @property
    def keys(self) -> int:
        """Number of keys; `mine(keys)` is "no key"."""
        return self.vocabulary.keys

    def mine(self, key: int) -> int:
        """Feature "the token before me is this key"."""
        return self.vocabulary.size + key

    def wave(self, index: int) -> tuple[int, int]:
        """Cosine and sine of a position wave; the slow wave is the last."""
        first = self.vocabulary.size + self.keys + 1 + 2 * index
        return first, first + 1

    def spare(self, index: int) -> int:
        """A feature nobody reads."""
        return self.size - SPARE + index

    def positions(self) -> Float[Tensor, "pos feature"]:
        """Features of every position, of squared norm 1: a share of 1 / (waves + 1) for each wave."""
        place = np.arange(self.context)
        angles = [*(wave * place for wave in self.waves), self.slow * place - np.pi / 4]
        out = torch.zeros(self.context, self.size)
        for index, angle in enumerate(angles):
            cosine, sine = self.wave(index)
            out[:, cosine] = torch.from_numpy(np.cos(angle) / np.sqrt(WAVES + 1)).float()
            out[:, sine] = torch.from_numpy(np.sin(angle) / np.sqrt(WAVES + 1)).float()
        return out

    def basis(self, width: int, seed: int) -> Float[Tensor, "width feature"]:
        """Orthonormal directions of all features in a residual stream of `width` dimensions."""
        draw = np.random.default_rng(seed).normal(size=(width, self.size + 1))
        draw[:, 0] = 1.0
        return torch.from_numpy(np.linalg.qr(draw)[0][:, 1:]).float()
