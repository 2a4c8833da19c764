"""A forward pass taken apart: kept once for a split, and gone on with from a changed residual state.

An ablation changes the residual stream behind one component, and only answers are looked at. So the pass goes on from
there (`tail`), and in the last layer everything but keys and values is computed at answer positions alone. Where only
one answer of each stream counts, and nothing differs before some position, the pass is made over the stretch between
them (`Stretch`), with keys and values of all earlier positions as they were.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from formation.model import Attention, Layer, Tap, Transformer, causal_mask

Part = Literal["attn", "mlp"]
_UNTOUCHED = Tap()


@dataclass(frozen=True)
class LayerPass:
    """One layer of a pass: what its blocks were given and gave, at all positions."""

    k: Float[Tensor, "stream head pos d_head"]
    v: Float[Tensor, "stream head pos d_head"]
    z: Float[Tensor, "stream head pos d_head"]
    post_attn: Float[Tensor, "stream pos d_model"]
    mlp_out: Float[Tensor, "stream pos d_model"]
    post_mlp: Float[Tensor, "stream pos d_model"]

    def after(self, part: Part) -> Float[Tensor, "stream pos d_model"]:
        """The residual stream behind a block."""
        return self.post_attn if part == "attn" else self.post_mlp


KEPT = ("attn.k", "attn.v", "attn.z", "_post_attn", "mlp.out", "_post_mlp")  # in the order of `LayerPass`


def layer_names(layer: int, parts: Sequence[str]) -> list[str]:
    """Names of a layer's intermediates: `layer_0.mlp.out`, `layer_0_post_mlp`."""
    return [f"layer_{layer}{part}" if part.startswith("_") else f"layer_{layer}.{part}" for part in parts]


def tail(
    model: Transformer,
    layer: int,
    part: Part,
    x: Float[Tensor, "batch pos d_model"],
    stream: Int[Tensor, "row"],
    position: Int[Tensor, "row"],
) -> Float[Tensor, "row vocab"]:
    """Logits at (`stream`, `position`) of a pass that goes on from `x`, the residual stream behind a block."""
    last = len(model.layers) - 1
    block = layer_at(model, layer)
    if layer == last:
        x = x[stream, position]
        return unembedded(model, x if part == "mlp" else _with_mlp(block, x))
    if part == "attn":
        x = _with_mlp(block, x)
    mask = causal_mask(x.shape[1], x.device, x.dtype)
    for index in range(layer + 1, last):
        x = layer_at(model, index)(x, mask, _UNTOUCHED)
    return _last_layer(model, x, stream, position)


def unembedded(model: Transformer, x: Float[Tensor, "row d_model"]) -> Float[Tensor, "row vocab"]:
    """Logits of final residual states."""
    return F.linear(model.norm(x), model.token)


def mlp_of(block: Layer, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
    """What a layer's MLP block adds to the residual stream `x`."""
    out: Tensor = block.mlp(block.mlp_norm(x), _UNTOUCHED)
    return out


def _with_mlp(block: Layer, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
    return x + mlp_of(block, x)


def _last_layer(
    model: Transformer, x: Float[Tensor, "batch pos d_model"], stream: Int[Tensor, "row"], position: Int[Tensor, "row"]
) -> Float[Tensor, "row vocab"]:
    """The last layer and the logits: queries at the rows only, laid out stream by stream."""
    block = layer_at(model, len(model.layers) - 1)
    slot = _slots(stream, len(x))
    place = torch.zeros(len(x), int(slot.max()) + 1, dtype=torch.long, device=x.device)
    place[stream, slot] = position
    seen = block.attn_norm(x)
    k, v = keys_values(block.attn, seen)
    q = queries(block.attn, seen.gather(1, place[..., None].expand(-1, -1, x.shape[-1])))
    later = torch.arange(x.shape[1], device=x.device) > place[..., None]
    z = attended(q, k, v, x.new_zeros(later.shape).masked_fill(later, -math.inf))
    rows = x[stream, position] + block.attn.out(z[stream, :, slot].flatten(1))
    return unembedded(model, _with_mlp(block, rows))


def _slots(stream: Int[Tensor, "row"], streams: int) -> Int[Tensor, "row"]:
    """The number of each row among those of its stream, whatever order they are in."""
    order = stream.argsort(stable=True)
    count = torch.bincount(stream, minlength=streams)
    first = (count.cumsum(0) - count)[stream[order]]
    slot = torch.empty_like(stream)
    slot[order] = torch.arange(len(stream), device=stream.device) - first
    return slot


# --- a stretch of positions, right-aligned at one answer of each stream ----------------------------------------------


@dataclass(frozen=True)
class Stretch:
    """The positions of each stream from which on something may differ, up to one answer position: its last column.

    All stretches are as long as the longest, so they may begin earlier than needed; where a stream has no such
    positions, its first columns stand for nothing and are seen by no other.
    """

    stream: Int[Tensor, "row"]
    place: Int[Tensor, "row step"]  # 0 where a column stands for nothing
    hidden: Float[Tensor, "row step seen"]  # −∞ where a column may not look: at the past, then at the stretch itself

    def take(self, whole: Float[Tensor, "stream pos width"]) -> Float[Tensor, "row step width"]:
        """What stands on the stretches."""
        return whole[self.stream[:, None], self.place]


@dataclass(frozen=True)
class Past:
    """Keys and values of one layer before the stretches, with room for the longest past."""

    k: Float[Tensor, "row head past d_head"]
    v: Float[Tensor, "row head past d_head"]


def stretch(stream: Int[Tensor, "row"], first: Int[Tensor, "row"], answer: Int[Tensor, "row"]) -> Stretch:
    """The stretch from `first` to `answer`, in positions."""
    longest = int((answer - first).max()) + 1
    step = torch.arange(longest, device=stream.device)
    place = answer[:, None] - step.flip(0)
    start = place[:, :1].clamp(min=0)
    before = torch.arange(int(start.max()), device=stream.device) < start
    own = (step <= step[:, None]) & ((place >= 0)[:, None] | (step == step[:, None]))
    visible = torch.cat([before[:, None].expand(-1, longest, -1), own], dim=-1)
    hidden = torch.zeros(visible.shape, device=stream.device).masked_fill(~visible, -math.inf)
    return Stretch(stream, place.clamp(min=0), hidden)


def past(on: Stretch, clean: LayerPass) -> Past:
    """What the stretches may look back at."""
    length = on.hidden.shape[2] - on.hidden.shape[1]
    return Past(clean.k[on.stream, :, :length], clean.v[on.stream, :, :length])


def stretch_attention(
    block: Layer, x: Float[Tensor, "row step d_model"], on: Stretch, earlier: Past, last_only: bool = False
) -> Float[Tensor, "row head query d_head"]:
    """`z` of a layer on the stretch (or in its last column only), with the keys and values of the past as they were."""
    seen = block.attn_norm(x)
    k, v = keys_values(block.attn, seen)
    k, v = torch.cat([earlier.k, k], dim=2), torch.cat([earlier.v, v], dim=2)
    chosen = slice(-1, None) if last_only else slice(None)
    return attended(queries(block.attn, seen[:, chosen]), k, v, on.hidden[:, chosen])


def stretch_tail(
    model: Transformer,
    layer: int,
    part: Part,
    x: Float[Tensor, "row step d_model"],
    on: Stretch,
    pasts: Sequence[Past],
) -> Float[Tensor, "row vocab"]:
    """Like `tail`, over a stretch: logits in its last column."""
    last = len(model.layers) - 1
    if part == "attn":
        block = layer_at(model, layer)
        x = _with_mlp(block, x[:, -1:] if layer == last else x)
    for index in range(layer + 1, last + 1):
        block = layer_at(model, index)
        z = stretch_attention(block, x, on, pasts[index], last_only=index == last)
        x = x[:, -1:] if index == last else x
        x = _with_mlp(block, x + projected(block.attn, z))
    return unembedded(model, x[:, -1])


# --- parts of an attention block -------------------------------------------------------------------------------------


def queries(attn: Attention, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch head pos d_head"]:
    """Queries of normalised states."""
    width = x.shape[-1]
    return _by_head(attn, F.linear(x, attn.qkv.weight[:width], attn.qkv.bias[:width]))


def keys_values(
    attn: Attention, x: Float[Tensor, "batch pos d_model"]
) -> tuple[Float[Tensor, "batch head pos d_head"], Float[Tensor, "batch head pos d_head"]]:
    """Keys and values of normalised states."""
    width = x.shape[-1]
    k, v = F.linear(x, attn.qkv.weight[width:], attn.qkv.bias[width:]).tensor_split(2, dim=-1)
    return _by_head(attn, k), _by_head(attn, v)


def attended(
    q: Float[Tensor, "batch head query d_head"],
    k: Float[Tensor, "batch head pos d_head"],
    v: Float[Tensor, "batch head pos d_head"],
    hidden: Float[Tensor, "batch query pos"],
) -> Float[Tensor, "batch head query d_head"]:
    """What the heads take from the positions where `hidden` is 0 and not −∞."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    out: Tensor = (scores + hidden[:, None]).softmax(dim=-1) @ v
    return out


def projected(attn: Attention, z: Float[Tensor, "batch head pos d_head"]) -> Float[Tensor, "batch pos d_model"]:
    """What an attention block adds to the residual stream."""
    return F.linear(z.transpose(1, 2).flatten(2), attn.out.weight, attn.out.bias)


def head_output(
    model: Transformer, layer: int, head: int, z: Float[Tensor, "*rows d_head"]
) -> Float[Tensor, "*rows d_model"]:
    """What a head adds to the residual stream for its `z`."""
    return F.linear(z, head_weight(layer_at(model, layer).attn, head))


def head_weight(attn: Attention, head: int) -> Float[Tensor, "d_model d_head"]:
    """The columns of the output map that belong to a head."""
    weight: Tensor = attn.out.weight
    size = weight.shape[1] // attn.heads
    return weight[:, head * size : (head + 1) * size]


def _by_head(attn: Attention, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch head pos d_head"]:
    return x.view(*x.shape[:2], attn.heads, -1).transpose(1, 2)


def layer_at(model: Transformer, index: int) -> Layer:
    """A layer with its type."""
    block = model.layers[index]
    assert isinstance(block, Layer)
    return block
