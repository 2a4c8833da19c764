"""Direct effects: they sum to the margin, and are large for what writes the answer."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from formation.benchmark.streams import SplitName
from formation.components.clean import clean_pass
from formation.components.direct import attribution, effect_of_any, margin_effect, margin_terms, wrong_answers
from formation.components.material import Measured
from formation.components.writers import measure_direct
from tests.formation.components.small import CONTEXT, material, random_model, shifted
from tests.planted import Plan, plant

IID = SplitName.TEST_IID


def margin(logits: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
    others = logits.scatter(1, answer[:, None], -torch.inf).logsumexp(-1)
    return logits.gather(1, answer[:, None])[:, 0] - others


@cache
def direct(planted: bool = False) -> dict[str, Measured]:
    streams = material()[IID]
    model = plant(Plan(), streams.split.vocabulary, CONTEXT).eval() if planted else random_model()
    return {one.component: one for one in measure_direct(model, clean_pass(model, streams, 16), streams)}


@settings(max_examples=8)
@given(seed=st.integers(0, 1000), std=st.floats(0.05, 1.0), name=st.sampled_from([IID, SplitName.STRUCTURAL_OOD]))
def test_all_terms_sum_to_the_margin(seed: int, std: float, name: SplitName) -> None:
    model, streams = shifted(seed, std), material()[name]
    clean = clean_pass(model, streams, 16)
    terms = torch.stack(list(margin_terms(model, clean, streams).values()))
    error = (terms.sum(0) - margin(clean.logits, streams.answer)).abs()
    assert (error <= 1e-10 * terms.abs().sum(0)).all()


def test_of_a_margin_that_has_no_digits_left_too() -> None:
    """Right with a probability that rounds to 1."""
    streams = material()[IID]
    model = plant(Plan(), streams.split.vocabulary, CONTEXT).eval().double()
    clean = clean_pass(model, streams, 16)
    terms = torch.stack(list(margin_terms(model, clean, streams).values()))
    found = margin(clean.logits, streams.answer)
    assert found.median() > 10
    assert ((terms.sum(0) - found).abs() <= 1e-10 * terms.abs().sum(0)).all()


@given(seed=st.integers(0, 1000), sharp=st.floats(0.1, 30))
def test_the_effect_for_every_answer_is_that_for_each(seed: int, sharp: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    added, logits = torch.randn(2, 6, 9, generator=generator)
    logits = sharp * logits
    found = effect_of_any(added, logits)
    for token in range(9):
        answer = torch.full((6,), token)
        wanted = margin_effect(added, wrong_answers(logits, answer), answer)
        torch.testing.assert_close(found[:, token], wanted, rtol=1e-4, atol=1e-4)


def test_a_node_of_equal_entries_or_of_none_adds_nothing() -> None:
    """Centring: what every coordinate has alike, the final LayerNorm takes away."""
    model = shifted(0, 0.5)
    x = torch.randn(4, model.params.d_model, dtype=torch.float64)
    assert attribution(model, x, torch.full_like(x, 3.0)).abs().max() < 1e-12
    torch.testing.assert_close(
        attribution(model, x, x) + model.token @ model.norm.bias, model.norm(x) @ model.token.T, rtol=0, atol=1e-12
    )


def test_the_planted_retrieval_head_writes_the_answer() -> None:
    found = {name: one.value or 0.0 for name, one in direct(planted=True).items()}
    assert found["layer_1.head_2"] > 10
    assert max(abs(value) for name, value in found.items() if name != "layer_1.head_2") < 0.1


def test_only_the_right_answers_are_written() -> None:
    one = direct(planted=True)["layer_1.head_2"]
    assert one.placebos is not None
    assert one.value is not None
    assert one.value > one.placebos.max() + 5


@pytest.mark.parametrize("component", ["layer_0.head_0", "layer_1.head_1", "layer_1.mlp"])
def test_random_weights_write_no_answer(component: str) -> None:
    one = direct()[component]
    assert one.placebos is not None
    assert one.value is not None
    assert abs(one.value - one.placebos.mean()) < 3.5 * one.placebos.std()


def test_placebos_of_the_right_answers_are_the_effect() -> None:
    streams = material()[IID]
    same = replace(streams, permuted=torch.arange(len(streams.answer)).expand(3, -1))
    model = random_model()
    for one in measure_direct(model, clean_pass(model, same, 16), same):
        assert one.placebos == pytest.approx([one.value] * 3, abs=1e-5)
