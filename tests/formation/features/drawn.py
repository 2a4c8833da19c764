"""Bases for tests on the small models of `tests/formation/components`: random ones, and ones written by hand."""

import torch

from formation.features.basis import Basis
from formation.features.choices import Kind


def random_basis(stage: str, width: int = 16, latents: int = 5, k: int = 3, seed: int = 0) -> Basis:
    """Random directions, in float64."""
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randn(latents, width, generator=draw, dtype=torch.float64)
    decoder = rows / rows.norm(dim=1, keepdim=True)
    bias = 0.1 * torch.randn(latents, generator=draw, dtype=torch.float64)
    shift = torch.randn(width, generator=draw, dtype=torch.float64)
    return Basis(stage, Kind.TOPK, k, decoder.clone(), bias, decoder, 0.1 * shift, shift, 1.5, 0.0)
