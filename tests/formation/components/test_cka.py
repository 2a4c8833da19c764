"""Similarity of representations: the formula written out, known answers, invariances."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formation.components.cka import cka, hsic, represent


def noise(rows: int = 80, width: int = 6, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(1, rows, width)))


def alike(x: Tensor, y: Tensor) -> float:
    return float(cka(represent(x), represent(y)))


def naive_hsic(x: np.ndarray, y: np.ndarray) -> float:
    """Song et al. 2012, eq. 5, on read × read kernels."""
    n = len(x)
    k, l = x @ x.T, y @ y.T  # noqa: E741
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    one = np.ones(n)
    middle = one @ k @ one * (one @ l @ one) / ((n - 1) * (n - 2))
    return float((np.trace(k @ l) + middle - 2 / (n - 2) * (one @ k @ l @ one)) / (n * (n - 3)))


@given(st.integers(4, 30), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_the_products_give_what_the_kernels_give(rows: int, width: int, other: int, seed: int) -> None:
    x, y = represent(noise(rows, width, seed)), represent(noise(rows, other, seed + 1))
    wanted = naive_hsic(x.x[0].numpy(), y.x[0].numpy())
    assert float(hsic(x, y)) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def test_the_biased_estimate_for_many_rows() -> None:
    """Kornblith et al.'s own formula is approached as rows grow."""
    x = noise(4000, 5)
    y = x @ noise(5, 5, seed=1)[0] + 0.5 * noise(4000, 5, seed=2)
    a, b = (side[0] - side[0].mean(0) for side in (x, y))
    biased = (a.T @ b).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm())
    assert alike(x, y) == pytest.approx(float(biased), abs=0.005)


@given(st.floats(1e-4, 1e4), st.integers(0, 99))
def test_rotation_scale_and_shift_change_nothing(scale: float, seed: int) -> None:
    rotation = torch.linalg.qr(noise(6, 6, seed)[0])[0]
    x = noise(seed=seed)
    assert alike(x, x) == pytest.approx(1.0, abs=1e-12)
    assert alike(x, scale * x @ rotation + 5.0) == pytest.approx(1.0, abs=1e-9)


def test_equal_states_are_alike_in_float32_far_from_the_origin() -> None:
    x = (noise(512, 64) + 100).float()
    assert alike(x, x) == pytest.approx(1.0, abs=1e-6)


def test_unrelated_states_are_not_alike_however_wide() -> None:
    """The biased estimate would say about width / rows = 0.5."""
    found = [alike(noise(64, 32, seed), noise(64, 32, seed + 100)) for seed in range(40)]
    assert abs(np.mean(found)) < 0.03
    assert max(map(abs, found)) < 0.25


def test_it_is_symmetric_and_less_than_one_for_other_directions() -> None:
    x = noise()
    y = x * torch.tensor([5.0, 1, 1, 1, 1, 1])
    assert alike(x, y) == pytest.approx(alike(y, x), abs=1e-12)
    assert 0.2 < alike(x, y) < 0.95


def test_states_that_do_not_vary_are_like_nothing() -> None:
    assert np.isnan(alike(noise(), torch.full((1, 80, 3), 2.0, dtype=torch.float64)))


def test_problems_do_not_touch_each_other() -> None:
    x, y = torch.cat([noise(seed=1), noise(seed=2)]), torch.cat([noise(seed=3), noise(seed=2)])
    both = cka(represent(x), represent(y))
    assert both[0] == pytest.approx(alike(x[:1], y[:1]), abs=1e-12)
    assert both[1] == pytest.approx(1.0, abs=1e-12)
