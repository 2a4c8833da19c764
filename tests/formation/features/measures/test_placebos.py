"""Placebos of features: rows turned at random in a feature's place, and directions taken away as features are."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from formation.errors import MeasureError
from formation.features.bases.activations import Activations
from formation.features.basis import Basis
from formation.features.choices import Kind
from formation.features.measures.placebos import Placebos, competition, draw_placebos, placebo_activity
from tests.formation.features.drawn import random_basis

ROWS = 400


def sample(basis: Basis, rows: int = ROWS, seed: int = 5) -> Activations:
    """Correlated states, the second half shifted."""
    draw = torch.Generator().manual_seed(seed)
    mix = torch.randn(16, 16, generator=draw, dtype=torch.float64)
    x = basis.mean + torch.randn(rows, 16, generator=draw, dtype=torch.float64) @ mix
    x[rows // 2 :] += 2 * mix[0]
    return Activations("embed", 0, x, torch.zeros(rows).long(), torch.zeros(rows).long())


def placebos(basis: Basis, states: Activations, count: int = 7, rungs: int = 3) -> Placebos:
    return draw_placebos(basis, [states], count, rungs, seed=1)


def test_directions_have_unit_length_and_the_deviation_of_the_states_along_them() -> None:
    basis = random_basis("embed")
    states = sample(basis)
    found = placebos(basis, states)
    along = (states.x - basis.mean) / basis.scale @ found.directions.T
    torch.testing.assert_close(found.directions.norm(dim=1), torch.ones(7, dtype=torch.float64))
    torch.testing.assert_close(found.deviation, along.std(0, correction=0))


@given(st.integers(1, 5), st.integers(0, 50), st.sampled_from(Kind))
@settings(max_examples=10)
def test_a_score_counts_in_its_own_place_where_it_is_active(k: int, seed: int, kind: Kind) -> None:
    """Each feature's own score, put into its own place, is active exactly where the feature is."""
    one = random_basis("embed", k=k, seed=seed)
    basis = replace(one, kind=kind, threshold=0.2 if kind is Kind.BATCH_TOPK else 0.0)
    x = sample(basis, 50, seed).x
    scores = basis.scores(x)
    assert torch.equal(scores > competition(basis, scores), basis.encode(x) > 0)


def test_a_placebo_that_points_where_the_feature_does_is_as_active() -> None:
    basis = random_basis("embed")
    states = sample(basis)
    rows = basis.encoder / basis.encoder.norm(dim=1, keepdim=True)
    itself = replace(placebos(basis, states), directions=rows)
    activity = placebo_activity(basis, itself, states.x, [torch.arange(ROWS)])
    own, scores = basis.encode(states.x), basis.scores(states.x)
    for sums, values in ((activity.active, (own > 0).double()), (activity.activation, own), (activity.score, scores)):
        torch.testing.assert_close(sums[0].diagonal(), values.sum(0))


def test_sums_over_parts_add_up() -> None:
    basis = random_basis("embed")
    states = sample(basis)
    found = placebos(basis, states)
    parts = placebo_activity(basis, found, states.x, [torch.arange(150), torch.arange(150, ROWS)])
    whole = placebo_activity(basis, found, states.x, [torch.arange(ROWS)])
    for name in ("active", "activation", "score"):
        torch.testing.assert_close(getattr(parts, name).sum(0), getattr(whole, name)[0])


def test_a_feature_is_compared_with_a_variance_at_least_its_own() -> None:
    basis = random_basis("embed")
    states = sample(basis)
    own = basis.encode(states.x).std(0, correction=0)
    for rungs in (1, 3, basis.latents):
        found = placebos(basis, states, rungs=rungs)
        asked = found.ladder[found.rung]
        assert (asked >= own - 1e-12).all()
        assert asked.max() <= own.max() + 1e-12


def test_no_activations_give_no_placebos() -> None:
    with pytest.raises(MeasureError, match="no activations were given"):
        draw_placebos(random_basis("embed"), [], 3, 1, 0)


def test_activations_of_another_stage_are_refused() -> None:
    with pytest.raises(MeasureError, match="the basis was fit on final_norm"):
        placebos(random_basis("final_norm"), sample(random_basis("embed")))
