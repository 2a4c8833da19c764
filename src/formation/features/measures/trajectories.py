"""Every feature at one checkpoint (`docs/measures.md` §5 *Trajectory*): when it fires, and what it is worth.

One forward pass of each split; all else is behind it. A sweep measures checkpoint after checkpoint and keeps no more
than their snapshots.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from formation.benchmark.streams import SplitName
from formation.components.material import SCORED, Material
from formation.components.roles import NOWHERE, Kind, Role
from formation.components.store import DATED
from formation.features.bases.quality import explained
from formation.features.basis import Basis
from formation.features.measures.above import Above, above, whole_stage
from formation.features.measures.placebos import Placebos, placebo_activity, placebo_usefulness
from formation.features.measures.usefulness import measure_usefulness
from formation.features.snapshots import (
    FeatureMetric,
    Firing,
    Half,
    Halves,
    RoleProfile,
    Snapshot,
    SplitSnapshot,
    Summary,
    Track,
    split_in_half,
)
from formation.model import Transformer

_FIRST = sorted(SCORED, key=lambda name: name is not DATED)  # its means stand in for features on all splits


@dataclass(frozen=True, eq=False)
class Frame:
    """What is the same at every checkpoint."""

    basis: Basis
    placebos: Placebos
    materials: Mapping[SplitName, Material]
    halves: Mapping[SplitName, Halves]
    batch: int  # streams a forward pass


def trajectory_frame(
    basis: Basis, placebos: Placebos, materials: Mapping[SplitName, Material], batch: int, seed: int
) -> Frame:
    """The frame of a sweep; `seed` draws the halves of the probe streams."""
    halves = {name: split_in_half(materials[name].streams, [seed, index]) for index, name in enumerate(_FIRST)}
    return Frame(basis, placebos, materials, halves, batch)


def measure_features(model: Transformer, step: int, frame: Frame) -> Snapshot:
    """Every feature on every scored split.

    Raises `MeasureError` where the basis is of another stage or width, or where an activation is not finite, naming
    the checkpoint of `step`.
    """
    frame.basis.check(frame.basis.stage, model.params.d_model)
    splits: dict[SplitName, SplitSnapshot] = {}
    mean: Tensor | None = None
    for name in _FIRST:
        material = frame.materials[name]
        whole = whole_stage(model, material, frame.basis.stage, frame.batch, step)
        rest = above(model, frame.basis.stage, whole, material, frame.batch)
        activation = frame.basis.encode(rest.state)
        mean = activation.mean(0) if mean is None else mean
        splits[name] = _split_snapshot(frame, material, whole, rest, activation, mean)
    return Snapshot(step, splits)


def _split_snapshot(
    frame: Frame,
    material: Material,
    whole: Float[Tensor, "stream pos d_model"],
    rest: Above,
    activation: Float[Tensor, "read feature"],
    mean: Float[Tensor, "feature"],
) -> SplitSnapshot:
    values: dict[FeatureMetric, Tensor] = {
        Firing.ACTIVE: (activation > 0).to(activation.dtype),
        Firing.ACTIVATION: activation,
        Firing.SCORE: frame.basis.scores(rest.state),
    }
    values.update(measure_usefulness(rest, frame.basis, activation, mean, material.answer).items())
    halves = frame.halves[material.name]
    placebos = _placebos(frame, material, rest, halves) if material.name is DATED else {}
    right = rest.clean.argmax(-1) == material.answer
    encoded = _encoded(frame.basis, whole, material)
    return SplitSnapshot(
        reads=np.bincount(material.stream.numpy(), minlength=material.streams).astype(np.float64),
        halves=halves,
        tracks={metric: Track(_by_stream(one, material), placebos.get(metric)) for metric, one in values.items()},
        roles=role_profile(encoded, material),
        correctness=correlation(activation, right),
        summary=_summary(frame, material, rest, encoded, activation, right),
    )


def _placebos(
    frame: Frame, material: Material, rest: Above, halves: Halves
) -> dict[FeatureMetric, Float[np.ndarray, "half feature placebo"]]:
    """Placebos summed over each half, in the order of `Half`."""
    parts = [torch.from_numpy(np.flatnonzero(halves[half][material.stream.numpy()])) for half in Half]
    activity = placebo_activity(frame.basis, frame.placebos, rest.state, parts)
    found: dict[FeatureMetric, Tensor] = {
        Firing.ACTIVE: activity.active,
        Firing.ACTIVATION: activity.activation,
        Firing.SCORE: activity.score,
    }
    found.update(placebo_usefulness(rest, frame.basis, frame.placebos, material.answer, parts).items())
    return {metric: sums.float().numpy() for metric, sums in found.items()}


def _by_stream(values: Float[Tensor, "read feature"], material: Material) -> Float[np.ndarray, "feature stream"]:
    sums = torch.zeros(material.streams, values.shape[1], dtype=torch.float64)
    return np.asarray(sums.index_add_(0, material.stream, values.double()).T.float().numpy())


@dataclass(frozen=True, eq=False)
class _Encoded:
    """A basis at all positions of a split that are not padding."""

    activation: Float[Tensor, "row feature"]
    row: Int[Tensor, "stream pos"]  # of each position

    def at(self, stream: Int[Tensor, "place"], position: Int[Tensor, "place"]) -> Float[Tensor, "place feature"]:
        return self.activation[self.row[stream, position]]


def _encoded(basis: Basis, whole: Float[Tensor, "stream pos d_model"], material: Material) -> _Encoded:
    there = material.kinds != Kind.PAD
    return _Encoded(basis.encode(whole[there]), there.flatten().cumsum(0).view_as(there) - 1)


def role_profile(encoded: _Encoded, material: Material) -> RoleProfile:
    """How often and how strongly every feature is active at every role of the split's reads."""
    places, active, activation = [], [], []
    for role in Role:
        there = (material.roles[role] != NOWHERE).nonzero()[:, 0]
        found = encoded.at(material.stream[there], material.roles[role][there])
        places.append(len(there))
        active.append((found > 0).to(found.dtype).sum(0) / max(len(there), 1))
        activation.append(found.sum(0) / max(len(there), 1))
    return RoleProfile(np.array(places), torch.stack(active).numpy(), torch.stack(activation).numpy())


def _summary(
    frame: Frame,
    material: Material,
    rest: Above,
    encoded: _Encoded,
    activation: Float[Tensor, "read feature"],
    right: Bool[Tensor, "read"],
) -> Summary:
    error = (frame.basis.decode(activation) - rest.state).double().square().sum(1)
    token = material.tokens[material.stream, material.position]
    whole, beyond = (explained(rest.state, error, group) for group in (torch.zeros_like(token), token))
    return Summary(
        accuracy=float(right.double().mean()),
        explained=np.nan if whole is None else whole,
        beyond_tokens=np.nan if beyond is None else beyond,
        active=(encoded.activation > 0).double().mean(0).numpy(),
        activation=encoded.activation.double().mean(0).numpy(),
    )


def correlation(
    activation: Float[Tensor, "read feature"], right: Bool[Tensor, "read"] | Int[Tensor, "read"]
) -> Float[np.ndarray, "feature"]:
    """Pearson's correlation of each feature's activation with the answer being right; NaN where either never varies."""
    x, y = activation.double() - activation.double().mean(0), right.double() - right.double().mean()
    size = x.square().sum(0).sqrt() * y.square().sum().sqrt()
    return np.asarray(torch.where(size > 0, (x.T @ y) / size, torch.nan).numpy())
