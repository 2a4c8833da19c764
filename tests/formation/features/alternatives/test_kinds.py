"""Features of other kinds: what each writes adds up to what is there, and known directions are found."""

import pytest
import torch
from torch.nn import functional as F

from formation.benchmark.streams import SplitName
from formation.components.states import states_at
from formation.errors import MeasureError
from formation.features.alternatives.crosscoder import Crosscoder, fit_crosscoder
from formation.features.alternatives.kinds import Kind, Look, OfBasis, OfCrosscoder, component_basis, neurons_before
from formation.features.bases.samples import Sample
from formation.features.bases.settings import FitSettings
from formation.features.bases.stability import matched_cosines
from tests.formation.components.small import material, shifted
from tests.formation.features.drawn import random_basis

LAST, WIDTH, STEPS = "layer_1_post_mlp", 16, (0, 10, 20)
STREAMS = material()[SplitName.TEST_IID]
SETTINGS = FitSettings(latents=24, k=2, steps=300, batch=256, learning_rate=3e-3)


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- principal components --------------------------------------------------------------------------------------------


def rows(step: int, count: int = 400) -> Sample:
    """Rows that vary along every axis, each less than the one before."""
    x = torch.randn(count, WIDTH, generator=draw(step), dtype=torch.float64) * torch.linspace(3, 0.1, WIDTH)
    return Sample(LAST, step, x)


def test_components_with_both_signs_explain_all_where_all_are_kept() -> None:
    basis = component_basis([rows(0), rows(10)], random_basis(LAST, latents=WIDTH, k=WIDTH))
    assert basis.latents == 2 * WIDTH
    x = rows(20).x
    torch.testing.assert_close(basis.reconstruct(x), x)


def test_of_few_components_the_largest_of_either_sign_are_kept() -> None:
    basis = component_basis([rows(0), rows(10)], random_basis(LAST, k=3))
    x = rows(20).x
    kept, coordinates = basis.encode(x), (x - basis.mean) / basis.scale @ basis.decoder[:WIDTH].T
    assert ((kept > 0).sum(1) == 3).all()
    largest = coordinates.abs().topk(3, dim=1).values.sum(1)
    torch.testing.assert_close(kept.sum(1), largest)


# --- neurons ---------------------------------------------------------------------------------------------------------


def test_what_neurons_write_is_the_blocks_output_without_its_bias() -> None:
    model = shifted(0, 0.3)
    neurons = neurons_before(model, LAST, STEPS)
    assert neurons is not None
    names = [neurons.site, "layer_1.mlp.out", LAST]
    found = states_at(model, STREAMS.tokens, names, STREAMS.stream, STREAMS.position, 30)
    coded = neurons.at(Look(model, 0, found[LAST].clone(), found[neurons.site].clone(), None))
    bias = model.layers[1].mlp.fc_out.bias
    torch.testing.assert_close(coded.amounts @ coded.directions + bias, found["layer_1.mlp.out"].clone())
    torch.testing.assert_close(coded.directions.norm(dim=1), torch.ones(neurons.count, dtype=torch.float64))


def test_where_no_block_writes_last_there_are_no_neurons() -> None:
    model = shifted(0, 0.3)
    assert neurons_before(model, "final_norm", STEPS) is None
    assert neurons_before(model, "layer_0_post_attn", STEPS) is None


# --- a crosscoder ----------------------------------------------------------------------------------------------------


def dictionary(step: int) -> torch.Tensor:
    """Twelve features of which the first half is written from step 10 on only, elsewhere at every checkpoint."""
    directions = F.normalize(torch.randn(12, WIDTH, generator=draw(100 + step)), dim=1)
    return directions * torch.tensor([0.0 if step == 0 else 1.0] * 6 + [1.0] * 6)[:, None]


def samples(count: int = 1500) -> tuple[torch.Tensor, list[Sample]]:
    """Two features a row, the same at every checkpoint, each written along another direction there."""
    which = torch.rand(count, 12, generator=draw(1)).topk(2, dim=1).indices
    code = torch.zeros(count, 12).scatter(1, which, 0.5 + torch.rand(count, 2, generator=draw(2)))
    noise = 0.02 * torch.randn(count, WIDTH, generator=draw(3))
    return code, [Sample(LAST, step, code @ dictionary(step) + noise) for step in STEPS]


@pytest.fixture(scope="module")
def fitted() -> Crosscoder:
    return fit_crosscoder(samples()[1], SETTINGS, seed=0)


def test_a_planted_dictionary_is_found_at_every_checkpoint_with_when_it_is_written(fitted: Crosscoder) -> None:
    truth = torch.cat([dictionary(step) for step in STEPS], dim=1)
    found = torch.cat([fitted.written(step) for step in STEPS], dim=1)
    cosines = F.normalize(truth, dim=1) @ F.normalize(found, dim=1).T
    match = cosines.max(1)
    assert match.values.median() > 0.9
    size = torch.stack([fitted.written(step)[match.indices].norm(dim=1) for step in STEPS])
    assert (size[0, :6] < 0.3 * size[1, :6]).float().mean() > 0.8
    assert (size[0, 6:] > 0.5 * size[1, 6:]).float().mean() > 0.8


def test_a_code_stands_for_the_states_of_all_checkpoints(fitted: Crosscoder) -> None:
    _, every = samples()
    code = fitted.encode({sample.step: sample.x for sample in every})
    assert int((code > 0).sum(1).max()) <= SETTINGS.k
    for sample in every:
        error = (fitted.decode(code, sample.step) - sample.x).square().sum()
        assert error < 0.3 * (sample.x - sample.x.mean(0)).square().sum()


def test_a_crosscoders_parts_are_those_of_the_joint_autoencoder(fitted: Crosscoder) -> None:
    _, every = samples(50)
    states = {sample.step: sample.x for sample in every}
    code = fitted.encode(states)
    kind = OfCrosscoder(fitted)
    model = shifted(0, 0.3)
    for place, step in enumerate(STEPS):
        coded = kind.at(Look(model, step, states[step], None, code))
        bias = fitted.joint.decoder_bias[place * WIDTH : (place + 1) * WIDTH] * 3**0.5
        whole = coded.amounts @ coded.directions + fitted.scalings[place].scale * bias + fitted.scalings[place].mean
        torch.testing.assert_close(whole, fitted.decode(code, step), rtol=1e-4, atol=1e-5)
    joint = fitted.joint.decode(code)
    own = torch.cat([fitted.scalings[i](fitted.decode(code, step)) for i, step in enumerate(STEPS)], dim=1) / 3**0.5
    torch.testing.assert_close(own, joint, rtol=1e-4, atol=1e-5)


def test_one_seed_gives_one_crosscoder(fitted: Crosscoder) -> None:
    again = fit_crosscoder(samples()[1], SETTINGS, seed=0)
    assert torch.equal(again.joint.decoder, fitted.joint.decoder)
    assert float(matched_cosines(again.joint.decoder, fitted.joint.decoder).min()) > 0.999


def test_one_checkpoint_is_refused() -> None:
    with pytest.raises(MeasureError, match="at least two different ones"):
        fit_crosscoder(samples()[1][:1], SETTINGS, seed=0)


# --- any kind --------------------------------------------------------------------------------------------------------


def test_a_basis_adds_its_activations_along_its_directions() -> None:
    basis, x = random_basis(LAST), rows(0).x
    coded = OfBasis(Kind.SHARED, basis, STEPS).at(Look(shifted(0, 0.3), 0, x, None, None))
    torch.testing.assert_close(
        coded.amounts @ coded.directions + basis.mean + basis.scale * basis.decoder_bias, basis.reconstruct(x)
    )
    few = coded.take([3, 1])
    assert torch.equal(few.amounts, coded.amounts[:, [3, 1]])
    assert torch.equal(few.directions, coded.directions[[3, 1]])
