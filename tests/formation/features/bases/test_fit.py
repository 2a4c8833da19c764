"""Fits of planted dictionaries find them; what no basis can be fit on is refused by name."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from formation.errors import MeasureError
from formation.features.bases.fit import Fitted, fit_basis
from formation.features.bases.quality import coded, measure_quality
from formation.features.bases.samples import Sample, checkpoint_weight, pooled_scaling
from formation.features.bases.settings import FitSettings
from formation.features.bases.stability import matched_cosines
from formation.features.choices import Kind
from tests.formation.features.planted_dictionary import ACTIVE, STEPS, TRUE, WIDTH, Dictionary, dictionary

LATENTS = 2 * TRUE  # with no more latents than there are directions, fits come to rest where two share one
SMALL = FitSettings(latents=LATENTS, k=4, steps=500, batch=256, learning_rate=1e-2, dead_after=30, auxiliary_k=8)

# TopK: as many as all but few rows have. BatchTopK: the truth's mean, 1.25; with 2 it splits what drifts
ASKED = {Kind.TOPK: 4, Kind.BATCH_TOPK: 1}


@cache
def planted(drift: float = 0.0) -> Dictionary:
    return dictionary(drift=drift)


@cache
def fitted(kind: Kind = Kind.TOPK, drift: float = 0.0) -> Fitted:
    return fit_basis(planted(drift).samples, replace(SMALL, kind=kind, k=ASKED[kind]), seed=1)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("drift", [0.0, 0.1])
def test_planted_directions_are_found(kind: Kind, drift: float) -> None:
    cosines = matched_cosines(planted(drift).directions, fitted(kind, drift).basis.decoder)
    assert cosines.mean() >= 0.95


def test_planted_births_are_seen_in_one_basis_at_every_checkpoint() -> None:
    truth, basis = planted(), fitted().basis
    cosines = (truth.directions @ basis.decoder.T).max(1)
    known = [feature for feature in range(TRUE) if cosines.values[feature] > 0.95]
    assert len(known) >= 0.8 * TRUE
    for at, sample in enumerate(truth.samples):
        strong = (basis.encode(sample.x) * basis.scale / 2.0**at > 0.5).double().mean(0)
        for feature in known:
            expected = ACTIVE if truth.born[feature] <= at else 0
            assert strong[cosines.indices[feature]] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("kind", Kind)
def test_a_basis_is_sparse_and_has_unit_rows(kind: Kind) -> None:
    basis = fitted(kind).basis
    torch.testing.assert_close(basis.decoder.norm(dim=1), torch.ones(LATENTS))
    every = [
        measure_quality(coded(basis, s.x), s.step, torch.zeros(len(s.x), dtype=torch.long)) for s in planted().samples
    ]
    mean = sum(one.l0 for one in every) / len(every)
    assert mean <= ASKED[kind] if kind == Kind.TOPK else mean == pytest.approx(ASKED[kind], rel=0.1)
    assert basis.threshold == 0 if kind == Kind.TOPK else basis.threshold > 0


def test_the_same_seed_gives_the_same_basis_and_another_seed_another() -> None:
    short = replace(SMALL, steps=20)
    one, again, other = (fit_basis(planted().samples, short, seed).basis for seed in (1, 1, 2))
    for name in ("encoder", "encoder_bias", "decoder", "decoder_bias"):
        assert torch.equal(getattr(one, name), getattr(again, name))
        assert not torch.equal(getattr(one, name), getattr(other, name))


def test_the_loss_falls_and_is_logged_to_the_last_step() -> None:
    history = fitted().history
    assert history[-1].step == SMALL.steps
    assert history[-1].loss < 0.2 * history[0].loss
    assert history[-1].dead_fraction <= 0.1


def test_the_basis_sees_everything_through_the_pooled_scaling_or_the_one_given() -> None:
    samples, short = planted().samples, replace(SMALL, steps=2)
    pooled = pooled_scaling(samples)
    basis = fit_basis(samples, short, 1).basis
    assert torch.equal(basis.mean, pooled.mean)
    assert basis.scale == pooled.scale
    every = torch.cat([sample.x for sample in samples])
    assert float(((every - basis.mean) / basis.scale).square().mean()) == pytest.approx(1, rel=1e-4)
    given = fit_basis(samples, short, 1, measured_with=replace(pooled, scale=3.0)).basis
    assert given.scale == 3.0
    assert torch.equal(given.mean, pooled.mean)


def test_every_checkpoint_counts_whatever_its_scale() -> None:
    samples = planted().samples
    pooled = pooled_scaling(samples)
    for sample in samples:
        square = pooled(sample.x - sample.x.mean(0) + pooled.mean).square().mean()
        assert float(checkpoint_weight(sample, pooled) * square) == pytest.approx(1, rel=1e-4)


def with_value(value: float) -> list[Sample]:
    first, second = (Sample("embed", s.step, s.x.clone()) for s in planted().samples[:2])
    second.x[3, 4] = value
    return [first, second]


def constant() -> list[Sample]:
    first = planted().samples[0]
    return [first, Sample("embed", 70, torch.tensor([0.1, -3.3, 7.7]).repeat(50, WIDTH // 3))]


FAULTY = {
    "mixed": ([Sample("embed", 0, torch.randn(9, 4)), Sample("final_norm", 1, torch.randn(9, 4))], "embed, final_norm"),
    "none": ([], "at least two different"),
    "one": (planted().samples[:1], r"\[0\]: a shared basis needs at least two different"),
    "twice the same": (planted().samples[:1] * 2, r"\[0, 0\]: a shared basis needs"),
    "nan": (with_value(float("nan")), f"embed at checkpoint {STEPS[1]}: 1 activations are not finite"),
    "infinite": (with_value(float("-inf")), f"embed at checkpoint {STEPS[1]}: 1 activations are not finite"),
    "no variance": (constant(), r"embed at checkpoint 70: all 50 activations are the same \(zero variance\)"),
    "no rows": ([planted().samples[0], Sample("embed", 70, torch.empty(0, WIDTH))], "checkpoint 70: no activations"),
    "widths": (
        [planted().samples[0], Sample("embed", 70, torch.randn(9, 4))],
        "checkpoint 70: 4 dimensions, expected 24",
    ),
}


@pytest.mark.parametrize("name", FAULTY)
def test_what_no_basis_can_be_fit_on_is_refused_by_name(name: str) -> None:
    samples, message = FAULTY[name]
    with pytest.raises(MeasureError, match=message):
        fit_basis(samples, SMALL, seed=1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"k": 17, "latents": 16}, "k = 17: expected at most the number of latents, 16"),
        ({"steps": 0}, "steps = 0: expected at least 1"),
    ],
)
def test_settings_that_no_fit_can_use_are_refused(values: dict[str, int], message: str) -> None:
    with pytest.raises(MeasureError, match=message):
        FitSettings(**values)  # type: ignore[arg-type]
