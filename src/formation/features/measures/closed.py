"""Margins after many removals at once, where the way to the logits is linear up to a scale a read.

Thousands of removals are compared at every checkpoint, so this is where a sweep's time goes: reads lie along the rows,
which makes sums over the vocabulary run over whole vectors, and only as much is worked on as a cache holds.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

LANES = 64  # reads are padded to whole vectors, so that a value never depends on which others it is computed with
BLOCK = 640  # reads worked on at once
HELD = 2**17  # logits worked on at once


@dataclass(frozen=True)
class Way:
    """Logits (`readout` − amount · `rows[feature]`) · `inverse` + `shift`: the parts of `readout` that never change."""

    readout: Float[Tensor, "read vocab"]
    shift: Float[Tensor, "vocab"]
    answer: Int[Tensor, "read"]


@torch.no_grad()
def margins_along(
    way: Way,
    rows: Float[Tensor, "feature vocab"],
    amounts: Float[Tensor, "read feature"],
    inverse: Float[Tensor, "read feature"],
) -> Float[Tensor, "read feature"]:
    """Margins of the right answers, in nats, once `amounts` of one row after the other are taken away.

    An amount of 0 with the same `inverse` gives the same bits whatever is beside it.
    """
    reads, features = amounts.shape
    padding = -reads % LANES
    readout, answer = F.pad(way.readout.T, (0, padding)), F.pad(way.answer, (0, padding))
    scale, taken = (F.pad(one.T, (0, padding)) for one in (inverse, amounts * inverse))
    out = readout.new_empty(features, reads + padding)
    for start in range(0, reads + padding, BLOCK):
        part = slice(start, start + BLOCK)
        held = max(HELD // readout[:, part].numel(), 1)
        for first in range(0, features, held):
            some = slice(first, first + held)
            out[some, part] = _margins(
                torch.addcmul(way.shift[:, None], readout[:, part], scale[some, None, part]).addcmul_(
                    rows[some, :, None], taken[some, None, part], value=-1
                ),
                answer[part],
            )
    return out[:, :reads].T


def _margins(logits: Float[Tensor, "feature vocab read"], answer: Int[Tensor, "read"]) -> Float[Tensor, "feature read"]:
    """Margins from logits, which are overwritten."""
    place = answer.expand(len(logits), 1, -1)
    right = logits.gather(1, place)[:, 0]
    logits.scatter_(1, place, -torch.inf)
    largest = logits.amax(1)
    return right - logits.sub_(largest[:, None]).exp_().sum(1).log_().add_(largest)
