"""A fixed sample of residual states: the same reads at every stage, role and checkpoint, for ranks and similarities.

Ranks and similarities depend on the number of rows, so every role has the same reads: those that have all roles.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from formation.components.material import Material
from formation.components.roles import NOWHERE, Role
from formation.components.states import stages, states_at
from formation.errors import MeasureError
from formation.model import Transformer
from formation.params import RecordParams

READS = 512  # four rows a dimension at the reference's width
FEWEST = 4  # what the unbiased similarity needs


@dataclass(frozen=True)
class Sample:
    """Streams, and the places of every sampled read's roles in them: all reads of one role after another."""

    tokens: Int[Tensor, "stream pos"]
    stream: Int[Tensor, "place"]
    position: Int[Tensor, "place"]
    reads: int
    batch: int  # streams a forward pass


@dataclass(frozen=True)
class States:
    """A model's states on the sample; a problem is a stage at a role, named `<stage>/<role>`."""

    names: tuple[str, ...]
    x: Float[Tensor, "problem read d"]


def draw_sample(material: Material, record: RecordParams) -> Sample:
    """The first `READS` reads of a split that have every role, or all if there are fewer.

    They are those of its first streams. Raises `MeasureError` if there are fewer than `FEWEST`.
    """
    everywhere = torch.stack([place != NOWHERE for place in material.roles.values()]).all(0)
    reads = everywhere.nonzero()[:READS, 0]
    if len(reads) < FEWEST:
        raise MeasureError(
            f"{material.name}: {len(reads)} reads of the probe set have a stale value and a distractor, expected at "
            f"least {FEWEST}; raise record.probe_streams, then run: formation generate-probe-set"
        )
    streams = int(material.stream[reads].max()) + 1
    position = torch.cat([material.roles[role][reads] for role in Role])
    stream = material.stream[reads].repeat(len(Role))
    return Sample(material.tokens[:streams], stream, position, len(reads), record.batch)


def sample_states(model: Transformer, sample: Sample) -> States:
    """The model's states at every stage and role of the sample."""
    names = stages(model.params.layers)
    found = states_at(model, sample.tokens, names, sample.stream, sample.position, sample.batch)
    x = torch.stack([found[name].view(len(Role), sample.reads, -1) for name in names])
    return States(tuple(f"{name}/{role}" for name in names for role in Role), x.flatten(0, 1))


def centred(x: Float[Tensor, "problem read d"]) -> Float[Tensor, "problem read d"]:
    """The rows without their mean."""
    return x - x.mean(1, keepdim=True)


def as_array(x: Float[Tensor, "problem"]) -> list[float | None]:
    """Figures as JSON has them: null where not finite."""
    values = x.double().numpy()
    return [float(value) if np.isfinite(value) else None for value in values]
