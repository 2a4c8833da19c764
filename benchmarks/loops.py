"""Two ways most people would train our model: PyTorch's own encoder, and a loop in the manner of nanoGPT.

Both are the same function of the same number of parameters as `formation.model.Transformer`; with our weights they give
our logits, which a test holds them to.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from formation.benchmark.streams import Special
from formation.model import Transformer
from formation.params import ModelParams, TrainingParams

Step = Callable[[Tensor], float]


class Encoder(nn.Module):
    """`nn.TransformerEncoder` with a causal mask."""

    def __init__(self, params: ModelParams, vocabulary: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, params.d_model)
        self.position = nn.Embedding(params.context, params.d_model)
        layer = nn.TransformerEncoderLayer(
            params.d_model, params.heads, params.d_ff, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, params.layers, nn.LayerNorm(params.d_model), False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next token at every position."""
        length = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        x = self.token(tokens) + self.position(torch.arange(length))
        return F.linear(self.encoder(x, mask=mask, is_causal=True), self.token.weight)


class NanoGPT(nn.Module):
    """The model of nanoGPT: one product for Q, K and V, and PyTorch's fused attention."""

    def __init__(self, params: ModelParams, vocabulary: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, params.d_model)
        self.position = nn.Embedding(params.context, params.d_model)
        self.blocks = nn.ModuleList(_Block(params) for _ in range(params.layers))
        self.norm = nn.LayerNorm(params.d_model)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next token at every position."""
        x = self.token(tokens) + self.position(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.token.weight)


class _Block(nn.Module):
    """Attention, then an MLP, each behind a LayerNorm."""

    def __init__(self, params: ModelParams) -> None:
        super().__init__()
        self.heads = params.heads
        self.norm1, self.norm2 = nn.LayerNorm(params.d_model), nn.LayerNorm(params.d_model)
        self.qkv, self.out = nn.Linear(params.d_model, 3 * params.d_model), nn.Linear(params.d_model, params.d_model)
        self.fc_in, self.fc_out = nn.Linear(params.d_model, params.d_ff), nn.Linear(params.d_ff, params.d_model)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, dim=2)
        q, k, v = (part.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for part in parts)
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(z.transpose(1, 2).contiguous().view(batch, length, width))
        added: Tensor = self.fc_out(F.gelu(self.fc_in(self.norm2(x))))
        return x + added


def take_weights(peer: Encoder | NanoGPT, ours: Transformer) -> None:
    """Give a peer our weights."""
    state = {"token.weight": ours.token, "position.weight": ours.position}
    names = _ENCODER if isinstance(peer, Encoder) else _NANOGPT
    for name, tensor in ours.state_dict().items():
        if name in ("token", "position"):
            continue
        for mine, theirs in names.items():
            name = name.replace(mine, theirs)
        state[name] = tensor
    peer.load_state_dict(state)


_ENCODER = {
    "layers.": "encoder.layers.",
    "attn.qkv.weight": "self_attn.in_proj_weight",
    "attn.qkv.bias": "self_attn.in_proj_bias",
    "attn.out": "self_attn.out_proj",
    "mlp.fc_in": "linear1",
    "mlp.fc_out": "linear2",
    "attn_norm": "norm1",
    "mlp_norm": "norm2",
    "norm.": "encoder.norm.",
}
_NANOGPT = {
    "layers.": "blocks.",
    "attn.qkv": "qkv",
    "attn.out": "out",
    "mlp.": "",
    "attn_norm": "norm1",
    "mlp_norm": "norm2",
}


def plain_step(model: nn.Module, params: TrainingParams, dtype: str) -> Step:
    """A step of a plain loop: forward, loss, backward, clip, and the AdamW that ours uses; gives the loss."""
    weights = list(model.parameters())
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": params.weight_decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=params.learning_rate, betas=params.betas, fused=True)

    def step(tokens: Tensor) -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=Special.PAD)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, params.gradient_clip)
        optimizer.step()
        return loss.item()

    return step
