"""The unchanged pass of a split, made once and shared by every measure of heads and MLP blocks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from formation.benchmark.streams import Special
from formation.components.forward import KEPT, LayerPass, Part, layer_names, tail
from formation.components.material import Material
from formation.model import Edit, Transformer

Whole = Callable[[slice], Float[Tensor, "stream pos d_model"]]  # the residual stream of the streams asked for

_LOOKS, _NEURONS = ("attn.scores", "attn.pattern"), ("mlp.pre", "mlp.hidden")


@dataclass(frozen=True)
class AnswerPass:
    """One layer at answer positions: what its heads look at, and its neurons."""

    scores: Float[Tensor, "read head pos"]  # before the softmax, also of positions that cannot be seen
    pattern: Float[Tensor, "read head pos"]
    pre: Float[Tensor, "read neuron"]
    hidden: Float[Tensor, "read neuron"]


@dataclass(frozen=True)
class Clean:
    """The pass of one split: everything behind each block, attention at answers, previous-token attention summed."""

    layers: tuple[LayerPass, ...]
    answers: tuple[AnswerPass, ...]
    previous: tuple[Float[Tensor, "stream head"], ...]  # Σ over real positions ≥ 1 of the attention to the one before
    embed: Float[Tensor, "read d_model"]
    logits: Float[Tensor, "read vocab"]


@torch.inference_mode()
def clean_pass(model: Transformer, material: Material, batch: int) -> Clean:
    """Run a split's streams, `batch` at a time."""
    parts = [_batch_pass(model, material, start, batch) for start in range(0, material.streams, batch)]
    # taken out of the parts as it goes, so that no more than one of them is there twice
    joined = {name: torch.cat([part.pop(name) for part in parts]) for name in list(parts[0])}
    layers = range(len(model.layers))
    return Clean(
        layers=tuple(LayerPass(*(joined[name] for name in layer_names(layer, KEPT))) for layer in layers),
        answers=tuple(
            AnswerPass(*(joined[name] for name in layer_names(layer, (*_LOOKS, *_NEURONS)))) for layer in layers
        ),
        previous=tuple(joined[f"previous_{layer}"] for layer in layers),
        embed=joined["embed"],
        logits=joined["logits"],
    )


def _batch_pass(model: Transformer, material: Material, start: int, batch: int) -> dict[str, Tensor]:
    tokens = material.tokens[start : start + batch]
    stream, position = rows_of(material, start, batch)
    layers = range(len(model.layers))
    whole = [name for layer in layers for name in layer_names(layer, KEPT)]
    out: dict[str, Tensor] = {}

    def take(name: str, part: Callable[[Tensor], Tensor]) -> Edit:
        """An edit that changes nothing and takes a part: whole patterns are as large as all else together."""

        def edit(x: Tensor) -> Tensor:
            out[name] = part(x)
            return x

        return edit

    edits = {name: take(name, lambda x: x[stream, position]) for name in ("embed", "logits")}
    for layer in layers:
        for name in layer_names(layer, _NEURONS):
            edits[name] = take(name, lambda x: x[stream, position])
        scores, pattern = layer_names(layer, _LOOKS)
        edits[scores] = take(scores, lambda x: x[stream, :, position])
        edits[pattern] = take(f"previous_{layer}", lambda x: _previous(x, tokens))
        edits[pattern] = _both(take(pattern, lambda x: x[stream, :, position]), edits[pattern])
    _, kept = model.run(tokens, keep=whole, edits=edits)
    return out | kept


def _both(first: Edit, second: Edit) -> Edit:
    return lambda x: second(first(x))


def rows_of(material: Material, start: int, batch: int) -> tuple[Int[Tensor, "row"], Int[Tensor, "row"]]:
    """Stream (counted from `start`) and answer position of the reads of a batch of streams."""
    first, last = np.searchsorted(material.split.reads.stream, [start, start + batch])
    return material.stream[first:last] - start, material.position[first:last]


def tails(
    model: Transformer, material: Material, entry: tuple[int, Part], made: Whole, batch: int
) -> Float[Tensor, "read vocab"]:
    """Logits at all answers of passes that go on behind a block, from the residual stream that `made` gives there."""
    layer, part = entry
    starts = range(0, material.streams, batch)
    return torch.cat(
        [tail(model, layer, part, made(slice(at, at + batch)), *rows_of(material, at, batch)) for at in starts]
    )


def _previous(
    pattern: Float[Tensor, "stream head pos pos"], tokens: Int[Tensor, "stream pos"]
) -> Float[Tensor, "stream head"]:
    """Sum of the attention to the position before, over real tokens that have one."""
    diagonal = pattern.diagonal(-1, dim1=-2, dim2=-1)
    return (diagonal * (tokens[:, None, 1:] != Special.PAD)).sum(-1)
