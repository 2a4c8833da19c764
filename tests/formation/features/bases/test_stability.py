"""Features found again are told from those that are not: planted dictionaries, permutations, noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from formation.errors import MeasureError
from formation.features.bases.fit import fit_basis
from formation.features.bases.settings import FitSettings, StabilitySettings
from formation.features.bases.stability import matched_cosines, measure_stability, random_alike
from formation.features.basis import Basis
from tests.formation.features.planted_dictionary import TRUE, dictionary, noise_samples
from tests.formation.features.test_basis import basis

SMALL = FitSettings(latents=2 * TRUE, k=4, steps=400, batch=256, learning_rate=1e-2, dead_after=30, auxiliary_k=8)


def shuffled(one: Basis, seed: int) -> Basis:
    order = torch.randperm(one.latents, generator=torch.Generator().manual_seed(seed))
    return replace(one, decoder=one.decoder[order])


def test_the_same_directions_in_any_order_are_found_again() -> None:
    one = basis()
    found = measure_stability(one, [shuffled(one, seed) for seed in range(5)], StabilitySettings())
    np.testing.assert_allclose(found.cosines, 1, atol=1e-12)
    assert found.mean == pytest.approx(1)
    assert not found.unstable.any()
    assert found.chance < 0.9


def test_a_direction_that_is_nowhere_else_is_unstable_and_no_other_stands_for_two() -> None:
    axes = torch.eye(6, dtype=torch.float64)
    one, other = replace(basis(), decoder=axes), replace(basis(), decoder=axes.clone())
    one, other = (replace(b, encoder=b.encoder[:6], encoder_bias=b.encoder_bias[:6]) for b in (one, other))
    other.decoder[5] = axes[0]  # twice the first, never the last
    found = measure_stability(one, [other], StabilitySettings(fits=1))
    assert found.unstable.tolist() == [False] * 5 + [True]
    assert found.cosines[5] == 0
    flipped = measure_stability(one, [replace(other, decoder=-axes)], StabilitySettings(fits=1))
    assert flipped.unstable.all()  # a rectified feature and its opposite are two


def test_fits_of_a_planted_dictionary_agree_and_fits_of_noise_do_not() -> None:
    truth, settings = dictionary(), StabilitySettings(fits=2)
    planted, noise = (
        [fit_basis(samples, SMALL, seed).basis for seed in (1, 2, 3)] for samples in (truth.samples, noise_samples())
    )
    found, nothing = (measure_stability(fits[0], fits[1:], settings) for fits in (planted, noise))
    to_truth, feature = (truth.directions @ planted[0].decoder.T).max(1)
    known = feature[to_truth > 0.95].numpy()
    assert len(known) > 0.7 * TRUE
    assert found.cosines[known].mean() > 0.9
    assert nothing.mean < nothing.chance + 0.1
    assert nothing.unstable.mean() > 0.8


def test_chance_is_that_of_directions_spread_alike() -> None:
    narrow = torch.zeros(200, 8)
    narrow[:, :2] = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    drawn = random_alike(narrow, torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn.norm(dim=1), torch.ones(200))
    assert not drawn[:, 2:].any()
    assert matched_cosines(drawn, narrow).mean() > 0.99  # many directions in a plane: all match, by chance


def test_what_cannot_be_compared_is_refused() -> None:
    one = basis()
    with pytest.raises(MeasureError, match="4 fits with other seeds: stability needs 5"):
        measure_stability(one, [one] * 4, StabilitySettings())
    with pytest.raises(MeasureError, match="the basis was fit on embed"):
        measure_stability(one, [replace(one, stage="final_norm")] * 5, StabilitySettings())
    with pytest.raises(MeasureError, match="a fit of 7 latents beside one of 12"):
        measure_stability(one, [basis(latents=7)] * 5, StabilitySettings())
