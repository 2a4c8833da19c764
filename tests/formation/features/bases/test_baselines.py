"""Principal components and neurons as codes: eigenvalue shares, ranks, and what one planted neuron writes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formation.errors import MeasureError
from formation.features.bases.baselines import code_neurons, fit_components
from formation.features.bases.quality import measure_quality
from formation.features.bases.samples import Sample, Scaling
from tests.formation.features.planted_dictionary import WIDTH, dictionary


def sample(seed: int = 0, rows: int = 200) -> Sample:
    """Correlated rows far from the origin, in float64."""
    draw = torch.Generator().manual_seed(seed)
    mix = torch.randn(6, 6, generator=draw, dtype=torch.float64)
    return Sample("embed", seed, 5 + torch.randn(rows, 6, generator=draw, dtype=torch.float64) @ mix)


def alike(one: Sample) -> list[Sample]:
    """The sample as two checkpoints, so that their own, pooled and measured scalings are one."""
    return [one, Sample(one.stage, one.step + 1, one.x)]


def explained(x: Tensor, **asked: int) -> float | None:
    code = fit_components(alike(Sample("embed", 0, x))).code(x, **asked)
    return measure_quality(code, 0, torch.zeros(len(x), dtype=torch.long)).explained_variance


@given(st.integers(1, 6), st.integers(0, 30))
def test_components_explain_their_eigenvalues_share(rank: int, seed: int) -> None:
    x = sample(seed).x
    share = np.linalg.eigvalsh(np.cov(x.numpy().T))[::-1]
    assert explained(x, rank=rank) == pytest.approx(share[:rank].sum() / share.sum(), abs=1e-9)


def test_all_components_give_everything_back() -> None:
    one = sample()
    torch.testing.assert_close(fit_components(alike(one)).code(one.x).reconstructed, one.x, rtol=0, atol=1e-10)


def test_a_rows_largest_components_explain_more_than_the_same_number_for_all() -> None:
    one = sample()
    best, fixed = explained(one.x, largest=2), explained(one.x, rank=2)
    assert best is not None
    assert fixed is not None
    assert best > fixed
    code = fit_components(alike(one)).code(one.x, rank=5, largest=2)
    assert code.activations.shape[1] == 5
    assert ((code.activations != 0).sum(1) == 2).all()


def test_components_see_everything_through_the_scaling_given() -> None:
    one = sample()
    given_scaling = Scaling(torch.ones(6, dtype=torch.float64), 4.0)
    components = fit_components(alike(one), given_scaling)
    torch.testing.assert_close(components.code(one.x).activations, ((one.x - 1) / 4) @ components.directions.T)


def test_components_of_noise_explain_their_number_and_no_more() -> None:
    x = torch.randn(4000, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert explained(x, rank=5) == pytest.approx(0.25, abs=0.03)


def test_components_fail_where_a_basis_would() -> None:
    with pytest.raises(MeasureError, match="at least two different"):
        fit_components([sample()])


def test_neurons_that_write_everything_explain_everything() -> None:
    draw = torch.Generator().manual_seed(0)
    hidden, weight = torch.rand(50, 30, generator=draw), torch.randn(WIDTH, 30, generator=draw)
    code = code_neurons(hidden @ weight.T + 7, hidden, weight)
    torch.testing.assert_close(code.reconstructed, code.x, rtol=0, atol=1e-4)
    few = code_neurons(code.x, hidden, weight, largest=3)
    assert ((few.activations != 0).sum(1) == 3).all()


def test_the_neurons_kept_are_those_that_write_most() -> None:
    hidden = torch.tensor([[3.0, 1.0, -0.1]])
    weight = torch.tensor([[1.0, 10.0, 0.0], [0.0, 0.0, 1.0]])
    assert code_neurons(torch.zeros(1, 2), hidden, weight, largest=1).activations.tolist() == [[0, 1, 0]]


def test_neurons_that_write_elsewhere_explain_nothing() -> None:
    x = dictionary().samples[0].x
    draw = torch.Generator().manual_seed(0)
    hidden = torch.randn(len(x), 30, generator=draw)
    code = code_neurons(x, hidden, torch.randn(WIDTH, 30, generator=draw))
    found = measure_quality(code, 0, torch.zeros(len(x), dtype=torch.long))
    assert found.explained_variance is not None
    assert found.explained_variance < 0
    with pytest.raises(MeasureError, match="30 neurons with 7 columns"):
        code_neurons(x, hidden, torch.zeros(WIDTH, 7))
