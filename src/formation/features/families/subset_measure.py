"""Subsets of features measured at one checkpoint: what they score, what is lost without them, and what they carry.

A subset is measured as a feature is, so that its births are dated by the same rule: the `Snapshot` of subsets has a
subset where that of features has a feature. Activations and scores add up: the candidate score is the sum of its
members'. Usefulness does not, so all members are removed at once. Its placebos are sums over its members, each along a
random direction of its own: random directions hardly meet, so that what they take away does add up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from formation.components.fractions import Gain
from formation.components.material import Material
from formation.components.store import DATED
from formation.errors import MeasureError
from formation.features.basis import Basis
from formation.features.causes.patch import FeaturePatch, PatchMode, Side, patch_features
from formation.features.families.subsets import Subsets
from formation.features.measures.above import Above, above, margins, whole_stage
from formation.features.measures.trajectories import Frame, correlation
from formation.features.metrics import FeatureMetric, Firing, Worth
from formation.features.snapshots import RoleProfile, Snapshot, SplitSnapshot, Track
from formation.model import Transformer
from formation.statistics import stream_sums

ADDED = (Firing.ACTIVATION, Firing.SCORE)  # of a subset: the sum over its members
JOINT = (Worth.USEFULNESS, Worth.LOG_PROB)  # what is lost when all members are removed at once


def measure_subsets(model: Transformer, snapshot: Snapshot, frame: Frame, subsets: Subsets) -> Snapshot:
    """The subsets at the checkpoint of `snapshot`, which has its features; in the order of `subsets`.

    What is no sum is left out: `active_fraction`, zero-removal and attribution, and how often a role has any member.
    Raises `MeasureError` for a subset that is empty, repeats a feature, or has one that the basis has not.
    """
    member = _membership(subsets, frame.basis.latents)
    mean: Tensor | None = None
    splits = {}
    for name in sorted(snapshot.splits, key=lambda name: name is not DATED):  # its means stand in on all splits
        material, features = frame.materials[name], snapshot.splits[name]
        whole = whole_stage(model, material, frame.basis.stage, frame.batch, snapshot.step)
        rest = above(model, frame.basis.stage, whole, material, frame.batch)
        activation = frame.basis.encode(rest.state)
        mean = activation.mean(0) if mean is None else mean
        lost = [joint_loss(rest, frame.basis, one, activation, mean, material.answer) for one in subsets.values()]
        right = rest.clean.argmax(-1) == material.answer
        together = activation @ torch.from_numpy(member.T).to(activation.dtype)
        splits[name] = _of_subsets(features, member, material, lost, correlation(together, right), subsets)
    return Snapshot(snapshot.step, {name: splits[name] for name in snapshot.splits})


@torch.no_grad()
def joint_loss(
    above: Above,
    basis: Basis,
    features: Sequence[int],
    activation: Float[Tensor, "read feature"],
    mean: Float[Tensor, "feature"],
    answer: Int[Tensor, "read"],
) -> Float[Tensor, "metric read"]:
    """Margin and log-probability lost at every read, in nats, with the features at their means all at once."""
    change = basis.scale * _decoded(basis, features, activation - mean)
    before = margins(above.without(torch.zeros_like(change)), answer)
    after = margins(above.without(change), answer)
    return torch.stack([before - after, F.logsigmoid(before) - F.logsigmoid(after)])


@dataclass(frozen=True, eq=False)
class Subpatch:
    """A subset patched from one checkpoint into another; `fractions.fraction` of its gain is the share carried."""

    patch: FeaturePatch
    gain: Gain  # of margin in nats; its change is that of the donor's whole state in the receiver


def subpatches(receiver: Side, donor: Side, basis: Basis, subsets: Subsets, material: Material) -> dict[str, Subpatch]:
    """The donor's activations of each subset put into the receiver, on the streams of `material`, by name."""
    found = {}
    for name, features in subsets.items():
        patch = patch_features(receiver, donor, basis, features, PatchMode.SWAP, material.answer)
        gained, change = _by_stream(torch.stack([patch.patched, patch.whole]) - patch.receiver, material)
        counts = np.bincount(material.stream.numpy(), minlength=material.streams).astype(np.float64)
        found[name] = Subpatch(patch, Gain(gained, change, counts))
    return found


@torch.no_grad()
def share_carried(receiver: Side, donor: Side, basis: Basis, features: Sequence[int], answer: Tensor) -> float | None:
    """What `FeaturePatch.carried` says of swapped features, without all that stands beside it."""
    state = receiver.above.state
    before, whole = (margins(receiver.above.without(x), answer) for x in (0 * state, state - donor.above.state))
    change = basis.scale * _decoded(basis, features, receiver.activation - donor.activation)
    total = float((whole - before).mean())
    return float((margins(receiver.above.without(change), answer) - before).mean()) / total if total else None


def _by_stream(values: Float[Tensor, "row read"], material: Material) -> Float[np.ndarray, "row stream"]:
    """Sums over the reads of each stream."""
    return np.asarray(stream_sums(values.T.double().numpy(), material.stream.numpy(), material.streams).T)


def _decoded(
    basis: Basis, features: Sequence[int], amounts: Float[Tensor, "read feature"]
) -> Float[Tensor, "read d_model"]:
    chosen = list(features)
    return amounts[:, chosen] @ basis.decoder[chosen]


# --- what a subset has of its members --------------------------------------------------------------------------------


def _membership(subsets: Subsets, latents: int) -> Bool[np.ndarray, "subset feature"]:
    member = np.zeros((len(subsets), latents), dtype=bool)
    for row, (name, features) in zip(member, subsets.items(), strict=True):
        strange = [feature for feature in features if not 0 <= feature < latents]
        if strange or not features or len(set(features)) < len(features):
            raise MeasureError(
                f"subset {name}: features {list(features)}, expected at least one, each once, of the basis' {latents} "
                f"(0 to {latents - 1})"
            )
        row[list(features)] = True
    return member


def _of_subsets(
    features: SplitSnapshot,
    member: Bool[np.ndarray, "subset feature"],
    material: Material,
    lost: Sequence[Float[Tensor, "metric read"]],
    correctness: Float[np.ndarray, "subset"],
    subsets: Subsets,
) -> SplitSnapshot:
    tracks: dict[FeatureMetric, Track] = {}
    for added in ADDED:
        track = features.tracks[added]
        tracks[added] = Track((member @ track.sums.astype(np.float64)).astype(np.float32), _placebos(track, subsets))
    for index, worth in enumerate(JOINT):
        sums = _by_stream(torch.stack([one[index] for one in lost]), material)
        tracks[worth] = Track(sums.astype(np.float32), _placebos(features.tracks[worth], subsets))
    roles = features.roles
    activation = roles.activation @ member.T
    return SplitSnapshot(
        reads=features.reads,
        halves=features.halves,
        tracks=tracks,
        roles=RoleProfile(roles.places, np.full(activation.shape, np.nan), activation),
        correctness=correctness,
    )


def _placebos(track: Track, subsets: Subsets) -> Float[np.ndarray, "half subset placebo"] | None:
    """Sums over the members, every one along another of the random directions, the same ones at every checkpoint."""
    if track.placebos is None:
        return None
    track_of, count = track.placebos, track.placebos.shape[2]

    def summed(features: Sequence[int]) -> Float[np.ndarray, "half placebo"]:
        turned = [np.roll(track_of[:, f], place * count // len(features), 1) for place, f in enumerate(features)]
        return np.asarray(np.sum(turned, axis=0))

    return np.stack([summed(features) for features in subsets.values()], axis=1)
