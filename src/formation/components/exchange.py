"""Activations of one checkpoint put into another on the same streams: what carries the difference of their answers.

The *receiver* is run; one thing in it is replaced by the *donor*'s: a head's output, an MLP or attention block's, or
the residual stream at a stage, at all positions; or a stage at the position of one role in one read of each stream.
Everything later is computed with the receiver's weights. A patched run is compared with one made by the same operations
on the same shapes, so a checkpoint patched into itself changes by exactly nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from formation.benchmark.streams import TwinKind
from formation.components.clean import Clean, Whole, clean_pass, tails
from formation.components.direct import final_state
from formation.components.forward import (
    Part,
    head_output,
    layer_at,
    past,
    projected,
    stretch,
    stretch_tail,
    unembedded,
)
from formation.components.material import Material
from formation.components.roles import NOWHERE, Role
from formation.model import Transformer

EMBED, FINAL_NORM = "embed", "final_norm"
_START: tuple[int, Part] = (-1, "mlp")  # before the first layer, as `tail` counts


class PatchKind(StrEnum):
    """What is replaced."""

    HEAD = "head"
    MLP = "mlp"
    ATTENTION = "attention"
    STAGE = "stage"
    STAGE_ROLE = "stage_role"  # at the position of one role, in one read of each stream
    READOUT = "readout"  # what the last stage leaves: the final LayerNorm and the unembedding


@dataclass(frozen=True)
class Side:
    """One of the two checkpoints, with its own pass of a split."""

    model: Transformer
    clean: Clean
    material: Material

    def stage(self, layer: int, part: Part, streams: slice = slice(None)) -> Float[Tensor, "stream pos d_model"]:
        """The residual stream behind a block of some streams; layer −1 is the embedding."""
        if layer >= 0:
            return self.clean.layers[layer].after(part)[streams]
        tokens = self.material.tokens[streams]
        return F.embedding(tokens, self.model.token) + self.model.position[: tokens.shape[1]]


@dataclass(frozen=True)
class Patched:
    """Logits at the reads `rows`: of the receiver patched, of what that is compared with, of receiver and donor."""

    kind: PatchKind
    component: str  # `layer_0.head_1`, `layer_0.mlp`, `layer_0.attn`, `layer_0_post_mlp`, `layer_0_post_mlp/query_key`
    rows: Int[Tensor, "row"]
    patched: Float[Tensor, "row vocab"]
    unpatched: Float[Tensor, "row vocab"]  # the receiver; for `READOUT` the receiver with the donor's last stage
    receiver: Float[Tensor, "row vocab"]
    donor: Float[Tensor, "row vocab"]


def side(model: Transformer, material: Material, batch: int) -> Side:
    """A checkpoint, run on a split."""
    return Side(model, clean_pass(model, material, batch), material)


@torch.inference_mode()
def exchange(receiver: Side, donor: Side, batch: int) -> Iterator[Patched]:
    """Every patch of `donor` into `receiver`: two checkpoints of one architecture on the same material."""
    yield from _everywhere(receiver, donor, batch)
    yield from _after_layers(receiver, donor)
    for role in Role:
        yield from _at_role(receiver, donor, role, batch)


def count_patches(model: Transformer) -> int:
    """How many patches `exchange` makes where every role stands somewhere."""
    layers = len(model.layers)
    at_roles = sum(reaches_answer(layers, layer, part, role) for _, layer, part in stage_names(layers) for role in Role)
    return 3 + layers * (model.params.heads + 4) + at_roles


def stage_names(layers: int) -> list[tuple[str, int, Part]]:
    """Every stage before the final LayerNorm, with the block it stands behind."""
    parts: tuple[Part, ...] = ("attn", "mlp")
    return [(EMBED, *_START), *((f"layer_{i}_post_{part}", i, part) for i in range(layers) for part in parts)]


def reaches_answer(layers: int, layer: int, part: Part, role: Role) -> bool:
    """Whether the stream at a stage and role can still touch the answer: behind the last attention only the query."""
    return role is Role.QUERY_KEY or (layer, part) < (layers - 1, "attn")


# --- at all positions ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Patch:
    """A replacement at all positions: the residual stream behind a block, of the streams asked for."""

    kind: PatchKind
    component: str
    layer: int
    part: Part
    made: Whole


def _everywhere(receiver: Side, donor: Side, batch: int) -> Iterator[Patched]:
    """Components and stages replaced at all positions, scored at all reads."""
    rows = torch.arange(len(receiver.material.answer))
    unpatched: dict[tuple[int, Part], Tensor] = {}
    for patch in _patches(receiver, donor):
        entry = (patch.layer, patch.part)
        if entry not in unpatched:
            unpatched[entry] = tails(receiver.model, receiver.material, entry, _kept(receiver, *entry), batch)
        logits, before = tails(receiver.model, receiver.material, entry, patch.made, batch), unpatched[entry]
        yield Patched(patch.kind, patch.component, rows, logits, before, before, donor.clean.logits)


def _patches(receiver: Side, donor: Side) -> Iterator[_Patch]:
    """Every replacement at all positions but those behind the last layer."""
    model = receiver.model
    yield _Patch(PatchKind.STAGE, EMBED, *_START, _kept(donor, *_START))
    for layer in range(len(model.layers)):
        name = f"layer_{layer}"
        for head in range(model.params.heads):
            yield _Patch(PatchKind.HEAD, f"{name}.head_{head}", layer, "attn", _head(receiver, donor, layer, head))
        yield _Patch(PatchKind.ATTENTION, f"{name}.attn", layer, "attn", _attention(receiver, donor, layer))
        yield _Patch(PatchKind.STAGE, f"{name}_post_attn", layer, "attn", _kept(donor, layer, "attn"))
        yield _Patch(PatchKind.MLP, f"{name}.mlp", layer, "mlp", _mlp(receiver, donor, layer))
        yield _Patch(PatchKind.STAGE, f"{name}_post_mlp", layer, "mlp", _kept(donor, layer, "mlp"))


def _kept(of: Side, layer: int, part: Part) -> Whole:
    """The stream as it is."""
    return lambda streams: of.stage(layer, part, streams)


def _head(receiver: Side, donor: Side, layer: int, head: int) -> Whole:
    """The receiver's stream with one head's output exchanged, each made with its own output map."""

    def output(of: Side, streams: slice) -> Tensor:
        return head_output(of.model, layer, head, of.clean.layers[layer].z[streams, head])

    return lambda s: receiver.clean.layers[layer].post_attn[s] + (output(donor, s) - output(receiver, s))


def _attention(receiver: Side, donor: Side, layer: int) -> Whole:
    """The receiver's stream with what the attention block adds exchanged, its bias included."""

    def output(of: Side, streams: slice) -> Tensor:
        return projected(layer_at(of.model, layer).attn, of.clean.layers[layer].z[streams])

    return lambda s: receiver.clean.layers[layer].post_attn[s] + (output(donor, s) - output(receiver, s))


def _mlp(receiver: Side, donor: Side, layer: int) -> Whole:
    """The receiver's stream with what the MLP block adds exchanged."""
    ours, theirs = receiver.clean.layers[layer], donor.clean.layers[layer]
    return lambda s: ours.post_mlp[s] + (theirs.mlp_out[s] - ours.mlp_out[s])


def _after_layers(receiver: Side, donor: Side) -> Iterator[Patched]:
    """The final LayerNorm's output exchanged, and what is left when the last stage is: the readout."""
    rows = torch.arange(len(receiver.material.answer))
    ours, theirs = (final_state(of.clean, of.material) for of in (receiver, donor))
    before, after = unembedded(receiver.model, ours), unembedded(donor.model, theirs)
    normed = F.linear(donor.model.norm(theirs), receiver.model.token)
    yield Patched(PatchKind.STAGE, FINAL_NORM, rows, normed, before, before, after)
    stage = unembedded(receiver.model, theirs)
    yield Patched(PatchKind.READOUT, PatchKind.READOUT, rows, after, stage, before, after)


# --- at one role of one read -----------------------------------------------------------------------------------------


def _at_role(receiver: Side, donor: Side, role: Role, batch: int) -> Iterator[Patched]:
    """Each stage replaced where the role of each stream's first affected read stands; reads without it are left out."""
    material = receiver.material
    reads = material.twins[TwinKind.KEY].first
    reads = reads[material.roles[role][reads] != NOWHERE]
    if not len(reads):
        return
    reads = reads[(material.position[reads] - material.roles[role][reads]).argsort(stable=True)]  # alike side by side
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for part in torch.split(reads, batch):
        for name, pair in _stretches(receiver, donor, role, part):
            found.setdefault(name, []).append(pair)
    theirs = donor.clean.logits[reads]
    for name, pairs in found.items():
        patched, before = (torch.cat(column) for column in zip(*pairs, strict=True))
        yield Patched(PatchKind.STAGE_ROLE, f"{name}/{role}", reads, patched, before, before, theirs)


def _stretches(
    receiver: Side, donor: Side, role: Role, reads: Int[Tensor, "row"]
) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Logits patched and not, by stage; computed from the role's position to the answer, nothing before it changes."""
    material, model = receiver.material, receiver.model
    stream, place, answer = material.stream[reads], material.roles[role][reads], material.position[reads]
    on = stretch(stream, place, answer)
    pasts = [past(on, layer) for layer in receiver.clean.layers]
    row, step = torch.arange(len(reads)), on.place.shape[1] - 1 - (answer - place)
    for name, layer, part in stage_names(len(model.layers)):
        if reaches_answer(len(model.layers), layer, part, role):
            x = on.take(receiver.stage(layer, part))
            before = stretch_tail(model, layer, part, x, on, pasts)
            x[row, step] = donor.stage(layer, part)[stream, place]
            yield name, (stretch_tail(model, layer, part, x, on, pasts), before)
