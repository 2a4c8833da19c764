"""Placebos of features: they stand in a feature's place, vary as it does, and are active where it would be."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from formation.features.activations import Activations
from formation.features.basis import Basis, Kind, keep_largest
from formation.features.placebos import Placebos, competition, draw_placebos, placebo_activity
from tests.formation.features.bases import random_basis


def sample(basis: Basis, rows: int = 4000, seed: int = 5) -> Activations:
    """Correlated states, the second half shifted."""
    draw = torch.Generator().manual_seed(seed)
    mix = torch.randn(16, 16, generator=draw, dtype=torch.float64)
    x = basis.mean + torch.randn(rows, 16, generator=draw, dtype=torch.float64) @ mix
    x[rows // 2 :] += 2 * mix[0]
    return Activations("embed", 0, x, torch.zeros(rows).long(), torch.zeros(rows).long())


def placebos(basis: Basis, states: Activations, count: int = 7, rungs: int = 3) -> Placebos:
    return draw_placebos(basis, [states], count, rungs, seed=1)


def test_variances_are_those_over_the_states_of_the_fit() -> None:
    basis = random_basis("embed")
    states = sample(basis)
    found = placebos(basis, states)
    unit = (states.x - basis.mean) / basis.scale
    torch.testing.assert_close(found.directions.norm(dim=1), torch.ones(7, dtype=torch.float64))
    torch.testing.assert_close(found.deviation, (unit @ found.directions.T).std(0, correction=0))
    torch.testing.assert_close(found.score_deviation, (unit @ basis.encoder.T).std(0, correction=0))


def test_a_feature_is_compared_with_a_variance_at_least_its_own() -> None:
    basis = random_basis("embed")
    states = sample(basis)
    for rungs in (1, 3, basis.latents):
        found, own = placebos(basis, states, rungs=rungs), basis.encode(states.x).std(0, correction=0)
        asked = found.ladder[found.rung]
        assert (asked >= own - 1e-12).all()
        assert asked.max() <= own.max() + 1e-12
    assert found.rung.sort().values.tolist() == list(range(basis.latents))  # as many rungs as features: its own


def test_merging_checkpoints_changes_nothing() -> None:
    basis = random_basis("embed")
    whole = sample(basis)
    halves = [Activations("embed", step, x, whole.tokens, whole.kinds) for step, x in enumerate(whole.x.chunk(2))]
    merged, at_once = draw_placebos(basis, halves, 7, 3, seed=1), placebos(basis, whole)
    for name in ("directions", "deviation", "score_deviation", "ladder"):
        torch.testing.assert_close(getattr(merged, name), getattr(at_once, name))


@given(st.integers(1, 5), st.integers(0, 50), st.sampled_from(Kind))
@settings(max_examples=20)
def test_a_score_counts_in_its_own_place_where_it_is_active(k: int, seed: int, kind: Kind) -> None:
    """Each feature's own score, put into its own place, is active exactly where the feature is."""
    one = random_basis("embed", k=k, seed=seed)
    basis = Basis(one.stage, kind, k, one.encoder, one.encoder_bias, one.decoder, one.decoder_bias, one.mean, 1.5, 0.2)
    x = sample(basis, 50, seed).x
    scores = basis.scores(x)
    if kind is Kind.TOPK:
        assert torch.equal(keep_largest(scores, k), basis.encode(x))
    assert torch.equal(scores > competition(basis, scores).clamp(min=0), basis.encode(x) > 0)


def test_a_placebo_that_is_the_feature_itself_is_as_active() -> None:
    basis = random_basis("embed")
    states = sample(basis, 200)
    found = placebos(basis, states)
    rows, length = basis.encoder, basis.encoder.norm(dim=1, keepdim=True)
    itself = Placebos(
        rows / length, found.score_deviation / length[:, 0], found.score_deviation, found.ladder, found.rung
    )
    parts = [torch.arange(80), torch.arange(80, 200)]
    # a state that lies off the mean of the fit shifts a placebo as it shifts the feature
    activity = placebo_activity(basis, itself, states.x, parts)
    activation, scores = basis.encode(states.x), basis.scores(states.x)
    for part, chosen in enumerate(parts):
        for sums, own in (
            (activity.active, (activation > 0).double()),
            (activity.activation, activation),
            (activity.score, scores),
        ):
            torch.testing.assert_close(sums[part].diagonal(), own[chosen].sum(0))
