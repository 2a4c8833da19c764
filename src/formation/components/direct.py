"""Direct effects on the margin: what each thing added to the residual stream contributes, nothing else considered.

With the final LayerNorm's σ frozen the margin is exactly additive (`docs/measures.md` §10, *path logit decomposition*):
`m = Σ_nodes ⟨centred(node)/σ ⊙ γ, u_y − Σ_{z≠y} p_z u_z⟩ + ⟨β, …⟩ − H(p)`, p the softmax over all wrong answers. Nodes
are the embeddings, every head, every attention block's bias, and every MLP block with its bias.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from formation.components.clean import Clean
from formation.components.forward import head_output, layer_at
from formation.components.material import Material
from formation.model import Transformer


def attribution(
    model: Transformer, x: Float[Tensor, "read d_model"], node: Float[Tensor, "read d_model"]
) -> Float[Tensor, "read vocab"]:
    """What a part of the final residual state `x` adds to each logit."""
    deviation = (x.var(-1, correction=0, keepdim=True) + model.norm.eps).sqrt()
    return F.linear((node - node.mean(-1, keepdim=True)) / deviation * model.norm.weight, model.token)


def wrong_answers(logits: Float[Tensor, "read vocab"], answer: Int[Tensor, "read"]) -> Float[Tensor, "read vocab"]:
    """p: the softmax over all tokens but the right one, which has none."""
    return logits.scatter(1, answer[:, None], -torch.inf).softmax(-1)


def margin_effect(
    added: Float[Tensor, "read vocab"], p: Float[Tensor, "read vocab"], answer: Int[Tensor, "read"]
) -> Float[Tensor, "read"]:
    """What `added` to the logits means for the margin, in nats: its right logit minus the p-weighted wrong ones."""
    return added.gather(1, answer[:, None])[:, 0] - (p * added).sum(-1)


def effect_of_any(
    added: Float[Tensor, "read vocab"], logits: Float[Tensor, "read vocab"]
) -> Float[Tensor, "read vocab"]:
    """`margin_effect` for every token as if it were the right answer.

    All at once, P the softmax over all tokens: a_y − Σ_{z≠y} P_z a_z / (1 − P_y) is (a_y − Σ_z P_z a_z) / (1 − P_y).
    Only the likeliest token can have P near 1, where that has no digits left; it is taken by itself.
    """
    probability, top = logits.softmax(-1), logits.argmax(-1)
    effect = (added - (probability * added).sum(-1, keepdim=True)) / (1 - probability)
    return effect.scatter(1, top[:, None], margin_effect(added, wrong_answers(logits, top), top)[:, None])


def head_rows(
    model: Transformer, clean: Clean, material: Material, layer: int, head: int
) -> Float[Tensor, "read d_model"]:
    """A head's own output at answer positions."""
    return head_output(model, layer, head, clean.layers[layer].z[material.stream, head, material.position])


def final_state(clean: Clean, material: Material) -> Float[Tensor, "read d_model"]:
    """The residual stream before the final LayerNorm, at answer positions."""
    return clean.layers[-1].post_mlp[material.stream, material.position]


def mlp_rows(clean: Clean, material: Material, layer: int) -> Float[Tensor, "read d_model"]:
    """An MLP block's output with its bias, at answer positions."""
    return clean.layers[layer].mlp_out[material.stream, material.position]


@torch.inference_mode()
def margin_terms(model: Transformer, clean: Clean, material: Material) -> dict[str, Float[Tensor, "read"]]:
    """All terms of the margin by name, −H(p) included: they sum to it."""
    x, p = final_state(clean, material), wrong_answers(clean.logits, material.answer)
    nodes = {"embed": clean.embed}
    for index in range(len(model.layers)):
        for head in range(model.params.heads):
            nodes[f"layer_{index}.head_{head}"] = head_rows(model, clean, material, index, head)
        nodes[f"layer_{index}.attn.bias"] = layer_at(model, index).attn.out.bias.expand_as(x)
        nodes[f"layer_{index}.mlp"] = mlp_rows(clean, material, index)
    terms = {name: margin_effect(attribution(model, x, node), p, material.answer) for name, node in nodes.items()}
    shift = F.linear(model.norm.bias, model.token).expand_as(p)
    terms["final_norm.bias"] = margin_effect(shift, p, material.answer)
    terms["entropy"] = -torch.special.entr(p).sum(-1)
    return terms
