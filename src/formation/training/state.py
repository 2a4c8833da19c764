"""The state of a training and the one step that changes it. Resuming and replaying use nothing else."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from formation.benchmark.generate import Dataset
from formation.benchmark.streams import Special, SplitName, Vocabulary
from formation.errors import TrainingError
from formation.model import Transformer
from formation.params import Params, TrainingParams
from formation.training.execution import Execution
from formation.training.order import batch_indices


@dataclass(frozen=True)
class Streams:
    """Training streams: token ids, padded with `Special.PAD` behind each stream's `length`."""

    tokens: Int[np.ndarray, "stream pos"]
    length: Int[np.ndarray, "stream"]

    def digest(self) -> str:
        """SHA-256 (hex) of the streams' tokens and lengths."""
        total = hashlib.sha256(f"{self.tokens.shape}".encode())
        for array in (self.tokens, self.length):
            total.update(np.ascontiguousarray(array, dtype="<i8").data)
        return total.hexdigest()

    def batch(self, indices: Int[np.ndarray, "batch"]) -> Int[Tensor, "batch pos"]:
        """Tokens of the chosen streams, trimmed to the longest of them."""
        return torch.from_numpy(self.tokens[indices, : int(self.length[indices].max())].astype(np.int64))


def training_streams(dataset: Dataset) -> Streams:
    """The streams of a dataset that models are trained on."""
    split = dataset.splits[SplitName.TRAIN]
    return Streams(split.tokens, split.length)


@dataclass
class TrainingState:
    """All that the next step depends on, besides parameters and data."""

    model: Transformer
    optimizer: torch.optim.Optimizer
    generator: torch.Generator  # drew the weights; no step draws from it, for there is no dropout
    step: int
    tokens_seen: int  # target tokens of all steps so far


@dataclass(frozen=True)
class StepReport:
    """What one step saw: mean loss per target token in nats, gradient norm before clipping, learning rate."""

    step: int
    loss: float
    gradient_norm: float
    learning_rate: float
    tokens: int


def initial_state(params: Params, seed: int, execution: Execution) -> TrainingState:
    """The state before step 1; weights are drawn from `training.init_seed`, or from the run's seed without one."""
    generator = torch.Generator().manual_seed(init_seed(params.training, seed))
    model = Transformer(params.model, vocabulary_size(params), generator).to(execution.device)
    return TrainingState(model, make_optimizer(model, params.training), generator, 0, 0)


def take_step(state: TrainingState, streams: Streams, params: TrainingParams, seed: int, how: Execution) -> StepReport:
    """Take the next step and return its report; raises `TrainingError` before a non-finite loss can do any harm."""
    step = state.step + 1
    indices = batch_indices(order_seed(params, seed), step, params.batch, len(streams.tokens))
    tokens = streams.batch(indices).to(how.device)
    state.optimizer.zero_grad()
    loss = next_token_loss(state.model, tokens, how)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), params.gradient_clip, foreach=True)
    report = StepReport(
        step, loss.item(), norm.item(), rate_at(step, params), int(streams.length[indices].sum() - len(indices))
    )
    if not np.isfinite([report.loss, report.gradient_norm]).all():
        raise TrainingError(
            f"step {step}: loss {report.loss} with gradient norm {report.gradient_norm}, expected finite numbers; "
            f"lower training.learning_rate ({params.learning_rate}) or lengthen training.warmup ({params.warmup})"
        )
    for group in state.optimizer.param_groups:
        group["lr"] = report.learning_rate
    state.optimizer.step()
    state.step, state.tokens_seen = step, state.tokens_seen + report.tokens
    return report


def next_token_loss(model: Transformer, tokens: Int[Tensor, "batch pos"], how: Execution) -> Float[Tensor, ""]:
    """Mean cross entropy of the next token over all targets that are not padding, in nats; every target counts once."""
    with torch.autocast(how.device, torch.bfloat16, enabled=how.dtype == "bfloat16"):
        logits = model(tokens[:, :-1])
    return F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=Special.PAD)


def make_optimizer(model: Transformer, params: TrainingParams) -> torch.optim.Optimizer:
    """The optimizer of `training.optimizer`; only 2-D weights decay.

    AdamW (Loshchilov & Hutter 2019) decays apart from the gradient. SGD has heavy-ball momentum (Polyak 1964), and its
    decay is added to the gradient, which for SGD is the same but for the momentum.
    """
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": params.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    if params.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=params.learning_rate, momentum=params.betas[0], fused=True)
    return torch.optim.AdamW(groups, lr=params.learning_rate, betas=params.betas, fused=True)


def rate_at(step: int, params: TrainingParams) -> float:
    """Learning rate of a step: linear warm-up, then constant, because a decay would confound births."""
    return params.learning_rate * min(1.0, step / max(params.warmup, 1))


def init_seed(params: TrainingParams, seed: int) -> int:
    """Seed of the initialisation: `training.init_seed`, else the run's."""
    return seed if params.init_seed is None else params.init_seed


def order_seed(params: TrainingParams, seed: int) -> int:
    """Seed of the data order: `training.order_seed`, else the run's."""
    return seed if params.order_seed is None else params.order_seed


def vocabulary_size(params: Params) -> int:
    """Number of token ids of the run's benchmark."""
    return Vocabulary(params.benchmark.keys, params.benchmark.values).size


def architecture(params: Params) -> dict[str, Any]:
    """What decides the shape of a model, as plain JSON data."""
    return {**params.section("model"), "vocabulary": vocabulary_size(params)}
