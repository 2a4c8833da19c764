"""Ranks without a threshold: planted spectra, numpy's norms, invariances."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formation.benchmark.streams import SplitName
from formation.components import dimensionality
from formation.components.roles import Role
from formation.components.sample import States, draw_sample, sample_states
from formation.components.states import stages
from tests.formation.components import small


def planted(singular: list[float], rows: int = 30, seed: int = 0) -> Tensor:
    """Centred rows with these singular values."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(rows, len(singular)))
    left = np.linalg.qr(noise - noise.mean(0))[0]
    right = np.linalg.qr(rng.normal(size=(len(singular), len(singular))))[0]
    return torch.from_numpy(left * singular @ right)[None]


def ranks(x: Tensor) -> dict[str, float | None]:
    return dimensionality.measure_dimensionality(States(("embed/query_key",), x))["embed/query_key"]


def test_planted_spectra_have_their_ranks() -> None:
    even = ranks(planted([2.0, 2.0, 2.0, 0.0, 0.0]))
    assert list(even.values()) == pytest.approx([3, 3, 3])
    line = ranks(planted([5.0, 0.0, 0.0]))
    assert list(line.values()) == pytest.approx([1, 1, 1])
    # eigenvalues 4, 1, 1: 6 / 4; 36 / 18; exp of the entropy of 2/3, 1/6, 1/6
    uneven = ranks(planted([2.0, 1.0, 1.0]))
    assert list(uneven.values()) == pytest.approx([1.5, 2.0, 1.5 ** (2 / 3) * 6 ** (1 / 3)])


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=8), st.integers(0, 99))
def test_ranks_are_numpys(singular: list[float], seed: int) -> None:
    x = planted(singular, seed=seed)
    array = x[0].numpy() - x[0].numpy().mean(0)
    share = np.linalg.eigvalsh(np.cov(array.T))
    share = share[share > 0] / share[share > 0].sum()
    wanted = {
        "stable_rank": np.linalg.norm(array) ** 2 / np.linalg.norm(array, 2) ** 2,
        "participation_ratio": 1 / (share**2).sum(),
        "entropy_rank": np.exp(-(share * np.log(share)).sum()),
    }
    assert ranks(x) == pytest.approx(wanted, rel=1e-6)
    assert (np.diff(list(wanted.values())) >= -1e-9).all()  # entropies of falling order


@given(st.floats(1e-3, 1e3), st.integers(0, 99))
def test_rotation_scale_shift_and_order_of_rows_change_nothing(scale: float, seed: int) -> None:
    x = planted([4.0, 2.0, 1.0, 0.5], seed=seed)
    rng = np.random.default_rng(seed)
    rotation = torch.from_numpy(np.linalg.qr(rng.normal(size=(4, 4)))[0])
    moved = scale * (x @ rotation)[:, torch.from_numpy(rng.permutation(30))] + 3.0
    assert ranks(moved) == pytest.approx(ranks(x), rel=1e-6)


def test_states_that_are_all_the_same_have_no_rank() -> None:
    same = torch.tensor([0.1, -3.3, 7.7]).repeat(50, 1)[None]
    assert set(ranks(same).values()) == {None}


def test_noise_fills_its_space() -> None:
    found = ranks(torch.randn(1, 512, 8, generator=torch.Generator().manual_seed(0)))
    assert all(value is not None and value > 6 for value in found.values())


def test_every_stage_and_role_of_a_model_is_measured() -> None:
    sample = draw_sample(small.material()[SplitName.TEST_IID], small.RECORD)
    spectra = dimensionality.measure_dimensionality(sample_states(small.random_model(), sample))
    assert list(spectra) == [f"{stage}/{role}" for stage in stages(2) for role in Role]
    for figures in spectra.values():
        assert all(value is not None and 1 <= value <= 16 for value in figures.values())
