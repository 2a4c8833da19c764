"""The transformer: against two independent implementations, and its own laws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf, softmax
from torch import Tensor, nn

from formation.errors import MeasureError
from formation.model import Transformer
from formation.params import ModelParams

REFERENCE = ModelParams(d_model=128, layers=3, heads=4, d_ff=512, context=96, embedding_std=0.02, matrix_std=0.02)
SMALL = ModelParams(d_model=12, layers=2, heads=3, d_ff=20, context=16, embedding_std=0.6, matrix_std=0.4)
VOCABULARY = 11


def make(params: ModelParams = SMALL, vocabulary: int = VOCABULARY, seed: int = 0) -> Transformer:
    """A float64 model whose biases and norms are not the identity either, so that each of them is tested."""
    generator = torch.Generator().manual_seed(seed)
    model = Transformer(params, vocabulary, generator).double()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return model


def draw_tokens(batch: int = 3, length: int = 9, seed: int = 1) -> Tensor:
    return torch.randint(0, VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(seed))


MODEL = make()
TOKENS = draw_tokens()


@pytest.mark.parametrize(("vocabulary", "count"), [(146, 626_048), (141, 625_408)])
def test_parameter_count_of_the_reference_model(vocabulary: int, count: int) -> None:
    assert sum(p.numel() for p in Transformer(REFERENCE, vocabulary).parameters()) == count


# --- independent implementations -------------------------------------------------------------------------------------


class Peer(nn.Module):
    """The same network out of PyTorch's own transformer layers."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        p = model.params
        layer = nn.TransformerEncoderLayer(
            p.d_model, p.heads, p.d_ff, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            layer, p.layers, norm=nn.LayerNorm(p.d_model), enable_nested_tensor=False
        ).double()
        self.token = nn.Parameter(model.token.detach().clone())
        self.position = nn.Parameter(model.position.detach().clone())
        self.encoder.load_state_dict({self.name(n): t for n, t in model.state_dict().items() if "." in n})

    @staticmethod
    def name(ours: str) -> str:
        """The peer's name of one of our parameters."""
        for old, new in (
            ("attn_norm", "norm1"), ("mlp_norm", "norm2"), ("attn.qkv.", "self_attn.in_proj_"),
            ("attn.out", "self_attn.out_proj"), ("mlp.fc_in", "linear1"), ("mlp.fc_out", "linear2"),
        ):  # fmt: skip
            ours = ours.replace(old, new)
        return ours

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length, dtype=torch.float64)
        x = self.encoder(self.token[tokens] + self.position[:length], mask=mask, is_causal=True)
        return x @ self.token.T


def loss_of(logits: Tensor, tokens: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def test_logits_and_gradients_agree_with_pytorchs_own_layers() -> None:
    model = make()
    peer = Peer(model)
    ours, theirs = model(TOKENS), peer(TOKENS)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
    loss_of(ours, TOKENS).backward()
    loss_of(theirs, TOKENS).backward()
    gradients = {name: p.grad for name, p in peer.named_parameters()}
    for name, parameter in model.named_parameters():
        wanted = gradients[f"encoder.{Peer.name(name)}" if "." in name else name]
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 1e-6, name
        torch.testing.assert_close(parameter.grad, wanted, rtol=0, atol=1e-9)


def numpy_intermediates(model: Transformer, tokens: np.ndarray) -> dict[str, np.ndarray]:
    """Every named intermediate by plain formulas, one stream and one head at a time."""
    w = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    p, out = model.params, {}
    size = p.d_model // p.heads

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = out["embed"] = w["token"][tokens] + w["position"][: tokens.shape[1]]
    for index in range(p.layers):
        ours, name = f"layers.{index}", f"layer_{index}"
        seen = out[f"{name}.attn.in"] = norm(x, f"{ours}.attn_norm")
        q, k, v = np.split(linear(seen, f"{ours}.attn.qkv"), 3, axis=-1)
        heads: dict[str, list[np.ndarray]] = {n: [] for n in ("q", "k", "v", "scores", "pattern", "z", "head_out")}
        for head in range(p.heads):
            part = slice(head * size, (head + 1) * size)
            scores = q[..., part] @ k[..., part].swapaxes(-1, -2) / math.sqrt(size)
            visible = np.tril(np.ones(scores.shape[-2:], dtype=bool))
            pattern = softmax(np.where(visible, scores, -np.inf), axis=-1)
            z = pattern @ v[..., part]
            share = z @ w[f"{ours}.attn.out.weight"][:, part].T
            values = (q[..., part], k[..., part], v[..., part], scores, pattern, z, share)
            for kept, value in zip(heads.values(), values, strict=True):
                kept.append(value)
        out |= {f"{name}.attn.{n}": np.stack(kept, axis=1) for n, kept in heads.items()}
        out[f"{name}.attn.out"] = sum(heads["head_out"]) + w[f"{ours}.attn.out.bias"]
        x = out[f"{name}_post_attn"] = x + out[f"{name}.attn.out"]
        seen = out[f"{name}.mlp.in"] = norm(x, f"{ours}.mlp_norm")
        pre = out[f"{name}.mlp.pre"] = linear(seen, f"{ours}.mlp.fc_in")
        hidden = out[f"{name}.mlp.hidden"] = pre * (1 + erf(pre / math.sqrt(2))) / 2
        out[f"{name}.mlp.out"] = linear(hidden, f"{ours}.mlp.fc_out")
        x = out[f"{name}_post_mlp"] = x + out[f"{name}.mlp.out"]
    x = out["final_norm"] = norm(x, "norm")
    out["logits"] = x @ w["token"].T
    return out


def test_every_intermediate_is_what_its_name_says() -> None:
    with torch.inference_mode():
        logits, kept = MODEL.run(TOKENS, keep=MODEL.names)
    wanted = numpy_intermediates(MODEL, TOKENS.numpy())
    assert kept.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_allclose(kept[name].numpy(), array, rtol=0, atol=1e-9, err_msg=name)
    assert torch.equal(logits, kept["logits"])
    assert torch.equal(logits, MODEL(TOKENS))


# --- laws ------------------------------------------------------------------------------------------------------------


@given(place=st.integers(0, 8), token=st.integers(0, VOCABULARY - 1), seed=st.integers(0, 1000))
def test_no_position_sees_a_later_one(place: int, token: int, seed: int) -> None:
    tokens = draw_tokens(batch=1, seed=seed)
    changed = tokens.clone()
    changed[0, place] = token
    with torch.inference_mode():
        before, after = MODEL(tokens), MODEL(changed)
    torch.testing.assert_close(before[:, :place], after[:, :place], rtol=0, atol=1e-12)
    if token != tokens[0, place]:
        assert (before[:, place] - after[:, place]).abs().max() > 1e-3


@given(length=st.integers(1, 9), pad=st.integers(0, 7), fill=st.integers(0, VOCABULARY - 1))
def test_padding_and_trimming_change_nothing(length: int, pad: int, fill: int) -> None:
    tokens = TOKENS[:, :length]
    padded = torch.cat([tokens, torch.full((len(tokens), pad), fill)], dim=1)
    with torch.inference_mode():
        torch.testing.assert_close(MODEL(padded)[:, :length], MODEL(tokens), rtol=0, atol=1e-12)


def test_streams_longer_than_the_context_are_refused() -> None:
    with pytest.raises(MeasureError, match="17 tokens; the model's context is 16"):
        MODEL(draw_tokens(length=17))


# --- keeping and editing ---------------------------------------------------------------------------------------------


def test_only_what_is_asked_for_is_kept() -> None:
    assert MODEL.run(TOKENS)[1] == {}
    assert MODEL.run(TOKENS, keep=["layer_1.attn.head_out", "embed"])[1].keys() == {"embed", "layer_1.attn.head_out"}


def test_heads_outputs_are_not_made_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    monkeypatch.setattr("formation.model.Attention.head_out", lambda self, z: made.append(1) or z)
    MODEL.run(TOKENS, keep=[name for name in MODEL.names if "head_out" not in name])
    assert made == []


@pytest.mark.parametrize("name", MODEL.names)
def test_an_edit_that_changes_nothing_changes_no_bit(name: str) -> None:
    with torch.inference_mode():
        plain, _ = MODEL.run(TOKENS)
        edited, _ = MODEL.run(TOKENS, edits={name: torch.clone})
    assert torch.equal(plain, edited)


@pytest.mark.parametrize("name", MODEL.names)
def test_every_intermediate_can_be_edited_and_matters(name: str) -> None:
    with torch.inference_mode():
        plain, _ = MODEL.run(TOKENS)
        edited, kept = MODEL.run(TOKENS, keep=[name], edits={name: lambda x: x * 0.5 + 0.1 * x.cumsum(-1)})
    assert (plain - edited).abs().max() > 1e-3
    assert kept[name].shape == MODEL.run(TOKENS, keep=[name])[1][name].shape


@given(layer=st.integers(0, 1), head=st.integers(0, 2))
def test_ablating_a_head_by_its_output_or_by_its_z_is_the_same(layer: int, head: int) -> None:
    def without(x: Tensor) -> Tensor:
        return x.index_fill(1, torch.tensor([head]), 0.0)

    with torch.inference_mode():
        by_output, _ = MODEL.run(TOKENS, edits={f"layer_{layer}.attn.head_out": without})
        by_z, _ = MODEL.run(TOKENS, edits={f"layer_{layer}.attn.z": without})
    torch.testing.assert_close(by_output, by_z, rtol=0, atol=1e-12)


def test_a_full_patch_is_the_donor() -> None:
    donor = draw_tokens(seed=5)
    with torch.inference_mode():
        wanted, kept = MODEL.run(donor, keep=["layer_0_post_mlp"])
        patched, _ = MODEL.run(TOKENS, edits={"layer_0_post_mlp": lambda x: kept["layer_0_post_mlp"]})
    assert torch.equal(patched, wanted)


def test_gradients_reach_kept_intermediates() -> None:
    name = "layer_0.mlp.hidden"
    logits, kept = MODEL.run(TOKENS, keep=[name])
    (gradient,) = torch.autograd.grad(logits[0, 3, 2], kept[name])
    assert gradient.abs().max() > 0
    assert (gradient[:, 4:] == 0).all()
    assert (gradient[1:] == 0).all()


def test_gradients_by_head_are_those_of_the_blocks_output() -> None:
    """Merely kept, heads' outputs are a by-product; with an edit they are on the way, each as good as their sum."""
    name = "layer_0.attn.head_out"
    logits, kept = MODEL.run(TOKENS, keep=[name, "layer_0.attn.out"], edits={name: torch.clone})
    heads, out = torch.autograd.grad(logits[0, 3, 2], [kept[name], kept["layer_0.attn.out"]])
    torch.testing.assert_close(heads, out.unsqueeze(1).expand_as(heads), rtol=0, atol=1e-12)


def test_unknown_names_and_changed_shapes_are_refused() -> None:
    with pytest.raises(MeasureError, match=r"'layer_9\.mlp\.out'; there are: embed, layer_0\.attn\.in, .*, logits"):
        MODEL.run(TOKENS, keep=["layer_9.mlp.out"])
    with pytest.raises(MeasureError, match="no intermediate 'resid'"):
        MODEL.run(TOKENS, edits={"resid": torch.clone})
    with pytest.raises(MeasureError, match=r"'embed': shape \(3, 9, 1\), expected \(3, 9, 12\)"):
        MODEL.run(TOKENS, edits={"embed": lambda x: x[..., :1]})


# --- initialisation --------------------------------------------------------------------------------------------------


def initial(**changes: float | None) -> Transformer:
    params = REFERENCE.model_copy(update=changes)
    return Transformer(params, 146, torch.Generator().manual_seed(3))


def test_initial_weights_have_the_stated_scales() -> None:
    model = initial(embedding_std=0.5, matrix_std=0.02)
    for name, parameter in model.named_parameters():
        if name in ("token", "position"):
            assert parameter.std().item() == pytest.approx(0.5, rel=0.03)
        elif parameter.ndim == 2:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.03)
        else:
            assert (parameter == (1.0 if "norm.weight" in name else 0.0)).all()


def test_without_a_scale_linear_maps_begin_as_pytorchs_own() -> None:
    """Same distribution as `nn.Linear` gives: by the two-sample Kolmogorov–Smirnov test, and inside its bounds."""
    from scipy.stats import ks_2samp

    model = initial(matrix_std=None)
    torch.manual_seed(0)
    for linear in (module for module in model.modules() if isinstance(module, nn.Linear)):
        peer = nn.Linear(linear.in_features, linear.out_features)
        for ours, theirs in ((linear.weight, peer.weight), (linear.bias, peer.bias)):
            assert ours.abs().max() <= linear.in_features**-0.5
            assert ks_2samp(ours.detach().flatten()[:5000], theirs.detach().flatten()[:5000]).pvalue > 1e-3


def test_weights_come_from_the_generator_alone() -> None:
    before = torch.get_rng_state()
    first, second = initial(), initial()
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    other = Transformer(REFERENCE, 146, torch.Generator().manual_seed(4))
    assert not torch.equal(first.token, other.token)
