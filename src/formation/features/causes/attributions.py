"""What writers are worth to a feature's score to first order: over all paths, and over the direct one alone.

Over all paths it is the score's gradient at every position a writer writes to, times what would be taken from it there.
The direct path is what the writer adds to the residual stream at the answer position itself. A score is linear in that
where it is above 0, behind the final LayerNorm with its σ frozen, so the direct terms of all that is added sum to it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from formation.components.clean import rows_of
from formation.components.forward import layer_at
from formation.components.material import Material
from formation.features.basis import Basis
from formation.features.causes.writers import FINAL_NORM, Neuron, Outputs, StandIn, Writer, site, sites, writers_before
from formation.model import Transformer

# by intermediate, summed over reads: a row for each head, one for a block itself, one for each neuron
Figures = Mapping[str, Float[np.ndarray, "writer feature"]]
Reading = Float[Tensor, "row feature d_model"]


@dataclass(frozen=True)
class Frame:
    """The features looked at, and the streams and reads on which."""

    model: Transformer
    basis: Basis
    material: Material
    features: Sequence[int]
    scored: Bool[Tensor, "read"]
    batch: int  # streams a pass

    @property
    def names(self) -> list[str]:
        """The intermediates of all that writes before the stage."""
        return sites(writers_before(self.model, self.basis.stage))

    @property
    def residual(self) -> str:
        """The residual stream that is the stage, or that the final LayerNorm normalises."""
        stage = self.basis.stage
        return f"layer_{len(self.model.layers) - 1}_post_mlp" if stage == FINAL_NORM else stage

    def batches(self) -> Iterator["Batch"]:
        """The streams that have scored reads, some at a time."""
        material = self.material
        for start in range(0, material.streams, self.batch):
            stream, position = rows_of(material, start, self.batch)
            scored = self.scored[(material.stream >= start) & (material.stream < start + self.batch)]
            if scored.any():
                streams = slice(start, start + self.batch)
                yield Batch(streams, material.tokens[streams], stream[scored], position[scored])


@dataclass(frozen=True)
class Batch:
    """Some streams and their scored reads."""

    streams: slice
    tokens: Int[Tensor, "stream pos"]
    stream: Int[Tensor, "row"]  # counted from the first of the batch
    position: Int[Tensor, "row"]

    def at_reads(self, x: Float[Tensor, "stream pos d_model"]) -> Float[Tensor, "row d_model"]:
        """What stands at the answer positions."""
        return x[self.stream, self.position]


def first_order(frame: Frame, stand_in: StandIn, advance: Callable[[], None]) -> tuple[Figures, Figures]:
    """What all writers and neurons are worth against what stands in for them: over all paths, and directly."""
    gradient: dict[str, np.ndarray] = {}
    direct: dict[str, np.ndarray] = {}
    for one in frame.batches():
        kept, scores = _differentiable(frame, one)
        with torch.no_grad():
            own = {name: kept[name].detach() for name in frame.names}
            instead = stand_in(one.streams, own)
            change = {name: own[name] - instead[name] for name in own}
            reading = _reading(frame, scores, one.at_reads(kept[frame.residual]))
            for name, moved in change.items():
                _add(direct, name, _written(frame.model, name, moved, one, reading).sum(0))
        for name, figures in _over_all_paths(kept, scores, change, advance).items():
            _add(gradient, name, figures)
    return gradient, direct


def strongest(gradient: Figures, count: int) -> list[Neuron]:
    """Neurons worth most; every feature's figures are taken relative to its largest of all writers."""
    largest = np.max([np.abs(figures).max(0) for figures in gradient.values()], axis=0)
    every = [
        (-float((np.abs(row) / np.where(largest > 0, largest, 1)).max()), Neuron(layer, index))
        for layer in range(len(gradient))
        for index, row in enumerate(gradient.get(f"layer_{layer}.mlp.hidden", ()))
    ]
    return sorted(neuron for _, neuron in sorted(every)[:count])


def rows_for(writers: Sequence[Writer], figures: Figures) -> Float[np.ndarray, "writer feature"]:
    """The figures of some writers."""
    return np.stack([figures[site(one)][one.index if isinstance(one, Neuron) else one.head or 0] for one in writers])


def _add(sums: dict[str, np.ndarray], name: str, more: Float[Tensor, "writer feature"]) -> None:
    sums[name] = sums.get(name, 0.0) + more.double().numpy()


# --- over all paths --------------------------------------------------------------------------------------------------


@torch.enable_grad()
def _differentiable(frame: Frame, one: Batch) -> tuple[dict[str, Tensor], Float[Tensor, "row feature"]]:
    """A pass by whose intermediates the scores can be differentiated."""
    stage = frame.basis.stage
    # gradients are taken from the embedding on, whether or not the weights want any
    edits = {"embed": lambda x: x.detach().requires_grad_()}
    _, kept = frame.model.run(one.tokens, keep=[*frame.names, frame.residual, stage], edits=edits)
    return kept, frame.basis.scores(one.at_reads(kept[stage]))[:, list(frame.features)]


@torch.enable_grad()
def _over_all_paths(
    kept: Mapping[str, Tensor], scores: Float[Tensor, "row feature"], change: Outputs, advance: Callable[[], None]
) -> dict[str, Float[Tensor, "writer feature"]]:
    """Gradient times change, summed over streams and positions, by intermediate."""
    found: dict[str, list[Tensor]] = {name: [] for name in change}
    for feature in range(scores.shape[1]):
        gradients = torch.autograd.grad(scores[:, feature].sum(), [kept[name] for name in change], retain_graph=True)
        for (name, moved), gradient in zip(change.items(), gradients, strict=True):
            found[name].append(_by_writer(gradient * moved, name))
        advance()
    return {name: torch.stack(columns, dim=1) for name, columns in found.items()}


def _by_writer(x: Tensor, name: str) -> Float[Tensor, "writer"]:
    """Sums over streams and positions: by head, by neuron, or one for a block."""
    if name.endswith(".z"):
        return x.sum((0, 2, 3))
    return x.sum((0, 1)) if name.endswith(".hidden") else x.sum().view(1)


# --- directly --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def direct_terms(
    model: Transformer, basis: Basis, material: Material, features: Sequence[int], batch: int
) -> dict[str, Float[Tensor, "read feature"]]:
    """What every node of the residual stream adds to the features' scores, by name; the terms sum to the scores.

    Nodes are the embedding, every head, the bias that a layer's heads share, and every MLP block with its own; then the
    final LayerNorm's bias where the stage has one, and the basis' constant. A score of 0 has no terms.
    """
    frame = Frame(model, basis, material, features, torch.ones(len(material.answer), dtype=torch.bool), batch)
    parts = [_terms(frame, one) for one in frame.batches()]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _terms(frame: Frame, one: Batch) -> dict[str, Float[Tensor, "row feature"]]:
    model, basis, features = frame.model, frame.basis, list(frame.features)
    _, kept = model.run(one.tokens, keep=[*frame.names, "embed", frame.residual, basis.stage])
    scores = basis.scores(one.at_reads(kept[basis.stage]))[:, features]
    reading = _reading(frame, scores, one.at_reads(kept[frame.residual]))
    terms = {"embed": _read(reading, one.at_reads(kept["embed"]))}
    for name in frame.names:
        written = _written(model, name, kept[name], one, reading)
        layer = name.partition(".")[0]
        if name.endswith(".z"):
            terms |= {f"{layer}.head_{head}": written[:, head] for head in range(written.shape[1])}
            bias = layer_at(model, int(layer.removeprefix("layer_"))).attn.out.bias
            terms[f"{layer}.attn.bias"] = _read(reading, bias.expand(len(scores), -1))
        elif name.endswith(".out"):
            terms[f"{layer}.mlp"] = written[:, 0]
    at_stage = _at_stage(basis, features, scores)
    if basis.stage == FINAL_NORM:
        terms["final_norm.bias"] = at_stage @ model.norm.bias
    terms["basis"] = torch.where(scores > 0, basis.encoder_bias[features], 0) - at_stage @ basis.mean
    return terms


def _written(
    model: Transformer, name: str, x: Tensor, one: Batch, reading: Reading
) -> Float[Tensor, "row writer feature"]:
    """What the writers at an intermediate add to the scores at their own position."""
    block = layer_at(model, int(name.partition(".")[0].removeprefix("layer_")))
    if name.endswith(".z"):
        weight = block.attn.out.weight.view(block.attn.out.out_features, block.attn.heads, -1)
        heads = torch.einsum("rhd,mhd->rhm", x[one.stream, :, one.position], weight)
        return torch.einsum("rhm,rfm->rhf", heads, reading)
    rows = one.at_reads(x)
    if name.endswith(".hidden"):
        return rows[:, :, None] * torch.einsum("rfm,mn->rnf", reading, block.mlp.fc_out.weight)
    return _read(reading, rows)[:, None]


def _read(reading: Reading, rows: Float[Tensor, "row d_model"]) -> Float[Tensor, "row feature"]:
    return torch.einsum("rfm,rm->rf", reading, rows)


def _reading(frame: Frame, scores: Float[Tensor, "row feature"], residual: Float[Tensor, "row d_model"]) -> Reading:
    """The scores' gradient with respect to the residual stream, the final LayerNorm's σ frozen."""
    reading = _at_stage(frame.basis, list(frame.features), scores)
    if frame.basis.stage != FINAL_NORM:
        return reading
    norm = frame.model.norm
    deviation = (residual.var(-1, correction=0, keepdim=True) + norm.eps).sqrt()
    scaled = reading * norm.weight
    return (scaled - scaled.mean(-1, keepdim=True)) / deviation[:, None]


def _at_stage(basis: Basis, features: list[int], scores: Float[Tensor, "row feature"]) -> Reading:
    """The scores' gradient with respect to the stage."""
    return (scores > 0)[:, :, None] * basis.encoder[features] / basis.scale
