"""A stage whose features are known: sparse combinations of given directions, born and growing at given checkpoints."""

from dataclasses import dataclass

import torch
from torch import Tensor

from formation.features.bases.samples import Sample

WIDTH, TRUE, ACTIVE = 24, 16, 0.125  # two features a row on average
STEPS = (0, 10, 20, 30)
OFFSET = 3.0  # the stage's mean lies far from 0


@dataclass(frozen=True)
class Dictionary:
    """The truth: directions, and from which checkpoint on each is there."""

    directions: Tensor  # [true, width], unit rows
    born: Tensor  # [true], index of a checkpoint
    samples: list[Sample]
    codes: list[Tensor]


def dictionary(seed: int = 0, rows: int = 1500, drift: float = 0.0, noise: float = 0.01) -> Dictionary:
    """Checkpoints whose scale doubles each time; four features are born at each of them.

    With `drift`, every direction turns between neighbouring checkpoints by about that many radians; `directions` are
    those in the middle.
    """
    draw = torch.Generator().manual_seed(seed)
    directions, turn = (_unit(torch.randn(TRUE, WIDTH, generator=draw)) for _ in range(2))
    mean = OFFSET * torch.randn(WIDTH, generator=draw)
    born = torch.arange(TRUE) % len(STEPS)
    samples, codes = [], []
    for at, step in enumerate(STEPS):
        turned = _unit(directions + drift * (at - (len(STEPS) - 1) / 2) * turn)
        present = torch.rand(rows, TRUE, generator=draw) < ACTIVE
        code = (1 + torch.rand(rows, TRUE, generator=draw)) * present * (born <= at)
        x = 2.0**at * (mean + code @ turned + noise * torch.randn(rows, WIDTH, generator=draw))
        samples.append(Sample("embed", step, x - (2.0**at - 1) * mean))
        codes.append(code)
    return Dictionary(directions, born, samples, codes)


def noise_samples(seed: int = 0, rows: int = 1500) -> list[Sample]:
    """Checkpoints of isotropic normal noise, without any feature."""
    draw = torch.Generator().manual_seed(seed)
    return [Sample("embed", step, torch.randn(rows, WIDTH, generator=draw)) for step in STEPS]


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True)
