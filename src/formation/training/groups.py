"""Groups of a model's parameters: what moves together in the figures of updates and gradients."""

from enum import StrEnum
from typing import NamedTuple

from torch import Tensor


class Kind(StrEnum):
    """What the parameters of a group do; biases go with their matrices."""

    EMBEDDINGS = "embeddings"  # and the unembedding, which is tied to them
    ATTN_Q = "attn_q"
    ATTN_K = "attn_k"
    ATTN_V = "attn_v"
    ATTN_O = "attn_o"
    MLP_IN = "mlp_in"
    MLP_OUT = "mlp_out"
    NORMS = "norms"


class Group(NamedTuple):
    """A group of one layer, or of the whole model where `layer` is null: embeddings, and the norms of all layers."""

    kind: Kind
    layer: int | None

    @property
    def name(self) -> str:
        """`embeddings`, `norms`, or such as `layer_1.attn.q`."""
        return self.kind.value if self.layer is None else f"layer_{self.layer}.{self.kind.replace('_', '.')}"


_MATRICES = {"attn.out": Kind.ATTN_O, "mlp.fc_in": Kind.MLP_IN, "mlp.fc_out": Kind.MLP_OUT}
_QKV = (Kind.ATTN_Q, Kind.ATTN_K, Kind.ATTN_V)


def group_parts(name: str, tensor: Tensor) -> list[tuple[Group, Tensor]]:
    """The groups a parameter belongs to, with its part of each; Q, K and V share one matrix and one bias.

    `tensor` is of the parameter's shape: itself, its gradient or its update. Raises `KeyError` for a name that no
    parameter of `formation.model` has.
    """
    words = name.split(".")
    if name in ("token", "position"):
        return [(Group(Kind.EMBEDDINGS, None), tensor)]
    if words[-2].endswith("norm"):
        return [(Group(Kind.NORMS, None), tensor)]
    layer, matrix = int(words[1]), ".".join(words[2:4])
    if matrix == "attn.qkv":
        return [(Group(kind, layer), rows) for kind, rows in zip(_QKV, tensor.chunk(3), strict=True)]
    return [(Group(_MATRICES[matrix], layer), tensor)]
