"""Behaviour from logits: against plain Python on planted logits, and against training's own loss."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from formation.benchmark.streams import Special, Split, SplitName
from formation.model import Transformer
from formation.record.behaviour import answers, run_streams
from formation.training.execution import choose_execution
from formation.training.state import next_token_loss, vocabulary_size
from tests.formation.record.conftest import Bench


class Planted(nn.Module):
    """Logits looked up by token and position: known, and different at every place."""

    def __init__(self, vocabulary: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        self.by_token = torch.randn(vocabulary, vocabulary, generator=generator) * 3
        self.by_position = torch.randn(200, vocabulary, generator=generator) * 3
        self.dtype = dtype

    def forward(self, tokens: Tensor) -> Tensor:
        return (self.by_token[tokens] + self.by_position[: tokens.shape[1]]).to(self.dtype)


@pytest.fixture(scope="module")
def split(bench: Bench) -> Split:
    return bench.dataset.splits[SplitName.STRUCTURAL_OOD]


def logsumexp(values: list[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def test_answers_against_plain_python(split: Split) -> None:
    model = Planted(split.vocabulary.size)
    logits, _ = run_streams(model, split.tokens, split.reads, 7)
    said = answers(logits, split.answer_tokens())
    for read in range(0, len(split.reads.stream), 5):
        stream, position = split.reads.stream[read], split.reads.position[read]
        here = (model.by_token[split.tokens[stream, position]] + model.by_position[position]).tolist()
        right = int(split.tokens[stream, position + 1])
        assert said.prediction[read] == max(range(len(here)), key=here.__getitem__)
        assert said.correct[read] == (said.prediction[read] == right)
        assert said.log_prob[read] == pytest.approx(here[right] - logsumexp(here), abs=1e-4)
        others = [value for token, value in enumerate(here) if token != right]
        assert said.margin[read] == pytest.approx(here[right] - logsumexp(others), abs=1e-4)
    assert 0 < said.correct.sum() < len(said.correct)


def test_token_sums_against_plain_python(split: Split) -> None:
    model = Planted(split.vocabulary.size)
    model.by_token[[Special.EOS, Special.PAD], Special.PAD] = 99.0  # right about the padding, which is no target
    assert len(set(split.length)) > 1
    _, sums = run_streams(model, split.tokens, split.reads, 7)
    for stream in range(0, len(split.tokens), 9):
        tokens = [int(token) for token in split.tokens[stream] if token != Special.PAD]
        loss, hits = 0.0, 0
        for position, target in enumerate(tokens[1:]):
            here = (model.by_token[tokens[position]] + model.by_position[position]).tolist()
            loss += logsumexp(here) - here[target]
            hits += max(range(len(here)), key=here.__getitem__) == target
        assert sums.loss[stream] == pytest.approx(loss, rel=1e-5)
        assert sums.hits[stream] == hits
        assert sums.targets[stream] == len(tokens) - 1


def test_the_token_loss_is_what_training_minimises(bench: Bench) -> None:
    split, params = bench.dataset.splits[SplitName.VALIDATION_IID], bench.run.params
    model = Transformer(params.model, vocabulary_size(params), torch.Generator().manual_seed(0))
    _, sums = run_streams(model, split.tokens, split.reads, 32)
    how = choose_execution(params.training, "cpu")
    theirs = next_token_loss(model, torch.from_numpy(split.tokens), how).item()
    assert sums.loss.sum() / sums.targets.sum() == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("batch", [1, 10, 1000])
def test_the_batch_does_not_matter(split: Split, batch: int) -> None:
    model = Planted(split.vocabulary.size)
    logits, sums = run_streams(model, split.tokens, split.reads, 32)
    others, other_sums = run_streams(model, split.tokens, split.reads, batch)
    assert torch.equal(logits, others)
    np.testing.assert_allclose(sums.loss, other_sums.loss, rtol=1e-6)
    np.testing.assert_array_equal(sums.hits, other_sums.hits)


def test_figures_are_float32_whatever_the_model_computes_in(split: Split) -> None:
    logits, _ = run_streams(Planted(split.vocabulary.size, torch.bfloat16), split.tokens, split.reads, 32)
    said = answers(logits, split.answer_tokens())
    assert logits.dtype == torch.float32
    assert said.log_prob.dtype == said.margin.dtype == np.float32


def test_log_prob_is_the_softmax_of_the_logits() -> None:
    logits = torch.randn(500, 20, generator=torch.Generator().manual_seed(1)) * 8
    right = np.arange(500) % 20
    expected = F.log_softmax(logits.double(), -1)[torch.arange(500), torch.from_numpy(right)]
    np.testing.assert_allclose(answers(logits, right).log_prob, expected, atol=2e-5)


def test_certainty_either_way_stays_finite() -> None:
    logits = torch.zeros(2, 10)
    logits[:, 3] = 500.0
    said = answers(logits, np.array([3, 4]))
    assert np.isfinite(said.log_prob).all()
    assert said.log_prob[0] == pytest.approx(0.0, abs=1e-6)
    assert said.log_prob[1] == said.margin[1] == pytest.approx(-500.0)
    assert said.correct.tolist() == [True, False]
