"""One step: its loss, its update, its refusals, against plain formulas."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from formation import presets
from formation.benchmark.streams import Special
from formation.errors import TrainingError
from formation.params import Params
from formation.training.execution import Execution
from formation.training.order import batch_indices
from formation.training.state import (
    Streams,
    TrainingState,
    initial_state,
    next_token_loss,
    rate_at,
    take_step,
)
from tests.formation.training.tiny import ROOT, SIZES, streams

CPU = Execution("cpu", "float32", 1, torch.__version__, "any", "kept")
PARAMS = presets.load("smoke", ROOT, SIZES)


def with_training(**changes: object) -> Params:
    return PARAMS.model_copy(update={"training": PARAMS.training.model_copy(update=changes)})


def weights(state: TrainingState) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in state.model.named_parameters()}


def test_the_loss_counts_every_target_once_and_no_padding() -> None:
    """By hand: −log p of each next token, summed over streams of different length, over the number of targets."""
    model = initial_state(PARAMS, 1, CPU).model.double()
    data = streams(6)
    losses = []
    with torch.no_grad():
        for row, length in zip(data.tokens, data.length, strict=True):
            stream = torch.from_numpy(row[:length])
            log_p = model(stream[None, :-1])[0].log_softmax(-1)
            losses += [-log_p[i, token].item() for i, token in enumerate(stream[1:])]
        found = next_token_loss(model, data.batch(np.arange(6)), CPU).item()
    assert len(losses) == (data.length - 1).sum()
    assert found == pytest.approx(np.mean(losses), abs=1e-6)


def test_batches_are_trimmed_to_their_longest_stream() -> None:
    data = streams()
    chosen = np.argsort(data.length)[:4]
    batch = data.batch(chosen)
    assert batch.shape == (4, data.length[chosen].max())
    assert (batch[:, -1] != Special.PAD).any()


def test_a_wider_padding_changes_neither_loss_nor_gradient() -> None:
    state = initial_state(PARAMS, 1, CPU)
    batch = streams().batch(np.arange(8))
    wide = torch.nn.functional.pad(batch, (0, 3), value=Special.PAD)
    gradients = []
    for tokens in (batch, wide):
        state.optimizer.zero_grad()
        next_token_loss(state.model, tokens, CPU).backward()
        gradients.append([p.grad for p in state.model.parameters()])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)


def test_three_steps_are_adamws_formulas() -> None:
    """Loshchilov & Hutter 2019, algorithm 2, written out, with warm-up, clipping and decay on 2-D weights only."""
    params = with_training(gradient_clip=0.5, weight_decay=0.3, warmup=2).training
    data = streams()
    state, peer = (initial_state(PARAMS.model_copy(update={"training": params}), 1, CPU) for _ in range(2))
    first = {name: torch.zeros_like(p) for name, p in peer.model.named_parameters()}
    second = {name: torch.zeros_like(p) for name, p in peer.model.named_parameters()}
    for step in (1, 2, 3):
        report = take_step(state, data, params, 1, CPU)
        loss = next_token_loss(peer.model, data.batch(batch_indices(1, step, params.batch, 50)), CPU)
        gradients = torch.autograd.grad(loss, list(peer.model.parameters()))
        norm = torch.cat([g.flatten() for g in gradients]).norm().item()
        assert report.gradient_norm == pytest.approx(norm, rel=1e-5)
        assert report.gradient_norm > params.gradient_clip  # the clip is at work
        assert report.loss == pytest.approx(loss.item(), rel=1e-6)
        for (name, p), g in zip(peer.model.named_parameters(), gradients, strict=True):
            g = g * params.gradient_clip / norm
            first[name] = params.betas[0] * first[name] + (1 - params.betas[0]) * g
            second[name] = params.betas[1] * second[name] + (1 - params.betas[1]) * g**2
            update = first[name] / (1 - params.betas[0] ** step)
            update = update / ((second[name] / (1 - params.betas[1] ** step)).sqrt() + 1e-8)
            decay = params.weight_decay if p.ndim == 2 else 0.0
            p.data -= rate_at(step, params) * (update + decay * p.data)
    for (name, ours), theirs in zip(state.model.named_parameters(), peer.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5, msg=name)


def test_three_steps_are_sgds_formulas() -> None:
    """Heavy ball: the momentum takes up the clipped gradient and the decay, and the weights follow it."""
    params = with_training(optimizer="sgd", gradient_clip=0.5, weight_decay=0.3, warmup=2, learning_rate=0.1).training
    data = streams()
    state, peer = (initial_state(PARAMS.model_copy(update={"training": params}), 1, CPU) for _ in range(2))
    velocity = {name: torch.zeros_like(p) for name, p in peer.model.named_parameters()}
    for step in (1, 2, 3):
        take_step(state, data, params, 1, CPU)
        loss = next_token_loss(peer.model, data.batch(batch_indices(1, step, params.batch, 50)), CPU)
        gradients = torch.autograd.grad(loss, list(peer.model.parameters()))
        clip = params.gradient_clip / torch.cat([g.flatten() for g in gradients]).norm().item()
        for (name, p), g in zip(peer.model.named_parameters(), gradients, strict=True):
            decay = params.weight_decay if p.ndim == 2 else 0.0
            velocity[name] = params.betas[0] * velocity[name] + g * clip + decay * p.data
            p.data -= rate_at(step, params) * velocity[name]
    for (name, ours), theirs in zip(state.model.named_parameters(), peer.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6, msg=name)


def test_the_rate_warms_up_and_then_stays() -> None:
    training = with_training(warmup=4, learning_rate=0.1).training
    assert [rate_at(step, training) for step in (1, 2, 4, 5, 1000)] == pytest.approx([0.025, 0.05, 0.1, 0.1, 0.1])
    assert rate_at(1, with_training(warmup=0, learning_rate=0.1).training) == 0.1


def test_seeds_of_initialisation_and_order_can_be_set_apart() -> None:
    def one_step(seed: int, **changes: int) -> tuple[torch.Tensor, torch.Tensor]:
        params = with_training(**changes)
        state = initial_state(params, seed, CPU)
        before = weights(state)["token"]
        take_step(state, streams(), params.training, seed, CPU)
        return before, weights(state)["token"]

    plain, other_order, other_init = one_step(1), one_step(1, order_seed=2), one_step(1, init_seed=2)
    assert torch.equal(plain[0], other_order[0])
    assert not torch.equal(plain[1], other_order[1])
    assert not torch.equal(plain[0], other_init[0])
    for a, b in zip(one_step(9, init_seed=1, order_seed=1), plain, strict=True):
        assert torch.equal(a, b)


def test_training_leaves_the_global_generators_alone() -> None:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    state = initial_state(PARAMS, 1, CPU)
    take_step(state, streams(), PARAMS.training, 1, CPU)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002


def test_a_non_finite_loss_stops_before_it_does_harm() -> None:
    state = initial_state(PARAMS, 1, CPU)
    take_step(state, streams(), PARAMS.training, 1, CPU)
    with torch.no_grad():
        state.model.norm.bias[0] = torch.inf
    before = weights(state)
    with pytest.raises(TrainingError, match=r"step 2: loss (nan|inf).*lower training\.learning_rate \(0\.002\)"):
        take_step(state, streams(), PARAMS.training, 1, CPU)
    assert state.step == 1
    for name, now in weights(state).items():
        assert torch.equal(now, before[name])


def test_bfloat16_computes_in_it_and_keeps_float32_weights() -> None:
    exact, rough = (initial_state(PARAMS, 1, CPU) for _ in range(2))
    how = replace(CPU, dtype="bfloat16")
    losses = [take_step(s, streams(), PARAMS.training, 1, h).loss for s, h in ((exact, CPU), (rough, how))]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    assert {p.dtype for p in rough.model.parameters()} == {torch.float32}


def test_streams_digest_sees_tokens_and_lengths_not_their_storage() -> None:
    data = streams()
    assert Streams(data.tokens.astype(np.int16), data.length.astype(np.int32)).digest() == data.digest()
    changed = data.tokens.copy()
    changed[3, 4] += 1
    assert Streams(changed, data.length).digest() != data.digest()
    assert Streams(data.tokens, data.length[::-1]).digest() != data.digest()
