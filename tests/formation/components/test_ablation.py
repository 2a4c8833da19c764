"""Ablations: against plain passes with edits, against themselves, and on the circuit that is known."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch
from torch import Tensor

from formation.benchmark.streams import SplitName, TwinKind
from formation.components.ablation import (
    TWINS,
    Ablated,
    Component,
    Means,
    ablate,
    by_kind,
    components,
    means,
    nothing,
    own_output,
    resample,
)
from formation.components.clean import Clean, clean_pass
from formation.components.drops import measure_drops, scores
from formation.components.material import Material, Measured
from formation.components.roles import Kind
from formation.model import Transformer
from formation.params import Ablation
from formation.record.behaviour import answers
from tests.formation.components.small import CONTEXT, material, random_model
from tests.planted import Decoy, Plan, plant

IID, OOD = SplitName.TEST_IID, SplitName.STRUCTURAL_OOD
BATCH = 16
PLAN = Plan(decoys={(0, 0): Decoy.UNREAD, (1, 0): Decoy.SILENT}, mlp_decoys=(0, 1))  # the circuit: (0, 1) and (1, 2)


@cache
def case(name: SplitName = IID) -> tuple[Transformer, Material, Clean]:
    model = random_model(std=0.3)
    return model, material()[name], clean_pass(model, material()[name], BATCH)


@cache
def planted(name: SplitName) -> tuple[Transformer, Material, Clean]:
    model = plant(PLAN, material()[name].split.vocabulary, CONTEXT).eval()
    return model, material()[name], clean_pass(model, material()[name], BATCH)


def with_output(model: Transformer, tokens: Tensor, component: Component, new: Tensor) -> Tensor:
    """Logits of a plain pass in which a component's output is `new`."""
    if component.head is None:
        return model.run(tokens, edits={f"layer_{component.layer}.mlp.out": lambda x: new})[0]

    def edit(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, component.head] = new
        return x

    return model.run(tokens, edits={f"layer_{component.layer}.attn.head_out": edit})[0]


def outputs(model: Transformer, tokens: Tensor, component: Component) -> Tensor:
    block = f"layer_{component.layer}." + ("mlp.out" if component.head is None else "attn.head_out")
    _, kept = model.run(tokens, keep=[block])
    return kept[block] if component.head is None else kept[block][:, component.head]


def drops(kind: Ablation, name: SplitName) -> Mapping[tuple[str, str], Measured]:
    model, streams, clean = planted(name)
    if kind not in TWINS:
        _, iid, base = planted(IID)
        stand_in = nothing(clean) if kind is Ablation.ZERO else by_kind(means(base, iid), streams)
        found = dict(ablate(model, clean, streams, stand_in, BATCH))
    else:
        found = dict(resample(model, clean, streams, TWINS[kind], BATCH))
    return {(one.component, one.metric): one for one in measure_drops(streams, kind, found)}


@torch.inference_mode()
@pytest.mark.parametrize("kind", [Ablation.ZERO, Ablation.MEAN])
def test_replacing_everywhere_is_a_pass_with_that_edit(kind: Ablation) -> None:
    model, streams, clean = case()
    own = means(clean, streams)
    stand_in = nothing(clean) if kind is Ablation.ZERO else by_kind(own, streams)
    found = dict(ablate(model, clean, streams, stand_in, BATCH))
    assert list(found) == components(model)
    for component, ablated in found.items():
        before = outputs(model, streams.tokens, component)
        new = torch.zeros_like(before)
        if kind is Ablation.MEAN:
            for each in Kind:
                new[streams.kinds == each] = before[streams.kinds == each].mean(0)
        wanted = with_output(model, streams.tokens, component, new)[streams.stream, streams.position]
        torch.testing.assert_close(ablated.logits, wanted, rtol=0, atol=2e-5)


@torch.inference_mode()
@pytest.mark.parametrize("twin", list(TwinKind))
@pytest.mark.parametrize("name", [IID, OOD])
def test_resampling_is_a_pass_with_the_twins_output(twin: TwinKind, name: SplitName) -> None:
    model, streams, clean = case(name)
    found = resample(model, clean, streams, twin, BATCH)
    for component, ablated in found.items():
        rows = ablated.rows
        assert sorted(rows.tolist()) == streams.twins[twin].first.tolist()
        new = outputs(model, streams.twins[twin].tokens, component)
        wanted = with_output(model, streams.tokens, component, new)[streams.stream[rows], streams.position[rows]]
        torch.testing.assert_close(ablated.logits, wanted, rtol=0, atol=2e-5)


@pytest.mark.parametrize("setting", [case, planted])
def test_a_component_replaced_by_itself_loses_exactly_nothing(
    setting: Callable[[SplitName], tuple[Transformer, Material, Clean]],
) -> None:
    model, streams, clean = setting(OOD)
    for _, ablated in ablate(model, clean, streams, partial(own_output, clean), BATCH):
        assert torch.equal(ablated.logits, ablated.clean)


def test_a_component_that_is_the_same_in_the_twin_loses_exactly_nothing() -> None:
    """Both twins change nothing: the stretch is the whole stream, and its rounding is all that could differ."""
    model, streams, clean = case()
    twin = replace(streams.twins[TwinKind.KEY], tokens=streams.tokens)
    same = replace(streams, twins={TwinKind.KEY: twin})
    for ablated in resample(model, clean, same, TwinKind.KEY, BATCH).values():
        torch.testing.assert_close(ablated.logits, ablated.clean, rtol=0, atol=2e-5)


def test_clean_answers_are_those_of_the_plain_pass() -> None:
    model, streams, clean = case()
    for _, ablated in ablate(model, clean, streams, nothing(clean), BATCH):
        torch.testing.assert_close(ablated.clean, clean.logits, rtol=0, atol=1e-5)
    for ablated in resample(model, clean, streams, TwinKind.VALUE, BATCH).values():
        torch.testing.assert_close(ablated.clean, clean.logits[ablated.rows], rtol=0, atol=1e-5)


def test_means_are_taken_by_kind_of_token() -> None:
    _, streams, clean = case()
    found: tuple[Means, ...] = means(clean, streams)
    chosen = streams.kinds == Kind.READ_KEY
    for layer, mean in zip(clean.layers, found, strict=True):
        np.testing.assert_allclose(mean.mlp_out[Kind.READ_KEY], layer.mlp_out[chosen].mean(0), atol=1e-5)
        np.testing.assert_allclose(mean.z[1, Kind.READ_KEY], layer.z[:, 1][chosen].mean(0), atol=1e-5)


# --- drops -----------------------------------------------------------------------------------------------------------


def test_every_token_is_scored_as_the_records_answers_are() -> None:
    logits = 4 * torch.randn(50, 11, generator=torch.Generator().manual_seed(0))
    logits[:5, 3] += 60  # certain
    found = scores(logits)
    assert torch.isfinite(found.margin).all()
    for token in range(11):
        said = answers(logits, np.full(50, token))
        np.testing.assert_allclose(found.margin[:, token], said.margin, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.log_prob[:, token], said.log_prob, rtol=1e-5, atol=1e-5)
        assert (found.hit[:, token].numpy() == said.correct).all()


def test_a_drop_is_clean_minus_ablated_and_its_placebos_are_other_answers() -> None:
    """Known answer: the right answers lose 2 nats of logit, all other tokens are as they were."""
    streams = material()[IID]
    count, size = len(streams.answer), streams.split.vocabulary.size
    clean = torch.zeros(count, size)
    ablated = clean.scatter(1, streams.answer[:, None], -2.0)
    component = Component(0, None)
    found = {component: Ablated(torch.arange(count), ablated, clean)}
    (drop,) = measure_drops(streams, Ablation.ZERO, found)
    assert drop.value == pytest.approx(2.0, abs=1e-5)
    assert drop.placebos is not None
    assert len(drop.placebos) == len(streams.permuted)
    same = (streams.answer[streams.permuted] == streams.answer).double().mean(1).numpy()
    other = -np.log((size - 1) / (size - 2 + np.exp(-2)))  # a rival less makes another answer's margin larger
    np.testing.assert_allclose(drop.placebos, same * 2 + (1 - same) * other, atol=1e-5)


@pytest.mark.parametrize("name", [IID, SplitName.HELDOUT_PAIRS, OOD])
@pytest.mark.parametrize("kind", [Ablation.ZERO, Ablation.MEAN, Ablation.RESAMPLE_KEY])
def test_the_planted_circuit_is_named_and_nothing_else(kind: Ablation, name: SplitName) -> None:
    found = {part: one.value for (part, metric), one in drops(kind, name).items() if metric == f"drop_{kind}"}
    circuit = {f"layer_{layer}.head_{head}" for layer, head in PLAN.components}
    smallest = min(found[part] for part in circuit)
    assert smallest > 10
    # decoys that write share in the LayerNorms' scale, so they are worth a thousandth, not nothing
    assert max(abs(value) for part, value in found.items() if part not in circuit) < smallest / 1000
    assert found["layer_1.head_0"] == 0  # it looks where the retrieval head looks, and writes nothing


def test_routing_shows_only_under_the_key_twin() -> None:
    """The value twin changes no key: what the previous-token head says is the same, and so is the answer."""
    value, key = (drops(kind, IID) for kind in (Ablation.RESAMPLE_VALUE, Ablation.RESAMPLE_KEY))
    assert abs(value["layer_0.head_1", "drop_resample_value"].value) < 1e-4
    assert key["layer_0.head_1", "drop_resample_key"].value > 1.0
    assert value["layer_1.head_2", "drop_resample_value"].value > 1.0


def test_log_probability_and_accuracy_fall_with_the_circuit() -> None:
    found = drops(Ablation.MEAN, IID)
    assert found["layer_1.head_2", "accuracy_drop_mean"].value > 0.8
    assert found["layer_1.head_2", "log_prob_drop_mean"].value > 1.0
    for part in ("layer_1.head_0", "layer_0.mlp"):
        assert found[part, "accuracy_drop_mean"].value == 0.0


def test_random_weights_have_no_part_that_matters() -> None:
    """No drop stands out from those of permuted answers more often than chance lets it."""
    above = []
    for name in (IID, OOD):
        model, streams, clean = case(name)
        for one in measure_drops(streams, Ablation.ZERO, dict(ablate(model, clean, streams, nothing(clean), BATCH))):
            assert one.placebos is not None
            assert one.value is not None
            above.append(abs(one.value - one.placebos.mean()) > 3.5 * one.placebos.std())
    assert not any(above)
