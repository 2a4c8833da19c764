"""How a model moves between checkpoints: its weights by group, and its states (`docs/measures.md` §3 *Dynamics*).

An update is the whole change of the weights between two checkpoints, many steps. Weights and norms have no unit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from formation.benchmark.streams import Special, SplitName
from formation.components.cka import cka, represent
from formation.components.material import Material
from formation.components.sample import Sample, States, as_array, draw_sample, sample_states
from formation.model import Transformer
from formation.params import RecordParams
from formation.training.execution import Execution
from formation.training.groups import group_parts
from formation.training.state import Streams, next_token_loss

GRADIENT_STREAMS = 128  # training streams behind a gradient: a batch of the reference
ALL = "all"

Weights = Mapping[str, Float[Tensor, "weight"]]  # by parameter group


@dataclass(frozen=True)
class DynamicsFrame:
    """What is the same at every checkpoint: the sample of states, and the training streams of the gradient."""

    sample: Sample
    training: Int[Tensor, "stream pos"]
    batch: int  # streams a forward pass


def dynamics_frame(materials: Mapping[SplitName, Material], training: Streams, record: RecordParams) -> DynamicsFrame:
    """The frame with states sampled from `test_iid`, and the gradient on the first streams of `training`."""
    tokens = training.batch(np.arange(min(GRADIENT_STREAMS, len(training.tokens))))
    return DynamicsFrame(draw_sample(materials[SplitName.TEST_IID], record), tokens, record.batch)


def measure_dynamics(
    now: Transformer,
    before: Transformer | None,
    before2: Transformer | None,
    final: Transformer | None,
    frame: DynamicsFrame,
    states: Callable[[Transformer], States] | None = None,
) -> dict[str, Any]:
    """How `now` differs from the checkpoint before, from that before it, and from the final one; null without them.

    `groups` has, for all weights and each group: `weight_norm`; `update_norm` ‖θ_t − θ_before‖; `update_cosine` of this
    update and the one before; `gradient_cosine` of the update and −∇L(θ_before), L the training loss in nats on the
    frame's streams. A cosine is null where either side is 0. `cka` has, for each `<stage>/<role>`, the similarity of
    the states with those before and with the final ones. `states` may be a cache of `sample_states`, for a caller
    whose models stay as they are.
    """
    states = states or (lambda model: sample_states(model, frame.sample))
    seen = states(now)
    sides = {"previous": before, "final": final}
    own = represent(seen.x)
    alike = {
        side: [None] * len(seen.names) if model is None else as_array(cka(own, represent(states(model).x)))
        for side, model in sides.items()
    }
    return {
        "units": UNITS,
        "groups": _weight_dynamics(now, before, before2, frame),
        "cka": {name: {side: alike[side][at] for side in sides} for at, name in enumerate(seen.names)},
    }


UNITS = {
    "weight_norm": "Euclidean norm",
    "update_norm": "Euclidean norm",
    "update_cosine": "cosine",
    "gradient_cosine": "cosine",
    "cka": "similarity, 1 = equal up to rotation and scale",
}


def _weight_dynamics(
    now: Transformer, before: Transformer | None, before2: Transformer | None, frame: DynamicsFrame
) -> dict[str, dict[str, float | None]]:
    """The figures of every group of weights."""
    weights = grouped(now, dict(now.named_parameters()))
    out: dict[str, dict[str, float | None]] = {group: {"weight_norm": _norm(w)} for group, w in weights.items()}
    update = None if before is None else _difference(now, before)
    earlier = None if before is None or before2 is None else _difference(before, before2)
    gradient = None if before is None else grouped(before, loss_gradient(before, frame))
    for group, figures in out.items():
        figures["update_norm"] = None if update is None else _norm(update[group])
        figures["update_cosine"] = _cosine(update, earlier, group)
        towards = _cosine(update, gradient, group)
        figures["gradient_cosine"] = None if towards is None else -towards
    return out


def loss_gradient(model: Transformer, frame: DynamicsFrame) -> dict[str, Tensor]:
    """Gradient of the training loss (nats per target token, float32) on the frame's training streams, by parameter."""
    how = Execution("cpu", "float32", torch.get_num_threads(), torch.__version__, "", "kept")
    targets = int((frame.training[:, 1:] != Special.PAD).sum())
    total: dict[str, Tensor] = {}
    with torch.inference_mode(False), torch.enable_grad():
        parameters = dict(model.named_parameters())
        for tokens in torch.split(frame.training, frame.batch):
            share = int((tokens[:, 1:] != Special.PAD).sum()) / targets
            loss = next_token_loss(model, tokens, how) * share
            for name, part in zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True):
                total[name] = total[name] + part if name in total else part
    return total


def grouped(model: Transformer, tensors: Mapping[str, Tensor]) -> Weights:
    """Tensors by parameter name as vectors by group: embeddings, each layer's Q, K, V, O, MLP in and out, norms.

    Biases go with their weights; `all` is everything. The unembedding is tied, so it is among the embeddings.
    """
    groups: dict[str, list[Tensor]] = {}
    for name, tensor in tensors.items():
        for group, part in group_parts(name, tensor.detach()):
            groups.setdefault(group.name, []).append(part.flatten())
    vectors = {group: torch.cat(parts).double() for group, parts in groups.items()}
    return {ALL: torch.cat(list(vectors.values())), **vectors}


def _difference(now: Transformer, before: Transformer) -> Weights:
    old = dict(before.named_parameters())
    return grouped(now, {name: new.detach().double() - old[name] for name, new in now.named_parameters()})


def _norm(vector: Float[Tensor, "weight"]) -> float:
    return float(vector.norm())


def _cosine(a: Weights | None, b: Weights | None, group: str) -> float | None:
    """Cosine of two vectors of a group; null where one is missing or 0."""
    if a is None or b is None:
        return None
    norms = _norm(a[group]) * _norm(b[group])
    return float(a[group] @ b[group]) / norms if norms else None
