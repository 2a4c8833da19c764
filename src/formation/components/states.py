"""Residual states: the stream at every stage, taken only at the positions asked for."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from formation.model import Transformer


def stages(layers: int) -> tuple[str, ...]:
    """The points of the residual stream in order: `embed`, `layer_0_post_attn`, …, `final_norm`."""
    inside = (f"layer_{layer}_post_{part}" for layer in range(layers) for part in ("attn", "mlp"))
    return ("embed", *inside, "final_norm")


@torch.inference_mode()
def states_at(
    model: Transformer,
    tokens: Int[Tensor, "stream pos"],
    names: Sequence[str],
    stream: Int[Tensor, "row"],
    position: Int[Tensor, "row"],
    batch: int,
) -> Mapping[str, Float[Tensor, "row width"]]:
    """The intermediates `names` at (`stream`, `position`), rows in the order given; `batch` streams a forward pass.

    Only rows are kept, so memory grows with them and not with the streams.
    """
    out: dict[str, Tensor] = {}
    for start in range(0, len(tokens), batch):
        rows = ((stream >= start) & (stream < start + batch)).nonzero()[:, 0]
        if not len(rows):
            continue
        _, kept = model.run(tokens[start : start + batch], keep=names)
        for name in names:
            taken = kept[name][stream[rows] - start, position[rows]]
            if name not in out:
                out[name] = taken.new_empty(len(stream), *taken.shape[1:])
            out[name][rows] = taken
    return out
