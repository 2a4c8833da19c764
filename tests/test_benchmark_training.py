"""The training benchmark: its peers are our model, it runs at its smallest size, and its ratios are what they say."""

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import training
from benchmarks.loops import Encoder, NanoGPT, plain_step, take_weights
from benchmarks.report import page
from benchmarks.results import Results
from benchmarks.steps import flops_per_token, made_streams
from formation import presets
from formation.model import Transformer
from formation.params import ModelParams

ROOT = Path(__file__).resolve().parent.parent
SMALL = ModelParams(d_model=16, layers=2, heads=2, d_ff=32, context=20, embedding_std=0.5, matrix_std=None)
VOCABULARY = 40


@pytest.mark.parametrize("kind", [Encoder, NanoGPT])
def test_with_our_weights_a_peer_gives_our_logits(kind: type[Encoder] | type[NanoGPT]) -> None:
    ours = Transformer(SMALL, VOCABULARY, torch.Generator().manual_seed(0))
    peer = kind(SMALL, VOCABULARY)
    take_weights(peer, ours)
    tokens = torch.randint(0, VOCABULARY, (3, 17), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(peer(tokens), ours(tokens), atol=1e-4, rtol=1e-4)
    assert sum(p.numel() for p in peer.parameters()) == sum(p.numel() for p in ours.parameters())


@pytest.mark.parametrize("kind", [Encoder, NanoGPT])
def test_a_peer_learns(kind: type[Encoder] | type[NanoGPT]) -> None:
    torch.manual_seed(0)
    quick = presets.load("quick", ROOT).training
    step = plain_step(kind(SMALL, VOCABULARY), quick, "float32")
    tokens = torch.randint(4, VOCABULARY, (8, 12))
    losses = [step(tokens) for _ in range(30)]
    assert losses[-1] < losses[0] / 2


def test_operations_are_counted() -> None:
    """By hand: two layers of 4·16² + 2·16·32 weights and 40 × 16 of the unembedding; scores over 10 positions."""
    assert flops_per_token(SMALL, VOCABULARY, 10) == 6 * (2 * (1024 + 1024) + 640) + 12 * 2 * 16 * 10


def test_streams_are_as_long_as_those_of_the_preset() -> None:
    params = presets.load("smoke", ROOT)
    streams = made_streams(params)
    assert (streams.length.min(), streams.length.max()) == (3 * (3 + 8 + 9) + 2, 3 * (4 + 8 + 10) + 2)


def found(own: float, peer: float) -> dict[str, Any]:
    contenders = [{"name": "formation", "wall": [own] * 3}, {"name": "other", "wall": [peer, peer, 9 * peer]}]
    return {
        "preset": "quick",
        "dtype": "float32",
        "torch": "2",
        "steps": 10,
        "tokens": [1000, 1000, 1000],
        "flops_per_token": 1e6,
        "peak": {"float32": 4e9, "bfloat16": 8e9},
        "contenders": [one | {"cpu": one["wall"]} for one in contenders],
    }


def test_ratios_are_medians_of_blocks_side_by_side() -> None:
    own, peer = training.rows(found(0.5, 0.6))
    assert (own.tokens, own.milliseconds, own.peak_share, own.ratio) == (2000, 50, 0.5, None)
    assert peer.ratio == pytest.approx((1.2, 1.2))
    assert training.missed([own, peer]) == ["training at quick size: 1.20 × the better peer"]
    assert training.missed(training.rows(found(0.5, 0.7))) == []


def test_it_runs_and_the_page_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SIZES", ("smoke",))
    results = Results()
    training.measure(tmp_path, results, 1, 1)
    text = page(results, "growth.svg", quick=True)
    assert "| smoke | formation, float32 |" in text
    assert "| smoke | nanoGPT-style, float32 |" in text
