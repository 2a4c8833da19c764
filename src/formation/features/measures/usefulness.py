"""What a feature is worth to the answers (`docs/measures.md` §5 *Trajectory*): the margin lost without it.

The *usefulness* of feature i is the mean margin lost when s·(a_i − ā_i)·d_i is taken from the stage at answer
positions: the feature is replaced by its mean there; the decoder's bias and what the basis does not explain stay.
Beside it the loss without the feature at all (s·a_i·d_i taken away), and its first-order term, activation × gradient.
Where one answer position can touch another, all are changed at once, and an attribution stands at the read whose
position has the feature: only sums over streams are comparable with losses there.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from formation.features.basis import Basis
from formation.features.measures.above import Above
from formation.features.metrics import Worth

__all__ = ["Values", "Worth", "measure_usefulness", "removal"]

Values = Mapping[Worth, Float[Tensor, "read feature"]]


def measure_usefulness(
    above: Above,
    basis: Basis,
    activation: Float[Tensor, "read feature"],
    mean: Float[Tensor, "feature"],
    answer: Int[Tensor, "read"],
) -> Values:
    """What every feature is worth at every read, in nats.

    `activation` is the basis' at the answer positions of `above`, `mean` what stands in for it: its mean at the answer
    positions of IID streams, at the same checkpoint.
    """
    whole = basis.scale * activation
    return {
        **removal(above, basis.decoder, whole - basis.scale * mean, answer, (Worth.USEFULNESS, Worth.LOG_PROB)),
        **removal(above, basis.decoder, whole, answer, (Worth.ZERO, Worth.ZERO_LOG_PROB)),
        Worth.ATTRIBUTION: whole * (above.gradient(answer) @ basis.decoder.T),
    }


def removal(
    above: Above,
    directions: Float[Tensor, "feature d_model"],
    amounts: Float[Tensor, "read feature"],
    answer: Int[Tensor, "read"],
    names: tuple[Worth, Worth] = (Worth.USEFULNESS, Worth.LOG_PROB),
) -> Values:
    """Margin and log-probability lost when `amounts` of one direction after the other are taken from the stage."""
    after = above.margins_without(directions, amounts, answer)
    before = above.margins_without(directions[:1], torch.zeros_like(amounts[:, :1]), answer)
    return {names[0]: before - after, names[1]: F.logsigmoid(before) - F.logsigmoid(after)}
