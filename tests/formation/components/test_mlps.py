"""Neurons at answer positions: how many are active, and in how many directions they vary."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from formation.benchmark.streams import SplitName
from formation.components.clean import clean_pass
from formation.components.mlps import effective_ranks, entropy_rank, measure_neurons
from tests.formation.components.small import material, random_model


def rows(spectrum: list[float], count: int, width: int, seed: int = 0) -> torch.Tensor:
    """Rows whose centred covariance has this spectrum, up to a factor."""
    rng = np.random.default_rng(seed)
    left = rng.normal(size=(count, len(spectrum)))
    left, _ = np.linalg.qr(left - left.mean(0))
    right, _ = np.linalg.qr(rng.normal(size=(width, len(spectrum))))
    return torch.from_numpy(left * np.sqrt(spectrum) @ right.T)


@pytest.mark.parametrize(("count", "width"), [(60, 12), (9, 30)])
def test_equal_directions_are_counted(count: int, width: int) -> None:
    for k in (1, 3, 8):
        assert entropy_rank(rows([1.0] * k, count, width)) == pytest.approx(k, rel=1e-6)


def test_a_known_spectrum_has_its_entropy() -> None:
    share = np.array([0.5, 0.3, 0.2])
    assert entropy_rank(rows([5, 3, 2], 40, 6)) == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-6)


@given(seed=st.integers(0, 100), scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_scale_shift_rotation_and_order_do_not_matter(seed: int, scale: float, shift: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(20, 6, generator=generator, dtype=torch.float64)
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))
    moved = (scale * x @ turn + shift)[torch.randperm(20, generator=generator)]
    assert entropy_rank(moved) == pytest.approx(entropy_rank(x), rel=1e-6)


def test_rows_that_do_not_vary_have_no_rank() -> None:
    assert entropy_rank(torch.zeros(5, 3)) == 0


def test_active_neurons_are_counted_at_answers() -> None:
    model, streams = random_model(), material()[SplitName.TEST_IID]
    clean = clean_pass(model, streams, 16)
    with torch.inference_mode():
        _, kept = model.run(streams.tokens, keep=["layer_1.mlp.pre", "layer_1.mlp.hidden"])
    pre, hidden = (kept[f"layer_1.mlp.{name}"][streams.stream, streams.position] for name in ("pre", "hidden"))
    found = {one.component: one.value for one in measure_neurons(clean, streams)}
    assert found["layer_1.mlp"] == pytest.approx((pre > 0).float().mean().item(), abs=1e-6)
    singular = np.linalg.svd((hidden - hidden.mean(0)).double().numpy(), compute_uv=False)
    share = singular**2 / (singular**2).sum()
    assert effective_ranks(clean)["layer_1.mlp"] == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-5)
