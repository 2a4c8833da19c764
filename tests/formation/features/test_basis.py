"""Coordinates of a stage: what is kept, what comes back, and that scores have one differentiable formula."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formation.errors import MeasureError
from formation.features.basis import Basis, Kind, keep_largest


def basis(seed: int = 0, latents: int = 12, width: int = 6, k: int = 3, kind: Kind = Kind.TOPK) -> Basis:
    """A random basis in float64."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    decoder = normal(latents, width)
    decoder /= decoder.norm(dim=1, keepdim=True)
    biases = normal(latents), normal(width)
    return Basis("embed", kind, k, normal(latents, width), biases[0], decoder, biases[1], normal(width), 1.7, 0.4)


def rows(count: int = 20, width: int = 6) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


@given(st.integers(1, 12), st.integers(0, 99))
def test_topk_keeps_the_largest_scores_and_at_most_k(k: int, seed: int) -> None:
    one = basis(seed, k=k)
    scores, kept = one.scores(rows()), one.encode(rows())
    assert ((kept > 0).sum(1) <= k).all()
    assert torch.equal(kept[kept > 0], scores[kept > 0])
    assert torch.equal(kept.sort(descending=True).values[:, :k], scores.sort(descending=True).values[:, :k])


def test_batch_topk_keeps_all_above_the_threshold() -> None:
    one = basis(kind=Kind.BATCH_TOPK)
    scores, kept = one.scores(rows()), one.encode(rows())
    assert torch.equal(kept > 0, scores > one.threshold)
    assert torch.equal(kept[kept > 0], scores[kept > 0])


def test_an_orthogonal_basis_with_all_latents_gives_everything_back() -> None:
    axes = torch.linalg.qr(rows(6))[0]
    both = torch.cat([axes, -axes])  # a direction and its opposite: a rectified latent has one sign
    shift = rows(1)[0]
    one = Basis("embed", Kind.TOPK, 12, both, -both @ shift, both, shift, 2 * shift, 0.3, 0.0)
    torch.testing.assert_close(one.reconstruct(rows()), rows(), rtol=0, atol=1e-12)


def test_scores_are_the_rectified_linear_function_of_the_standardised_activation() -> None:
    one, x = basis(), rows().requires_grad_()
    by_hand = ((x - one.mean) / one.scale) @ one.encoder.T + one.encoder_bias
    torch.testing.assert_close(one.scores(x), by_hand.clamp(min=0))
    assert torch.autograd.gradcheck(one.scores, x)


def test_leading_axes_do_not_matter() -> None:
    x = rows(24)
    assert torch.equal(basis().reconstruct(x.view(2, 3, 4, 6)).view(24, 6), basis().reconstruct(x))
    assert torch.equal(keep_largest(x[0], 2), keep_largest(x, 2)[0])


def test_a_basis_changes_its_precision_as_a_whole() -> None:
    single = basis().to(torch.float32)
    assert single.reconstruct(rows().float()).dtype == torch.float32
    assert (single.stage, single.k, single.kind) == ("embed", 3, Kind.TOPK)


@pytest.mark.parametrize(("stage", "width"), [("final_norm", 6), ("embed", 7)])
def test_another_stage_or_width_is_refused(stage: str, width: int) -> None:
    basis().check("embed", 6)
    with pytest.raises(MeasureError, match="the basis was fit on embed with 6: fit one with"):
        basis().check(stage, width)
