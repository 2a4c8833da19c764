"""What a head would copy, read off its weights alone."""

import torch
from jaxtyping import Float
from torch import Tensor

from formation.benchmark.streams import Vocabulary
from formation.components.forward import head_weight, layer_at
from formation.model import Transformer


@torch.inference_mode()
def ov_copying(model: Transformer, vocabulary: Vocabulary, layer: int, head: int) -> dict[str, float]:
    """`ov_copy`: Σ Re λ / Σ |λ| over the eigenvalues of the head's map from value tokens to their logits, in [−1, 1];
    `ov_copy_top`: the share of value tokens whose own logit it raises most among them.

    The map is W_E[values] γ W_V W_O γ_f W_U[values] with both LayerNorms' centring and no biases (Elhage et al. 2021,
    *A Mathematical Framework for Transformer Circuits*). Its rank is at most d_head, so its eigenvalues are those of
    the d_head × d_head product taken the other way round, and zeros.
    """
    reads, writes = _reading(model, vocabulary, layer, head), _writing(model, vocabulary, layer, head)
    values = torch.linalg.eigvals((writes @ reads).double())
    size = values.abs().sum()
    own = (reads @ writes).argmax(1) == torch.arange(vocabulary.values)
    return {"ov_copy": float(values.real.sum() / size) if size else 0.0, "ov_copy_top": float(own.double().mean())}


def _reading(model: Transformer, vocabulary: Vocabulary, layer: int, head: int) -> Float[Tensor, "value d_head"]:
    """What the head takes from a value token, up to the scale of its LayerNorm."""
    block = layer_at(model, layer)
    width, size = model.token.shape[1], head_weight(block.attn, head).shape[1]
    rows = slice(2 * width + head * size, 2 * width + (head + 1) * size)
    return (_centred(_values(model, vocabulary)) * block.attn_norm.weight) @ block.attn.qkv.weight[rows].T


def _writing(model: Transformer, vocabulary: Vocabulary, layer: int, head: int) -> Float[Tensor, "d_head value"]:
    """What the head's output adds to the value tokens' logits, up to the scale of the final LayerNorm."""
    unembedding = _centred(_values(model, vocabulary) * model.norm.weight)
    return head_weight(layer_at(model, layer).attn, head).T @ unembedding.T


def _values(model: Transformer, vocabulary: Vocabulary) -> Float[Tensor, "value d_model"]:
    return model.token[vocabulary.value(0) : vocabulary.value(0) + vocabulary.values]


def _centred(x: Float[Tensor, "value d_model"]) -> Float[Tensor, "value d_model"]:
    return x - x.mean(-1, keepdim=True)
