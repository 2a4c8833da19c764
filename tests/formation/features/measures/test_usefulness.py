"""Usefulness: closed forms and tails against a whole pass a feature, exact zeros, and a planted direction."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from formation.benchmark.streams import SplitName
from formation.components.drops import scores
from formation.errors import MeasureError
from formation.features.bases.activations import Activations
from formation.features.basis import Basis
from formation.features.choices import Kind
from formation.features.measures.above import Above, above, margins, whole_stage
from formation.features.measures.placebos import Placebos, draw_placebos, placebo_usefulness
from formation.features.measures.usefulness import Values, Worth, measure_usefulness
from formation.model import Transformer
from tests.formation.components.small import CONTEXT, material, shifted
from tests.formation.features.drawn import random_basis
from tests.planted import Plan, plant

BATCH = 30
STREAMS = material()[SplitName.TEST_IID]
STAGES = ("embed", "layer_0_post_mlp", "layer_1_post_attn", "layer_1_post_mlp", "final_norm")
LAST = "layer_1_post_mlp"


@cache
def way(stage: str) -> tuple[Transformer, Above]:
    model = shifted(0, 0.4)
    return model, above(model, stage, whole_stage(model, STREAMS, stage, BATCH), STREAMS, BATCH)


@cache
def useful(stage: str) -> Values:
    basis, (_, rest) = random_basis(stage), way(stage)
    activation = basis.encode(rest.state)
    return measure_usefulness(rest, basis, activation, activation.mean(0), STREAMS.answer)


@torch.inference_mode()
def by_whole_pass(model: Transformer, stage: str, change: Tensor) -> Tensor:
    """Margins of a pass in which `change` was taken from the stage at the answer positions."""
    spread = torch.zeros(*STREAMS.tokens.shape, change.shape[1], dtype=change.dtype)
    spread[STREAMS.stream, STREAMS.position] = change
    logits, _ = model.run(STREAMS.tokens, edits={stage: lambda x: x - spread})
    return margins(logits[STREAMS.stream, STREAMS.position], STREAMS.answer)


@pytest.mark.parametrize("stage", STAGES)
def test_every_feature_is_worth_what_a_whole_pass_says(stage: str) -> None:
    """The closed forms behind the last layer and the tails below it."""
    basis, (model, rest) = random_basis(stage), way(stage)
    activation = basis.encode(rest.state)
    found, clean = useful(stage), by_whole_pass(model, stage, torch.zeros_like(rest.state))
    for feature in range(3):
        own, direction = activation[:, feature, None], basis.decoder[feature]
        for worth, kept in ((Worth.USEFULNESS, own.mean()), (Worth.ZERO, 0.0)):
            left = by_whole_pass(model, stage, basis.scale * (own - kept) * direction)
            torch.testing.assert_close(found[worth][:, feature], clean - left, rtol=0, atol=1e-9)
        lost = F.logsigmoid(clean) - F.logsigmoid(clean - found[Worth.USEFULNESS][:, feature])
        torch.testing.assert_close(found[Worth.LOG_PROB][:, feature], lost, rtol=0, atol=1e-9)


@pytest.mark.parametrize("stage", STAGES)
def test_attribution_is_the_slope_of_the_loss(stage: str) -> None:
    """Activation × gradient, against central differences; stream by stream, for answers may touch later ones."""
    basis, (_, rest) = random_basis(stage), way(stage)
    amounts = basis.scale * basis.encode(rest.state)
    change = 1e-5 * amounts[:, :1] * basis.decoder[0]
    lost = margins(rest.without(-change), STREAMS.answer) - margins(rest.without(change), STREAMS.answer)
    streams = torch.zeros(STREAMS.streams, dtype=torch.float64)
    found = streams.index_add(0, STREAMS.stream, useful(stage)[Worth.ATTRIBUTION][:, 0])
    torch.testing.assert_close(found, streams.index_add(0, STREAMS.stream, lost / 2e-5), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stage", STAGES)
def test_taking_nothing_away_costs_exactly_nothing(stage: str) -> None:
    basis, (_, rest) = random_basis(stage), way(stage)
    nothing = torch.zeros(len(STREAMS.answer), basis.latents, dtype=torch.float64)
    found = measure_usefulness(rest, basis, nothing, nothing[0], STREAMS.answer)
    assert all((values == 0).all() for values in found.values())


def test_features_that_are_not_active_cost_exactly_nothing() -> None:
    _, rest = way(LAST)
    silent = random_basis(LAST).encode(rest.state) == 0
    assert silent.any()
    for worth in (Worth.ZERO, Worth.ATTRIBUTION):
        assert (useful(LAST)[worth][silent] == 0).all()


def test_margins_are_those_of_the_neighbouring_measures() -> None:
    _, rest = way("final_norm")
    expected = scores(rest.clean).margin.gather(1, STREAMS.answer[:, None])[:, 0]
    torch.testing.assert_close(margins(rest.clean, STREAMS.answer), expected)


# --- a planted direction ---------------------------------------------------------------------------------------------


@cache
def planted() -> tuple[Above, Basis, Placebos]:
    """The planted circuit, and a basis: one feature for each value's token direction, and as many of noise."""
    vocabulary = STREAMS.split.vocabulary
    model = plant(Plan(), vocabulary, CONTEXT).double()
    rest = above(model, LAST, whole_stage(model, STREAMS, LAST, BATCH), STREAMS, BATCH)
    first = vocabulary.value(0)
    values = model.token[first : first + vocabulary.values].detach()
    noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = torch.cat([values, noise])
    rows /= rows.norm(dim=1, keepdim=True)
    zeros = torch.zeros(rows.shape[1], dtype=torch.float64)
    basis = Basis(LAST, Kind.TOPK, len(rows), rows, zeros.new_zeros(len(rows)), rows, zeros, zeros, 1.0, 0.0)
    tokens = STREAMS.tokens[STREAMS.stream, STREAMS.position]
    sample = Activations(LAST, 0, rest.state, tokens, tokens)
    return rest, basis, draw_placebos(basis, [sample], 60, 4, seed=0)


def test_the_direction_that_carries_an_answer_is_worth_it_and_noise_no_more_than_a_placebo() -> None:
    rest, basis, placebos = planted()
    activation, reads = basis.encode(rest.state), len(STREAMS.answer)
    lost = measure_usefulness(rest, basis, activation, activation.mean(0), STREAMS.answer)[Worth.USEFULNESS]
    own = STREAMS.answer - STREAMS.split.vocabulary.value(0)
    assert lost.gather(1, own[:, None]).median() > 5  # nats, of a margin of about 8
    sums = placebo_usefulness(rest, basis, placebos, STREAMS.answer, [torch.arange(reads)])[Worth.USEFULNESS]
    beyond = (lost.mean(0) > sums[0].quantile(0.99, dim=1) / reads).numpy()
    answers = np.bincount(own, minlength=STREAMS.split.vocabulary.values)
    assert beyond[: len(answers)][answers > 0.01 * reads].all()  # the ladder's next rung asks more of rarer ones
    assert beyond[len(answers) :].mean() <= 0.05


# --- bad input -------------------------------------------------------------------------------------------------------


def test_nan_in_an_activation_names_checkpoint_and_stage() -> None:
    model = shifted(0, 0.4)
    with torch.no_grad():
        model.position[3, 2] = torch.nan
    with pytest.raises(MeasureError, match=r"layer_0_post_mlp of the checkpoint of step 40: \d+ of \d+ activations"):
        whole_stage(model, STREAMS, "layer_0_post_mlp", BATCH, step=40)


def test_a_stage_that_is_none_is_refused_with_those_there_are() -> None:
    model, _ = way("embed")
    with pytest.raises(MeasureError, match="expected one of: embed, layer_0_post_attn"):
        above(model, "layer_7_post_mlp", torch.zeros(60, 120, 16), STREAMS, BATCH)
