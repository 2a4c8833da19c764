"""The transformer, whole and in reading order: embeddings, layers, final LayerNorm, tied unembedding.

A decoder-only language model (Vaswani et al. 2017; Radford et al. 2019) with LayerNorm before each block, biases
everywhere but in the unembedding, exact GELU, learned positions and no dropout (`docs/measures.md` §2). Every
intermediate has a name, listed by `Transformer.names`; `Transformer.run` keeps or edits those asked for, no others.
"""

import math
from collections.abc import Callable, Collection, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from formation.errors import MeasureError
from formation.params import ModelParams

Edit = Callable[[Tensor], Tensor]


class Transformer(nn.Module):
    """Predicts the next token at every position; `run` also gives what the prediction passed through."""

    def __init__(self, params: ModelParams, vocabulary: int, generator: torch.Generator | None = None) -> None:
        """Draw the weights from `generator`; without one they are left unset, for a checkpoint to fill in."""
        super().__init__()
        self.params, self.vocabulary = params, vocabulary
        self.token = nn.Parameter(torch.empty(vocabulary, params.d_model))
        self.position = nn.Parameter(torch.empty(params.context, params.d_model))
        self.layers = nn.ModuleList(Layer(params, f"layer_{index}") for index in range(params.layers))
        self.norm = nn.LayerNorm(params.d_model)
        self.names = _names(params.layers)
        if generator is not None:
            _initialise(self, generator)

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos vocab"]:
        """Logits of the next token, in nats up to a constant per position."""
        return self._compute(tokens, _untouched)

    def run(
        self, tokens: Int[Tensor, "batch pos"], keep: Collection[str] = (), edits: Mapping[str, Edit] | None = None
    ) -> tuple[Float[Tensor, "batch pos vocab"], dict[str, Tensor]]:
        """Logits, and the intermediates named in `keep`; each name in `edits` is replaced by what its function returns.

        What follows an edited intermediate is computed from the edit, and `keep` gives the edited one. Gradients flow
        through; wrap the call in `torch.inference_mode()` where none are wanted. Raises `MeasureError` for an unknown
        name, or an edit that changes a shape.
        """
        edits = edits or {}
        for name in (*keep, *edits):
            if name not in self.names:
                raise MeasureError(f"no intermediate {name!r}; there are: {', '.join(self.names)}")
        tap = _Recorder(frozenset(keep), edits)
        logits = self._compute(tokens, tap)
        return logits, tap.kept

    def _compute(self, tokens: Int[Tensor, "batch pos"], tap: "Tap") -> Float[Tensor, "batch pos vocab"]:
        length = tokens.shape[1]
        if length > self.params.context:
            raise MeasureError(f"streams of {length} tokens; the model's context is {self.params.context}")
        mask = causal_mask(length, tokens.device, self.token.dtype)
        x = tap("embed", F.embedding(tokens, self.token) + self.position[:length])
        for layer in self.layers:
            x = layer(x, mask, tap)
        x = tap("final_norm", self.norm(x))
        return tap("logits", F.linear(x, self.token))


class Layer(nn.Module):
    """One layer: attention, then an MLP, each reading a normalised copy of the residual stream and adding to it."""

    def __init__(self, params: ModelParams, name: str) -> None:
        super().__init__()
        self.name = name
        self.attn_norm = nn.LayerNorm(params.d_model)
        self.attn = Attention(params, f"{name}.attn")
        self.mlp_norm = nn.LayerNorm(params.d_model)
        self.mlp = MLP(params, f"{name}.mlp")

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], mask: Float[Tensor, "pos pos"], tap: "Tap"
    ) -> Float[Tensor, "batch pos d_model"]:
        """The residual stream behind this layer."""
        x = tap(f"{self.name}_post_attn", x + self.attn(tap(f"{self.name}.attn.in", self.attn_norm(x)), mask, tap))
        return tap(f"{self.name}_post_mlp", x + self.mlp(tap(f"{self.name}.mlp.in", self.mlp_norm(x)), tap))


class Attention(nn.Module):
    """Causal multi-head attention, written out: with bfloat16 on a CPU this is faster than the fused operator."""

    def __init__(self, params: ModelParams, name: str) -> None:
        super().__init__()
        self.name, self.heads = name, params.heads
        self.qkv = _linear(params.d_model, 3 * params.d_model)  # one product for all three: rows are Q, K, V by head
        self.out = _linear(params.d_model, params.d_model)

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], mask: Float[Tensor, "pos pos"], tap: "Tap"
    ) -> Float[Tensor, "batch pos d_model"]:
        """What attention adds to the residual stream. Scores are tapped before the causal mask, so they are finite."""
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = tap(f"{self.name}.q", q), tap(f"{self.name}.k", k), tap(f"{self.name}.v", v)
        scores = tap(f"{self.name}.scores", (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2))
        pattern = tap(f"{self.name}.pattern", (scores + mask.to(scores.dtype)).softmax(dim=-1))
        z = tap(f"{self.name}.z", pattern @ v)
        out = self.out(z.transpose(1, 2).reshape(batch, length, width))
        return tap(f"{self.name}.out", self._with_head_edits(out, z, tap))

    def _with_head_edits(
        self, out: Float[Tensor, "batch pos d_model"], z: Float[Tensor, "batch head pos d_head"], tap: "Tap"
    ) -> Float[Tensor, "batch pos d_model"]:
        """`out`, with what an edit changed in the heads' own outputs added; they are made only if asked for.

        Adding the change, not summing the heads anew, leaves `out` bit-identical where nothing was changed.
        """
        name = f"{self.name}.head_out"
        if not tap.wants(name):
            return out
        heads = self.head_out(z)
        edited = tap(name, heads)
        return out if edited is heads else out + (edited - heads).sum(dim=1)

    def head_out(self, z: Float[Tensor, "batch head pos d_head"]) -> Float[Tensor, "batch head pos d_model"]:
        """Each head's share of the block's output; the shares and the output's bias sum to `attn.out`."""
        weight = self.out.weight.view(self.out.out_features, self.heads, -1)
        return torch.einsum("bhpd,mhd->bhpm", z, weight)


class MLP(nn.Module):
    """Two linear maps with an exact GELU (Hendrycks & Gimpel 2016) between them."""

    def __init__(self, params: ModelParams, name: str) -> None:
        super().__init__()
        self.name = name
        self.fc_in = _linear(params.d_model, params.d_ff)
        self.fc_out = _linear(params.d_ff, params.d_model)

    def forward(self, x: Float[Tensor, "batch pos d_model"], tap: "Tap") -> Float[Tensor, "batch pos d_model"]:
        """What the MLP adds to the residual stream."""
        pre = tap(f"{self.name}.pre", self.fc_in(x))
        hidden = tap(f"{self.name}.hidden", F.gelu(pre))
        return tap(f"{self.name}.out", self.fc_out(hidden))


# --- intermediates by name -------------------------------------------------------------------------------------------


class Tap:
    """Where an intermediate passes by; this one lets everything through untouched and keeps nothing."""

    def __call__(self, name: str, tensor: Tensor) -> Tensor:
        """What the computation goes on with."""
        return tensor

    def wants(self, name: str) -> bool:
        """Whether an intermediate that costs extra should be made at all."""
        return False


_untouched = Tap()


class _Recorder(Tap):
    """Keeps and edits the intermediates asked for."""

    def __init__(self, keep: frozenset[str], edits: Mapping[str, Edit]) -> None:
        self.keep, self.edits = keep, edits
        self.kept: dict[str, Tensor] = {}

    def __call__(self, name: str, tensor: Tensor) -> Tensor:
        if name in self.edits:
            shape = tensor.shape
            tensor = self.edits[name](tensor)
            if tensor.shape != shape:
                raise MeasureError(f"edit of {name!r}: shape {tuple(tensor.shape)}, expected {tuple(shape)}")
        if name in self.keep:
            self.kept[name] = tensor
        return tensor

    def wants(self, name: str) -> bool:
        return name in self.keep or name in self.edits


def _names(layers: int) -> tuple[str, ...]:
    """Every intermediate's name, in the order in which they are computed."""
    attn = ("in", "q", "k", "v", "scores", "pattern", "z", "head_out", "out")
    mlp = ("in", "pre", "hidden", "out")
    names = ["embed"]
    for layer in (f"layer_{index}" for index in range(layers)):
        names += [*(f"{layer}.attn.{part}" for part in attn), f"{layer}_post_attn"]
        names += [*(f"{layer}.mlp.{part}" for part in mlp), f"{layer}_post_mlp"]
    return (*names, "final_norm", "logits")


# --- weights ---------------------------------------------------------------------------------------------------------


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear map with weights unset: `nn.Linear` alone would draw them from the global generator."""
    return nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")


@torch.no_grad()
def _initialise(model: Transformer, generator: torch.Generator) -> None:
    """Fill the weights: embeddings by `embedding_std`, linear maps by `matrix_std` or PyTorch's own default.

    The default is uniform within ± 1/√inputs, for weights and biases (He et al. 2015 with a = √5); with `matrix_std`
    biases are zero. LayerNorms begin as the identity.
    """
    params = model.params
    for embedding in (model.token, model.position):
        embedding.normal_(0.0, params.embedding_std, generator=generator)
    for linear in (module for module in model.modules() if isinstance(module, nn.Linear)):
        if params.matrix_std is None:
            bound = 1 / math.sqrt(linear.in_features)
            linear.weight.uniform_(-bound, bound, generator=generator)
            linear.bias.uniform_(-bound, bound, generator=generator)
        else:
            linear.weight.normal_(0.0, params.matrix_std, generator=generator)
            linear.bias.zero_()


def causal_mask(length: int, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "pos pos"]:
    """0 where a position may look (itself and before), −∞ where it may not."""
    return torch.full((length, length), -math.inf, device=device, dtype=dtype).triu(1)
