"""What single steps of a replay did: losses, gradients and updates, by group of parameters (`replay-trace/1`)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from formation.training.replay import Taken
from formation.training.state import TrainingState

SCHEMA = "replay-trace/1"
GROUPS = ("embeddings", "attn_q", "attn_k", "attn_v", "attn_o", "mlp_in", "mlp_out", "norms")
_ATTN = ("attn_q", "attn_k", "attn_v")


class Trace:
    """A watcher that adds one row a step to `rows`; with `gradients` a row also tells of the update, by group."""

    def __init__(self, gradients: bool, rows: list[dict[str, Any]] | None = None) -> None:
        self.gradients = gradients
        self.rows = [] if rows is None else rows
        self._before: dict[str, Tensor] = {}

    def before(self, state: TrainingState) -> None:
        """Keep the weights the step begins from."""
        if self.gradients:
            self._before = {name: p.detach().clone() for name, p in state.model.named_parameters()}

    def after(self, state: TrainingState, taken: Taken) -> None:
        """Add the step's row."""
        report = taken.report
        row: dict[str, Any] = {
            "schema": SCHEMA,
            "step": report.step,
            "loss": report.loss,
            "gradient_norm": report.gradient_norm,
            "learning_rate": report.learning_rate,
            "tokens": report.tokens,
        }
        if self.gradients:
            after = dict(state.model.named_parameters())
            updates = {name: after[name].detach().double() - old.double() for name, old in self._before.items()}
            row |= update_facts(updates, taken.gradients)
        self.rows.append(row)


def update_facts(updates: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> dict[str, Any]:
    """Norms of update and clipped gradient, their inner product, and the cosine of the update with −gradient.

    Of all parameters, and under `groups` of each group. The inner product is, where nothing was clipped, the change of
    the batch's loss to first order, in nats. A cosine is null where one of the two is zero.
    """
    sums = dict.fromkeys(GROUPS, torch.zeros(3, dtype=torch.float64))
    for name, update in updates.items():
        for group, ours, theirs in _parts(name, update, gradients[name].double()):
            sums[group] = sums[group] + torch.stack([ours.square().sum(), theirs.square().sum(), (ours * theirs).sum()])
    whole = torch.stack(list(sums.values())).sum(dim=0)
    return {**_facts(whole), "groups": {group: _facts(part) for group, part in sums.items()}}


def _parts(name: str, update: Tensor, gradient: Tensor) -> list[tuple[str, Tensor, Tensor]]:
    """The groups a parameter belongs to, with its share in each; Q, K and V share one matrix and one bias."""
    if ".qkv." in name:
        return list(zip(_ATTN, update.chunk(3), gradient.chunk(3), strict=True))
    return [(group_of(name), update, gradient)]


def group_of(name: str) -> str:
    """The group of a parameter that lies in one; biases go with their matrix."""
    for part, group in ((".attn.out.", "attn_o"), (".fc_in.", "mlp_in"), (".fc_out.", "mlp_out"), ("norm.", "norms")):
        if part in name:
            return group
    return "embeddings"


def _facts(sums: Tensor) -> dict[str, float | None]:
    """From squared norms and inner product to what a row says."""
    update, gradient, inner = (float(value) for value in sums)
    norms = (update * gradient) ** 0.5
    return {
        "update_norm": update**0.5,
        "clipped_gradient_norm": gradient**0.5,
        "inner": inner,
        "cosine": -inner / norms if norms > 0 else None,
    }
