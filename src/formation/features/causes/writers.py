"""What writes to the residual stream before a stage: heads, MLP blocks and single neurons, and what stands in for them.

A head is replaced at its `z`, a block at its output, a neuron at its activation: intermediates of the model by name, so
that a writer replaced by what it gives itself changes no bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from formation.components.ablation import TWINS, Component, components
from formation.components.forward import Part
from formation.components.material import Material
from formation.components.roles import Kind
from formation.errors import MeasureError
from formation.model import Edit, Transformer
from formation.params import Ablation

FINAL_NORM = "final_norm"


@dataclass(frozen=True, order=True)
class Neuron:
    """One neuron of a layer's MLP block, whose output it is a share of."""

    layer: int
    index: int

    @property
    def name(self) -> str:
        """`layer_0.neuron_17`."""
        return f"layer_{self.layer}.neuron_{self.index}"


Writer = Component | Neuron
Outputs = Mapping[str, Tensor]  # intermediates of some streams by name
# what stands in for all writers in some streams (a slice of a split's), given what they give themselves
StandIn = Callable[[slice, Outputs], Outputs]


def writers_before(model: Transformer, stage: str) -> list[Component]:
    """Heads and MLP blocks that write before `stage`, in the order of computation; raises `MeasureError` for none."""
    layers = len(model.layers)
    last: tuple[int, Part] = (layers - 1, "mlp")
    if stage != FINAL_NORM:
        places: dict[str, tuple[int, Part]] = {
            f"layer_{layer}_post_{part}": (layer, part) for layer in range(layers) for part in ("attn", "mlp")
        }
        if stage not in places:
            raise MeasureError(f"stage = {stage!r}: nothing writes before it; expected final_norm, {', '.join(places)}")
        last = places[stage]
    return [one for one in components(model) if (one.layer, one.part) <= last]


def site(writer: Writer) -> str:
    """The intermediate at which a writer is replaced."""
    if isinstance(writer, Neuron):
        return f"layer_{writer.layer}.mlp.hidden"
    return f"layer_{writer.layer}." + ("mlp.out" if writer.head is None else "attn.z")


def sites(writers: Sequence[Component]) -> list[str]:
    """The intermediates of heads, MLP blocks and their neurons, each once."""
    blocks = {site(one): None for one in writers}
    return [*blocks, *(f"layer_{one.layer}.mlp.hidden" for one in writers if one.head is None)]


def own_part(writer: Writer, whole: Tensor) -> Tensor:
    """A writer's share of the intermediate at its site."""
    if isinstance(writer, Neuron):
        return whole[..., writer.index]
    return whole if writer.head is None else whole[:, writer.head]


def replaced(writer: Writer, new: Tensor) -> Edit:
    """The edit of a writer's site that puts `new`, an intermediate of the same shape, in its place."""

    def edit(x: Tensor) -> Tensor:
        x = x.clone()
        own_part(writer, x).copy_(own_part(writer, new))
        return x

    return edit


# --- what stands in --------------------------------------------------------------------------------------------------


def stand_in(kind: Ablation, model: Transformer, material: Material, means: Outputs) -> StandIn:
    """What an ablation of this kind puts in place of the writers' own outputs; `means` are those of `mean_outputs`."""
    if kind is Ablation.ZERO:
        return lambda chosen, own: {name: torch.zeros_like(x) for name, x in own.items()}
    if kind is Ablation.MEAN:
        return lambda chosen, own: {name: _spread(means[name], material.kinds[chosen], name) for name in own}
    tokens = material.twins[TWINS[kind]].tokens
    return lambda chosen, own: model.run(tokens[chosen], keep=list(own))[1]


@torch.no_grad()
def mean_outputs(model: Transformer, material: Material, names: Sequence[str], batch: int) -> dict[str, Tensor]:
    """Mean intermediates over a split by kind of token, 0 for a kind it does not have; `batch` streams at a time."""
    sums: dict[str, Tensor] = {}
    count = torch.bincount(material.kinds.flatten(), minlength=len(Kind)).clamp(min=1)
    for start in range(0, material.streams, batch):
        kind = material.kinds[start : start + batch].flatten()
        _, kept = model.run(material.tokens[start : start + batch], keep=names)
        for name in names:
            rows = _by_position(kept[name], name).flatten(0, 1)
            if name not in sums:
                sums[name] = rows.new_zeros(len(Kind), *rows.shape[1:], dtype=torch.float64)
            sums[name].index_add_(0, kind, rows.double())
    dtype = model.token.dtype
    return {name: (one / count.view(-1, *[1] * (one.ndim - 1))).to(dtype) for name, one in sums.items()}


def _spread(mean: Float[Tensor, "kind *width"], kinds: Int[Tensor, "stream pos"], name: str) -> Tensor:
    """The mean of its kind at every position, laid out as the intermediate is."""
    return _by_position(mean[kinds], name)


def _by_position(x: Tensor, name: str) -> Tensor:
    """An intermediate with positions before heads, or one so laid out as it was."""
    return x.transpose(1, 2) if name.endswith(".z") else x
