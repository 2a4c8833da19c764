"""Lineage: on the circuit that is known, against plain passes and differences, and what must be exactly nothing."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from formation.benchmark.streams import SplitName
from formation.components.ablation import TWINS, Component, means
from formation.components.clean import clean_pass
from formation.components.material import Material
from formation.errors import MeasureError
from formation.features.basis import Basis
from formation.features.causes.attributions import Frame, direct_terms, first_order
from formation.features.causes.lineage import Lineage, edges, measure_lineage
from formation.features.causes.writers import Neuron, Outputs, StandIn, mean_outputs, sites, stand_in, writers_before
from formation.features.choices import Kind
from formation.model import Transformer
from formation.params import Ablation
from formation.statistics import Estimate, resamples
from tests.formation.components.small import CONTEXT, material, shifted
from tests.formation.features.drawn import random_basis
from tests.planted import Damage, Decoy, Plan, plant
from tests.planted.axes import Axes

BATCH, FEW = 10, 20


def first_streams(whole: Material) -> Material:
    """The first few streams of a split; batches of `BATCH` end where they do."""
    reads = whole.stream < FEW
    return replace(
        whole,
        tokens=whole.tokens[:FEW],
        kinds=whole.kinds[:FEW],
        stream=whole.stream[reads],
        position=whole.position[reads],
        answer=whole.answer[reads],
        twins={
            kind: replace(twin, tokens=twin.tokens[:FEW], first=twin.first[whole.stream[twin.first] < FEW])
            for kind, twin in whole.twins.items()
        },
    )


STREAMS = first_streams(material()[SplitName.TEST_IID])
LAST = "layer_1_post_mlp"
STAGES = ("layer_0_post_attn", LAST, "final_norm")
WEIGHTS = resamples(FEW, 100, 0)
PLAN = Plan(decoys={(0, 0): Decoy.UNREAD, (1, 0): Decoy.SILENT}, mlp_decoys=(0, 1))  # the circuit: (0, 1) and (1, 2)


def itself(chosen: slice, own: Outputs) -> Outputs:
    return own


def by(kind: Ablation, model: Transformer, streams: Material = STREAMS) -> StandIn:
    names = sites(writers_before(model, "final_norm"))
    return stand_in(kind, model, streams, mean_outputs(model, streams, names, BATCH))


@cache
def case(stage: str) -> tuple[Transformer, Basis]:
    """A float64 model and random features of a stage."""
    return shifted(0, 0.3), random_basis(stage, latents=10)


@cache
def measured(stage: str, kind: Ablation, neurons: int = 2) -> Lineage:
    model, basis = case(stage)
    return measure_lineage(model, basis, STREAMS, [2, 0, 7], kind, by(kind, model), BATCH, neurons)


# --- the planted circuit ---------------------------------------------------------------------------------------------


def planted_basis(stage: str, rows: Tensor) -> Basis:
    """Features along some directions of the planted residual stream, on above a tenth."""
    zero = torch.zeros(rows.shape[1])
    return Basis(stage, Kind.TOPK, 2, rows, torch.full((len(rows),), -0.1), rows, zero, zero, 1.0, 0.0)


@cache
def planted(stage: str, kind: Ablation, lesion: bool = False) -> Lineage:
    """Behind the last layer, two features: a value of the first half is written, or one of the second. Behind the first
    layer, one: the token before this one is no key."""
    plan = PLAN.with_lesion(Damage.NO_OV, (1, 2)) if lesion else PLAN
    vocabulary = STREAMS.split.vocabulary
    model, axes = plant(plan, vocabulary, CONTEXT), Axes(vocabulary, CONTEXT)
    basis = axes.basis(model.params.d_model, plan.seed).T
    values = basis[vocabulary.value(0) : vocabulary.value(vocabulary.values)].view(2, -1, basis.shape[1])
    rows = values.mean(1) * values.shape[1] ** 0.5 if stage == LAST else basis[[axes.mine(axes.keys)]]
    stands_in = by(kind, model)
    return measure_lineage(
        model, planted_basis(stage, rows), STREAMS, range(len(rows)), kind, stands_in, BATCH, neurons=2
    )


def named(lineage: Lineage) -> set[str]:
    return {edge.writer.name for edge in edges(lineage, WEIGHTS, 0.95)}


@pytest.mark.parametrize("kind", [Ablation.ZERO, Ablation.MEAN])
def test_the_head_that_writes_a_value_has_all_of_its_direct_edge(kind: Ablation) -> None:
    found = planted(LAST, kind)
    names = [writer.name for writer in found.writers]
    head = found.direct[names.index("layer_1.head_2")]
    assert (head > 0).all()
    others = np.delete(found.direct, names.index("layer_1.head_2"), axis=0)
    assert np.abs(others).max() < head.min() / 1000


@pytest.mark.parametrize("kind", [Ablation.ZERO, Ablation.MEAN, Ablation.RESAMPLE_KEY])
def test_a_written_value_depends_on_both_heads_of_the_circuit_and_on_nothing_else(kind: Ablation) -> None:
    found = planted(LAST, kind)
    assert named(found) == {"layer_0.head_1", "layer_1.head_2"}
    assert len({edge.feature for edge in edges(found, WEIGHTS, 0.95)}) == 2


@pytest.mark.parametrize("kind", [Ablation.ZERO, Ablation.MEAN])
def test_what_the_previous_token_head_writes_comes_from_it_alone(kind: Ablation) -> None:
    """Behind the first layer only one head could have written "the token before me is no key"; its mean is the same."""
    found = planted("layer_0_post_mlp", kind)
    assert named(found) == ({"layer_0.head_1"} if kind is Ablation.ZERO else set())
    assert found.direct[1] == pytest.approx(1.0 if kind is Ablation.ZERO else 0.0, abs=1e-3)


def test_the_value_twin_changes_only_the_head_that_carries_the_value() -> None:
    """It moves no key, so that the previous-token head says the same: routing shows under the key twin alone."""
    assert named(planted(LAST, Ablation.RESAMPLE_VALUE)) == {"layer_1.head_2"}


def test_a_head_that_writes_nothing_has_no_edge() -> None:
    found = planted(LAST, Ablation.ZERO, lesion=True)
    assert found.score.max() == 0
    assert named(found) == set()


# --- identities ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
def test_a_writer_replaced_by_itself_changes_exactly_nothing(stage: str) -> None:
    model, basis = case(stage)
    found = measure_lineage(model, basis, STREAMS, [2, 0], Ablation.ZERO, itself, BATCH, neurons=2)
    for figures in (found.moved, found.lost, found.activation_lost, found.gradient, found.direct):
        assert not figures.any()
    assert edges(found, WEIGHTS, 0.95) == []


@pytest.mark.parametrize("stage", STAGES)
def test_direct_terms_sum_to_the_scores(stage: str) -> None:
    model, basis = case(stage)
    features = [3, 0, 9]
    _, kept = model.run(STREAMS.tokens, keep=[stage])
    scores = basis.scores(kept[stage][STREAMS.stream, STREAMS.position])[:, features]
    terms = direct_terms(model, basis, STREAMS, features, BATCH)
    torch.testing.assert_close(torch.stack(list(terms.values())).sum(0), scores.detach(), rtol=0, atol=1e-10)
    assert (scores > 0).any()


@pytest.mark.parametrize("stage", STAGES)
def test_direct_edges_under_zero_are_the_means_of_the_direct_terms(stage: str) -> None:
    model, basis = case(stage)
    found = measured(stage, Ablation.ZERO)
    terms = direct_terms(model, basis, STREAMS, found.features, BATCH)
    for writer, row in zip(found.writers, found.direct, strict=True):
        if isinstance(writer, Component):
            np.testing.assert_allclose(row, terms[writer.name].mean(0), atol=1e-12)


@pytest.mark.parametrize("kind", list(Ablation))
@pytest.mark.parametrize("stage", [LAST, "final_norm"])
def test_neurons_sum_to_their_block(kind: Ablation, stage: str) -> None:
    """Their bias apart, which is in a block's own output and not in zero; here it is in none."""
    model, basis = shifted(0, 0.3), random_basis(stage, latents=10)
    for layer in model.layers:
        torch.nn.init.zeros_(layer.mlp.fc_out.bias)
    frame = Frame(model, basis, STREAMS, [2, 0], torch.ones(len(STREAMS.answer), dtype=torch.bool), BATCH)
    for figures in first_order(frame, by(kind, model), lambda: None):
        for layer in range(2):
            block, neurons = figures[f"layer_{layer}.mlp.out"], figures[f"layer_{layer}.mlp.hidden"]
            np.testing.assert_allclose(neurons.sum(0), block[0], atol=1e-9)
            assert np.abs(block).min() > 1e-6


# --- against plain passes --------------------------------------------------------------------------------------------


def reference(stage: str, kind: Ablation, writer: Component) -> Tensor:
    """Scores at all answers of whole passes in which a writer's output is what stands in, as the block adds it up."""
    model, basis = case(stage)
    block = f"layer_{writer.layer}." + ("mlp.out" if writer.head is None else "attn.head_out")
    tokens = STREAMS.tokens if kind not in TWINS else STREAMS.twins[TWINS[kind]].tokens
    new = model.run(tokens, keep=[block])[1][block]
    if kind is Ablation.ZERO:
        new = torch.zeros_like(new)
    if kind is Ablation.MEAN:
        by_place = new if writer.head is None else new.transpose(1, 2)
        mean = torch.stack([by_place[STREAMS.kinds == each].mean(0) for each in range(9)]).nan_to_num()
        new = mean[STREAMS.kinds] if writer.head is None else mean[STREAMS.kinds].transpose(1, 2)

    def edit(x: Tensor) -> Tensor:
        x = x.clone()
        x[slice(None) if writer.head is None else (slice(None), writer.head)] = (
            new if writer.head is None else new[:, writer.head]
        )
        return x

    kept = model.run(STREAMS.tokens, keep=[stage], edits={block: edit})[1][stage]
    return basis.scores(kept[STREAMS.stream, STREAMS.position])


@torch.no_grad()
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", list(Ablation))
def test_scores_lost_are_those_of_a_pass_with_that_edit(stage: str, kind: Ablation) -> None:
    model, basis = case(stage)
    found = measured(stage, kind)
    rows = torch.arange(len(STREAMS.answer)) if kind not in TWINS else STREAMS.twins[TWINS[kind]].first
    _, kept = model.run(STREAMS.tokens, keep=[stage])
    clean = basis.scores(kept[stage][STREAMS.stream, STREAMS.position])
    np.testing.assert_allclose(found.score, clean[rows][:, [2, 0, 7]].mean(0), atol=1e-12)
    assert found.counts.sum() == len(rows)
    for index, writer in enumerate(found.writers):
        if isinstance(writer, Component):
            lost = (clean - reference(stage, kind, writer))[rows][:, [2, 0, 7]].mean(0)
            np.testing.assert_allclose(found.lost[index].sum(-1) / len(rows), lost, atol=1e-10)


@pytest.mark.parametrize("stage", STAGES)
def test_gradients_are_the_losses_of_small_replacements(stage: str) -> None:
    model, basis = case(stage)
    found = measure_lineage(
        model,
        basis,
        STREAMS,
        [2, 0],
        Ablation.ZERO,
        lambda _, own: {n: x * (1 - 1e-6) for n, x in own.items()},
        BATCH,
        3,
    )
    lost = found.lost.sum(-1) / found.counts.sum()
    np.testing.assert_allclose(lost, found.gradient, rtol=1e-3, atol=1e-10)
    assert np.abs(found.gradient).min() > 0


def test_means_are_those_of_ablations() -> None:
    model, _ = case(LAST)
    names = sites(writers_before(model, "final_norm"))
    found, wanted = mean_outputs(model, STREAMS, names, 7), means(clean_pass(model, STREAMS, BATCH), STREAMS)
    for layer, mean in enumerate(wanted):
        torch.testing.assert_close(found[f"layer_{layer}.attn.z"], mean.z.transpose(0, 1))
        torch.testing.assert_close(found[f"layer_{layer}.mlp.out"], mean.mlp_out)


# --- which edges and which features ----------------------------------------------------------------------------------


def test_only_what_comes_before_the_stage_writes_to_it() -> None:
    model, _ = case(LAST)
    assert [one.name for one in writers_before(model, "layer_0_post_attn")] == ["layer_0.head_0", "layer_0.head_1"]
    assert len(writers_before(model, "layer_0_post_mlp")) == 3
    assert len(writers_before(model, "final_norm")) == 6
    for stage in ("embed", "layer_2_post_mlp"):
        with pytest.raises(MeasureError, match="nothing writes before it; expected final_norm, layer_0_post_attn"):
            writers_before(model, stage)


def test_a_basis_of_another_width_is_refused() -> None:
    model, _ = case(LAST)
    with pytest.raises(MeasureError, match="16 dimensions; the basis was fit on"):
        measure_lineage(model, random_basis(LAST, width=12), STREAMS, [0], Ablation.ZERO, itself, BATCH)


def test_edges_are_ranked_and_weak_ones_left_out() -> None:
    lost = np.zeros((5, 1, 50))
    lost[0, 0], lost[1, 0], lost[2, 0] = 1.0, -2.0, 0.05
    lost[3, 0] = np.where(np.arange(50) % 2, 3.0, -3.0)  # what it takes from some streams it gives to others
    writers = (*(Component(0, head) for head in range(3)), Neuron(0, 5), Component(0, None))
    zero = np.zeros((5, 1))
    found = Lineage(
        LAST, Ablation.ZERO, (6,), writers, np.abs(lost), lost, np.ones(50), zero, zero, zero, np.array([4.0])
    )
    kept = edges(found, resamples(50, 200, 0), 0.95)
    assert [edge.writer.name for edge in kept] == ["layer_0.neuron_5", "layer_0.head_1", "layer_0.head_0"]
    assert [edge.lost.value for edge in kept] == [0.0, -2.0, 1.0]
    assert [edge.share for edge in kept] == [0.75, 0.5, 0.25]
    assert kept[1].moved == Estimate(2.0, 2.0, 2.0, 50)
    assert len(edges(found, resamples(50, 200, 0), 0.95, least=0.0)) == 4


def test_a_head_that_says_where_to_look_moves_a_value_and_loses_none() -> None:
    found = planted(LAST, Ablation.MEAN)
    by_name = {edge.writer.name: edge for edge in edges(found, WEIGHTS, 0.95) if edge.feature == 0}
    looks, writes = by_name["layer_0.head_1"], by_name["layer_1.head_2"]
    assert looks.moved.low > 0.2 * writes.moved.value
    assert abs(looks.lost.value) < 0.3 * looks.moved.value


def test_under_zero_the_writer_loses_all_it_moves() -> None:
    every = edges(planted(LAST, Ablation.ZERO), WEIGHTS, 0.95)
    writes = [edge for edge in every if edge.writer.name == "layer_1.head_2"]
    assert [edge.lost.value for edge in writes] == pytest.approx([edge.moved.value for edge in writes])
