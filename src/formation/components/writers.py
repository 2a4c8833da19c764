"""Heads and MLP blocks, the writers of the residual stream, measured at one checkpoint from one pass of each split."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from formation.benchmark.streams import SplitName
from formation.components.ablation import (
    TWINS,
    Component,
    Means,
    ablate,
    by_kind,
    components,
    means,
    nothing,
    resample,
)
from formation.components.attention import measure_attention, slots
from formation.components.clean import Clean, clean_pass
from formation.components.direct import (
    attribution,
    effect_of_any,
    final_state,
    head_rows,
    margin_effect,
    mlp_rows,
    wrong_answers,
)
from formation.components.drops import measure_drops
from formation.components.heads import ov_copying
from formation.components.material import SCORED, Material, Measured, measured
from formation.components.mlps import effective_ranks, measure_neurons
from formation.components.placebos import means_of_permuted, permuted_answers
from formation.model import Transformer
from formation.params import Ablation, RecordParams

_BASE = SplitName.TEST_IID  # whose mean outputs stand in for a component


def measure_writers(
    model: Transformer, materials: Mapping[SplitName, Material], record: RecordParams
) -> tuple[list[Measured], dict[str, Any]]:
    """Every metric of every head and MLP block on every scored split, and what has no reads behind it.

    The latter by component: `ov_copy` and `ov_copy_top` of heads, `effective_rank` by split of MLP blocks.
    """
    found: list[Measured] = []
    plain: dict[str, Any] = _copying(model, materials[_BASE])
    mean = None
    for name in sorted(SCORED, key=lambda name: name is not _BASE):
        measured_there, ranks, mean = _on_split(model, materials[name], record, mean)
        found += measured_there
        for component, rank in ranks.items():
            plain.setdefault(component, {"effective_rank": {}})["effective_rank"][name.value] = rank
    return found, plain


def _on_split(
    model: Transformer, material: Material, record: RecordParams, mean: tuple[Means, ...] | None
) -> tuple[list[Measured], dict[str, float], tuple[Means, ...]]:
    """The metrics on one split, the MLP blocks' effective ranks there, and the means that stand in on all splits.

    The pass is let go at the end, before the next split's is made: it is most of what a checkpoint takes.
    """
    clean = clean_pass(model, material, record.batch)
    mean = means(clean, material) if mean is None else mean
    found: list[Measured] = [*measure_attention(clean, material, slots(material, record))]
    found += measure_direct(model, clean, material)
    found += measure_neurons(clean, material)
    for kind in record.ablations:
        if kind not in TWINS:
            stand_in = by_kind(mean, material) if kind is Ablation.MEAN else nothing(clean)
            ablated = dict(ablate(model, clean, material, stand_in, record.batch))
        else:
            ablated = dict(resample(model, clean, material, TWINS[kind], record.batch))
        found += measure_drops(material, kind, ablated)
    return found, effective_ranks(clean), mean


@torch.inference_mode()
def measure_direct(model: Transformer, clean: Clean, material: Material) -> Iterator[Measured]:
    """The direct effect of every head and MLP block on the margin, in nats."""
    x, p = final_state(clean, material), wrong_answers(clean.logits, material.answer)
    added = {component.name: attribution(model, x, node) for component, node in _nodes(model, clean, material)}
    by_answer = [effect_of_any(one, clean.logits) for one in added.values()]
    placebos = means_of_permuted(by_answer, permuted_answers(material))
    for (name, one), own in zip(added.items(), placebos, strict=True):
        yield measured(name, "direct_effect", material, margin_effect(one, p, material.answer), placebos=own)


def _nodes(
    model: Transformer, clean: Clean, material: Material
) -> Iterator[tuple[Component, Float[Tensor, "read d_model"]]]:
    """Every component's output at answer positions."""
    for component in components(model):
        if component.head is None:
            yield component, mlp_rows(clean, material, component.layer)
        else:
            yield component, head_rows(model, clean, material, component.layer, component.head)


def _copying(model: Transformer, material: Material) -> dict[str, Any]:
    vocabulary = material.split.vocabulary
    heads = (component for component in components(model) if component.head is not None)
    return {head.name: ov_copying(model, vocabulary, head.layer, head.head or 0) for head in heads}
