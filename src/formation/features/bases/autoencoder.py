"""A sparse autoencoder while it is being fit: its loss and, written out by hand, the gradient of that loss.

On a CPU the products are cheap at these sizes (some hundred latents and dimensions) and finding the k largest scores
is not: `numpy.partition` finds the k-th largest about five times faster than `torch.topk` finds them all. Products with
the masked scores then cost no more than gathering k rows, for which all k places would have to be found.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from formation.features.choices import Kind


@dataclass(eq=False)
class Weights:
    """Encoder, decoder with unit rows, and biases; the decoder's is subtracted before encoding (tied)."""

    encoder: Float[Tensor, "latent d_model"]
    encoder_bias: Float[Tensor, "latent"]
    decoder: Float[Tensor, "latent d_model"]
    decoder_bias: Float[Tensor, "d_model"]

    def all(self) -> list[Tensor]:
        """The four tensors, for an optimiser."""
        return [self.encoder, self.encoder_bias, self.decoder, self.decoder_bias]


@dataclass(frozen=True, eq=False)
class Pass:
    """What one batch looks like on its way through."""

    centred: Float[Tensor, "row d_model"]  # the rows without the decoder's bias
    scores: Float[Tensor, "row latent"]  # before the rectifier
    kept: Bool[Tensor, "row latent"]
    activations: Float[Tensor, "row latent"]
    error: Float[Tensor, "row d_model"]  # reconstruction minus rows
    weight: Float[Tensor, "row 1"]  # of each row's square error

    @property
    def loss(self) -> float:
        """Weighted mean square error, per row and dimension."""
        return float((self.weight * self.error.square()).mean())


def initial(directions: Float[Tensor, "latent d_model"]) -> Weights:
    """Unit directions as the decoder, the encoder its transpose, no biases."""
    latents, width = directions.shape
    return Weights(directions.clone(), torch.zeros(latents), directions.clone(), torch.zeros(width))


def through(
    weights: Weights, x: Float[Tensor, "row d_model"], weight: Float[Tensor, "row 1"], kind: Kind, k: int
) -> Pass:
    """The rows encoded, masked and decoded."""
    centred = x - weights.decoder_bias
    scores = F.linear(centred, weights.encoder, weights.encoder_bias)
    kept = largest(scores, k) if kind == Kind.TOPK else largest(scores.view(1, -1), k * len(x)).view_as(scores)
    activations = scores * kept
    return Pass(centred, scores, kept, activations, activations @ weights.decoder - centred, weight)


def largest(scores: Float[Tensor, "row latent"], k: int) -> Bool[Tensor, "row latent"]:
    """Where the k largest scores of a row are, if they are positive; a tie for the last place keeps all of it."""
    if k >= scores.shape[1]:
        return scores > 0
    place = scores.shape[1] - k
    bar = torch.from_numpy(np.partition(scores.numpy(), place, axis=1)[:, place, None])
    return scores >= bar.clamp(min=torch.finfo(scores.dtype).tiny)


def set_gradient(weights: Weights, at: Pass) -> None:
    """Set `grad` of the weights to the gradient of the loss."""
    error = at.error * at.weight * (2 / at.error.numel())
    score = (error @ weights.decoder.T) * at.kept
    weights.encoder.grad = score.T @ at.centred
    weights.encoder_bias.grad = score.sum(0)
    weights.decoder.grad = at.activations.T @ error
    # the bias is added to the reconstruction, and subtracted from what is encoded
    weights.decoder_bias.grad = error.sum(0) - weights.encoder_bias.grad @ weights.encoder


def add_auxiliary_gradient(weights: Weights, at: Pass, dead: Int[Tensor, "dead"], k: int, weight: float) -> None:
    """Add the gradient of the auxiliary loss: what the k best dead latents leave of the error, as it stands.

    Gao et al. 2024 (arXiv:2406.04093), A.2: the error itself, and the decoder's bias, are held fixed.
    """
    if not len(dead):
        return
    scores, decoder = at.scores[:, dead], weights.decoder[dead]
    kept = largest(scores, k)
    activations = scores * kept
    left = (activations @ decoder + at.error) * at.weight * (2 * weight / at.error.numel())
    score = (left @ decoder.T) * kept
    for whole, part in (
        (weights.encoder.grad, score.T @ at.centred),
        (weights.encoder_bias.grad, score.sum(0)),
        (weights.decoder.grad, activations.T @ left),
    ):
        assert whole is not None, "set_gradient comes first"
        whole[dead] += part


def remove_radial_gradient(weights: Weights) -> None:
    """Take from the decoder's gradient what points along its rows: their length is fixed."""
    gradient = weights.decoder.grad
    assert gradient is not None, "set_gradient comes first"
    gradient -= (gradient * weights.decoder).sum(1, keepdim=True) * weights.decoder


def restore_length(weights: Weights) -> None:
    """Bring the decoder's rows back to unit length."""
    weights.decoder /= weights.decoder.norm(dim=1, keepdim=True)
