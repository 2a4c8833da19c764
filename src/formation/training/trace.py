"""What single steps of a replay did: losses, gradients and updates, by group of parameters (`replay-trace/1`)."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from formation.training.groups import Kind, group_parts
from formation.training.replay import Taken
from formation.training.state import TrainingState

SCHEMA = "replay-trace/1"


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
        row = {"schema": SCHEMA, **asdict(taken.report)}
        if self.gradients:
            after = dict(state.model.named_parameters())
            updates = {name: after[name].detach().double() - old.double() for name, old in self._before.items()}
            row |= update_facts(updates, taken.gradients)
        self.rows.append(row)


def update_facts(updates: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> dict[str, Any]:
    """Norms of update and clipped gradient, their inner product, and the cosine of the update with −gradient.

    Of all parameters, and under `groups` of each kind of group, all layers together. The inner product is, where
    nothing was clipped, the change of the batch's loss to first order, in nats. A cosine is null where one of the two
    is zero.
    """
    sums = dict.fromkeys(Kind, torch.zeros(3, dtype=torch.float64))
    for name, update in updates.items():
        sides = zip(group_parts(name, update), group_parts(name, gradients[name].double()), strict=True)
        for (group, ours), (_, theirs) in sides:
            part = torch.stack([ours.square().sum(), theirs.square().sum(), (ours * theirs).sum()])
            sums[group.kind] = sums[group.kind] + part
    whole = torch.stack(list(sums.values())).sum(dim=0)
    return {**_facts(whole), "groups": {kind.value: _facts(part) for kind, part in sums.items()}}


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
