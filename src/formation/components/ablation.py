"""Margin lost when one head or MLP block is replaced (`docs/measures.md` §3 *Ablation*): by nothing, by its mean, by
what it does in a twin.

A head's output is linear in its `z`, so heads are replaced there. Nothing is computed again before the replaced
component. The clean answers beside an ablation are computed by the same operations on the same shapes: a component
replaced by itself loses exactly nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from formation.benchmark.streams import TwinKind
from formation.components.clean import Clean, Whole, tails
from formation.components.forward import (
    LayerPass,
    Part,
    Past,
    Stretch,
    head_output,
    layer_at,
    mlp_of,
    past,
    projected,
    stretch,
    stretch_attention,
    stretch_tail,
)
from formation.components.material import Material
from formation.components.roles import Kind
from formation.model import Transformer
from formation.params import Ablation

# the twin that a component's output is taken from
TWINS = {Ablation.RESAMPLE_VALUE: TwinKind.VALUE, Ablation.RESAMPLE_KEY: TwinKind.KEY}


@dataclass(frozen=True, order=True)
class Component:
    """A head, or a layer's MLP block where `head` is null."""

    layer: int
    head: int | None

    @property
    def name(self) -> str:
        """`layer_0.head_1`, `layer_0.mlp`."""
        return f"layer_{self.layer}.mlp" if self.head is None else f"layer_{self.layer}.head_{self.head}"

    @property
    def part(self) -> Part:
        """The block it belongs to."""
        return "mlp" if self.head is None else "attn"


@dataclass(frozen=True)
class Ablated:
    """Logits with a component replaced, and the clean ones, at the reads `rows`."""

    rows: Int[Tensor, "row"]
    logits: Float[Tensor, "row vocab"]
    clean: Float[Tensor, "row vocab"]


@dataclass(frozen=True)
class Means:
    """One layer's mean outputs by kind of token."""

    z: Float[Tensor, "head kind d_head"]
    mlp_out: Float[Tensor, "kind d_model"]


# what stands in for a component in some streams: its `z` for a head, its output for an MLP block
StandIn = Callable[[Component, slice], Tensor]


def components(model: Transformer) -> list[Component]:
    """All heads and MLP blocks, in the order of computation."""
    heads: list[int | None] = list(range(model.params.heads))
    return [Component(layer, head) for layer in range(len(model.layers)) for head in [*heads, None]]


@torch.inference_mode()
def means(clean: Clean, material: Material) -> tuple[Means, ...]:
    """Every component's mean output over a split, by kind of token; 0 for a kind it does not have."""
    kind = material.kinds.flatten()
    return tuple(
        Means(
            torch.stack([_mean(z.flatten(0, 1), kind) for z in layer.z.unbind(1)]),
            _mean(layer.mlp_out.flatten(0, 1), kind),
        )
        for layer in clean.layers
    )


def nothing(clean: Clean) -> StandIn:
    """Zero ablation."""
    return lambda component, chosen: torch.zeros_like(own_output(clean, component, chosen))


def by_kind(mean: Sequence[Means], material: Material) -> StandIn:
    """Mean ablation: every token gets the mean of its kind."""
    kinds = material.kinds

    def stand_in(component: Component, chosen: slice) -> Tensor:
        layer = mean[component.layer]
        return (layer.mlp_out if component.head is None else layer.z[component.head])[kinds[chosen]]

    return stand_in


@torch.inference_mode()
def ablate(
    model: Transformer, clean: Clean, material: Material, stand_in: StandIn, batch: int
) -> Iterator[tuple[Component, Ablated]]:
    """Every component, one after the other, replaced at all positions; scored at all reads."""
    rows = torch.arange(len(material.answer))
    unchanged = {entry: tails(model, material, entry, _kept(clean, *entry), batch) for entry in _shortest(model)}
    for component in components(model):
        changed = _replaced(model, clean, component, stand_in)
        logits = tails(model, material, (component.layer, component.part), changed, batch)
        yield component, Ablated(rows, logits, unchanged[_comparable(model, component)])


@torch.inference_mode()
def resample(
    model: Transformer, clean: Clean, material: Material, twin: TwinKind, batch: int
) -> Mapping[Component, Ablated]:
    """Every component replaced by its output in the twin, at all positions; scored at each first affected read."""
    pairs: dict[Component, list[Ablated]] = {component: [] for component in components(model)}
    for reads in torch.split(_by_width(material, twin), batch):
        for component, ablated in _resampled(model, clean, material, twin, reads):
            pairs[component].append(ablated)
    return {component: _joined(parts) for component, parts in pairs.items() if parts}


# --- replaced everywhere ---------------------------------------------------------------------------------------------


def _shortest(model: Transformer) -> list[tuple[int, Part]]:
    """Where unchanged passes are gone on from: with no change, all entries before the last layer give the same bits."""
    last = len(model.layers) - 1
    before: list[tuple[int, Part]] = [(last - 1, "mlp")] if last else []
    return [*before, (last, "attn"), (last, "mlp")]


def _comparable(model: Transformer, component: Component) -> tuple[int, Part]:
    last = len(model.layers) - 1
    return (last, component.part) if component.layer == last else (last - 1, "mlp")


def _kept(clean: Clean, layer: int, part: Part) -> Whole:
    """The residual stream behind a block as it is."""
    return lambda chosen: clean.layers[layer].after(part)[chosen]


def _replaced(model: Transformer, clean: Clean, component: Component, stand_in: StandIn) -> Whole:
    """The residual stream behind a component's block with the component replaced."""
    kept = _kept(clean, component.layer, component.part)

    def made(chosen: slice) -> Tensor:
        change = stand_in(component, chosen) - own_output(clean, component, chosen)
        if component.head is not None:
            change = head_output(model, component.layer, component.head, change)
        return kept(chosen) + change

    return made


def own_output(clean: Clean, component: Component, chosen: slice) -> Float[Tensor, "stream pos width"]:
    """What a component itself gives: `z` for a head, its output for an MLP block."""
    layer = clean.layers[component.layer]
    return layer.mlp_out[chosen] if component.head is None else layer.z[chosen, component.head]


def _mean(rows: Float[Tensor, "row width"], kind: Int[Tensor, "row"]) -> Float[Tensor, "kind width"]:
    sums = rows.new_zeros(len(Kind), rows.shape[1], dtype=torch.float64).index_add_(0, kind, rows.double())
    count = torch.bincount(kind, minlength=len(Kind)).clamp(min=1)
    return (sums / count[:, None]).to(rows.dtype)


# --- replaced by the twin's ------------------------------------------------------------------------------------------


def _by_width(material: Material, kind: TwinKind) -> Int[Tensor, "affected_stream"]:
    """First affected reads, those whose twin differs shortly before them first."""
    reads = material.twins[kind].first
    return reads[(material.position[reads] - _first_difference(material, kind, reads)).argsort(stable=True)]


def _first_difference(material: Material, kind: TwinKind, reads: Int[Tensor, "row"]) -> Int[Tensor, "row"]:
    """The first position at which a stream differs from its twin."""
    stream = material.stream[reads]
    differs = material.tokens[stream] != material.twins[kind].tokens[stream]
    return differs.int().argmax(1)


def _resampled(
    model: Transformer, clean: Clean, material: Material, kind: TwinKind, reads: Int[Tensor, "row"]
) -> Iterator[tuple[Component, Ablated]]:
    """Some streams, each scored at its one read; computed on the stretch from the first difference to the read."""
    on = stretch(material.stream[reads], _first_difference(material, kind, reads), material.position[reads])
    pasts = [past(on, layer) for layer in clean.layers]
    donors = _twin_pass(model, pasts, material.twins[kind].tokens, on)
    unchanged = {}
    for component in components(model):
        layer, part = component.layer, component.part
        x = on.take(clean.layers[layer].after(part))
        if (layer, part) not in unchanged:
            unchanged[layer, part] = stretch_tail(model, layer, part, x, on, pasts)
        x = x + _difference(model, clean.layers[layer], donors[layer], on, component)
        logits = stretch_tail(model, layer, part, x, on, pasts)
        yield component, Ablated(reads, logits, unchanged[layer, part])


@dataclass(frozen=True)
class _Donor:
    """One layer of the twin's pass, on a stretch."""

    z: Float[Tensor, "row head step d_head"]
    mlp_out: Float[Tensor, "row step d_model"]


def _twin_pass(
    model: Transformer, pasts: Sequence[Past], tokens: Int[Tensor, "stream pos"], on: Stretch
) -> list[_Donor]:
    """The twin's own pass on the stretch; what stands before it is that of the base."""
    x = F.embedding(tokens[on.stream[:, None], on.place], model.token) + model.position[on.place]
    donors = []
    for index in range(len(model.layers)):
        block = layer_at(model, index)
        z = stretch_attention(block, x, on, pasts[index])
        x = x + projected(block.attn, z)
        mlp_out = mlp_of(block, x)
        x = x + mlp_out
        donors.append(_Donor(z, mlp_out))
    return donors


def _difference(
    model: Transformer, layer: LayerPass, donor: _Donor, on: Stretch, component: Component
) -> Float[Tensor, "row step d_model"]:
    """What the twin's output in place of the base's adds to the residual stream."""
    if component.head is None:
        return donor.mlp_out - on.take(layer.mlp_out)
    z = donor.z[:, component.head] - on.take(layer.z[:, component.head])
    return head_output(model, component.layer, component.head, z)


def _joined(parts: Sequence[Ablated]) -> Ablated:
    return Ablated(*(torch.cat([getattr(part, name) for part in parts]) for name in ("rows", "logits", "clean")))
