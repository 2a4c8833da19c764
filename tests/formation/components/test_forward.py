"""A pass that goes on from the middle is the pass itself."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from formation.components.forward import LayerPass, past, stretch, stretch_tail, tail
from formation.model import Transformer
from formation.params import ModelParams

SHAPE = ModelParams(d_model=12, layers=3, heads=3, d_ff=20, context=24, embedding_std=1.0, matrix_std=0.5)
MODEL = Transformer(SHAPE, 11, torch.Generator().manual_seed(0)).eval()
TOKENS = torch.randint(0, 11, (5, 20), generator=torch.Generator().manual_seed(1))
ENTRIES = [(layer, part) for layer in range(3) for part in ("attn", "mlp")]


def stage(layer: int, part: str) -> str:
    return f"layer_{layer}_post_{part}"


def passes(model: Transformer, tokens: torch.Tensor) -> list[LayerPass]:
    names = ("attn.k", "attn.v", "attn.z", "mlp.out")
    found = []
    for layer in range(3):
        keep = [*(f"layer_{layer}.{name}" for name in names), stage(layer, "attn"), stage(layer, "mlp")]
        _, kept = model.run(tokens, keep=keep)
        k, v, z, out, post_attn, post_mlp = (kept[name] for name in keep)
        found.append(LayerPass(k, v, z, post_attn, out, post_mlp))
    return found


@pytest.mark.parametrize(("layer", "part"), ENTRIES)
@pytest.mark.parametrize("seed", range(3))
@torch.inference_mode()
def test_a_tail_is_the_pass_with_that_edit(layer: int, part: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(5, 20, 12, generator=generator)
    stream, position = (torch.randint(0, high, (13,), generator=generator) for high in (5, 20))  # in no order
    wanted, _ = MODEL.run(TOKENS, edits={stage(layer, part): lambda _: x})
    found = tail(MODEL, layer, part, x, stream, position)
    torch.testing.assert_close(found, wanted[stream, position], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("layer", "part"), ENTRIES)
@torch.inference_mode()
def test_a_self_patch_is_no_change(layer: int, part: str) -> None:
    """The unchanged residual gives the same bits from every entry before the last layer, and the pass's own numbers."""
    kept = passes(MODEL, TOKENS)
    stream, position = torch.tensor([0, 0, 2, 4]), torch.tensor([3, 19, 8, 11])
    found = tail(MODEL, layer, part, kept[layer].after(part), stream, position)
    torch.testing.assert_close(found, MODEL(TOKENS)[stream, position], rtol=0, atol=1e-5)
    if layer < 2:
        assert torch.equal(found, tail(MODEL, 1, "mlp", kept[1].post_mlp, stream, position))


@given(
    entry=st.sampled_from(ENTRIES),
    spans=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), min_size=5, max_size=5),
)
@torch.inference_mode()
def test_over_a_stretch_it_is_the_same(entry: tuple[int, str], spans: list[tuple[int, int]]) -> None:
    """Changes between two positions: the pass over the stretch between them gives what the whole pass gives."""
    layer, part = entry
    first, answer = (torch.tensor(ends) for ends in zip(*map(sorted, spans), strict=True))
    place = torch.arange(20)
    inside = (place >= first[:, None]) & (place <= answer[:, None])
    kept = passes(MODEL, TOKENS)
    x = kept[layer].after(part) + inside[..., None] * torch.randn(5, 20, 12, generator=torch.Generator().manual_seed(2))
    stream = torch.arange(5)
    on = stretch(stream, first, answer)
    pasts = [past(on, one) for one in kept]
    found = stretch_tail(MODEL, layer, part, on.take(x), on, pasts)
    torch.testing.assert_close(found, tail(MODEL, layer, part, x, stream, answer), rtol=0, atol=1e-5)
