"""The gradient written by hand is autograd's, and the mask keeps what it says."""

from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from formation.features.bases import autoencoder
from formation.features.bases.autoencoder import Weights, largest, through
from formation.features.basis import keep_largest
from formation.features.choices import Kind


class Case(NamedTuple):
    """Weights in float64 and a batch for them."""

    weights: Weights
    x: Tensor
    worth: Tensor


def case(seed: int) -> Case:
    draw = torch.Generator().manual_seed(seed)
    weights = autoencoder.initial(F.normalize(torch.randn(10, 6, generator=draw, dtype=torch.float64), dim=1))
    weights = Weights(*(part.double() for part in weights.all()))
    for part in weights.all():
        part += 0.1 * torch.randn(part.shape, generator=draw, dtype=torch.float64)
    x, worth = torch.randn(16, 6, generator=draw), 3 * torch.rand(16, 1, generator=draw)
    return Case(weights, x.double(), worth.double())


@given(st.integers(0, 99), st.sampled_from(Kind), st.integers(0, 4))
def test_the_gradient_is_autograds(seed: int, kind: Kind, dead: int) -> None:
    weights, x, worth = case(seed)
    at = through(weights, x, worth, kind, 3)
    silent = torch.arange(dead)
    autoencoder.set_gradient(weights, at)
    autoencoder.add_auxiliary_gradient(weights, at, silent, 2, 0.5)
    by_hand = [part.grad for part in weights.all()]
    parts = [part.detach().clone().requires_grad_() for part in weights.all()]
    torch_loss(Weights(*parts), x, worth, at.kept, silent).backward()
    for mine, part in zip(by_hand, parts, strict=True):
        torch.testing.assert_close(mine, part.grad)


def torch_loss(weights: Weights, x: Tensor, worth: Tensor, kept: Tensor, dead: Tensor) -> Tensor:
    """The loss as its formula says, with an auxiliary part of weight 1/2 for the two best dead latents of a row."""
    scores = F.linear(x - weights.decoder_bias, weights.encoder, weights.encoder_bias)
    error = x - weights.decoder_bias - (scores * kept) @ weights.decoder
    loss = (worth * error.square()).mean()
    if len(dead):
        centred = x - weights.decoder_bias.detach()
        silent = F.relu(F.linear(centred, weights.encoder[dead], weights.encoder_bias[dead]))
        said = keep_largest(silent, 2) @ weights.decoder[dead]
        loss = loss + 0.5 * (worth * (said - error.detach()).square()).mean()
    return loss


def test_a_loss_is_the_weighted_mean_square_error() -> None:
    weights, x, worth = case(3)
    at = through(weights, x, worth, Kind.TOPK, 3)
    said = at.activations @ weights.decoder + weights.decoder_bias
    assert at.loss == pytest.approx(float((worth * (said - x).square()).mean()))


@given(st.integers(0, 99), st.integers(1, 12))
def test_the_mask_is_where_topk_is(seed: int, k: int) -> None:
    scores = torch.randn(7, 10, generator=torch.Generator().manual_seed(seed))
    wanted = keep_largest(F.relu(scores), k)
    torch.testing.assert_close(scores * largest(scores, k), wanted, rtol=0, atol=0)


def test_batch_topk_keeps_k_a_row_on_average_and_not_of_each() -> None:
    weights, x, worth = case(1)
    weights.encoder_bias += 5  # all scores positive
    kept = through(weights, x, worth, Kind.BATCH_TOPK, 3).kept
    assert int(kept.sum()) == 3 * len(x)
    assert len(kept.sum(1).unique()) > 1
    assert set(through(weights, x, worth, Kind.TOPK, 3).kept.sum(1).tolist()) == {3}


def test_what_is_left_of_the_decoders_gradient_does_not_point_along_its_rows() -> None:
    weights, x, worth = case(0)
    autoencoder.restore_length(weights)
    torch.testing.assert_close(weights.decoder.norm(dim=1), torch.ones(10, dtype=torch.float64))
    autoencoder.set_gradient(weights, through(weights, x, worth, Kind.TOPK, 3))
    autoencoder.remove_radial_gradient(weights)
    assert weights.decoder.grad is not None
    torch.testing.assert_close((weights.decoder.grad * weights.decoder).sum(1), torch.zeros(10, dtype=torch.float64))
