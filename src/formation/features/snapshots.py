"""What was measured of every feature at one checkpoint: arrays only, so reading needs no model.

Everything a birth is dated by is kept as sums over the reads of each stream, so that streams can be resampled, as for
components. Streams are split in two halves: what is selected on one is reported on the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int

from formation.benchmark.streams import SplitName
from formation.errors import MeasureError
from formation.features.metrics import FeatureMetric, Firing, Half, Halves, Worth
from formation.record.series import ComponentMetric, Series

__all__ = [
    "FeatureMetric",
    "Firing",
    "Half",
    "Halves",
    "RoleProfile",
    "Snapshot",
    "SplitSnapshot",
    "Summary",
    "Track",
    "feature_series",
    "from_arrays",
    "split_in_half",
    "to_arrays",
]


@dataclass(frozen=True, eq=False)
class Track:
    """One metric of every feature: sums over the reads of each stream, divided by the reads it is the metric.

    `placebos` are sums over the reads of each half, or null where random directions have no meaning.
    """

    sums: Float[np.ndarray, "feature stream"]
    placebos: Float[np.ndarray, "half feature placebo"] | None


@dataclass(frozen=True, eq=False)
class RoleProfile:
    """Every role of one split, in the order of `Role`: its places, and what is active there."""

    places: Int[np.ndarray, "role"]
    active: Float[np.ndarray, "role feature"]  # fraction of the places, 0 where there are none
    activation: Float[np.ndarray, "role feature"]  # mean over the places


@dataclass(frozen=True, eq=False)
class Summary:
    """One split as a whole; an explained variance is that at answer positions, NaN where there is none to explain."""

    accuracy: float  # share of reads answered right
    explained: float  # variance
    beyond_tokens: float  # variance explained beyond the mean of each token
    active: Float[np.ndarray, "feature"]  # fraction of all positions that are not padding
    activation: Float[np.ndarray, "feature"]  # mean over them


@dataclass(frozen=True, eq=False)
class SplitSnapshot:
    """The features on one split; `reads` counts those of each stream."""

    reads: Float[np.ndarray, "stream"]
    halves: Halves
    tracks: Mapping[FeatureMetric, Track]
    roles: RoleProfile
    correctness: Float[np.ndarray, "feature"]  # correlation of activation with a right answer; NaN: one never varies
    summary: Summary | None = None  # of a basis; subsets of its features have none of their own

    def values(self, metric: FeatureMetric, half: Half | None = None) -> Float[np.ndarray, "feature"]:
        """A metric of every feature over all streams or one half, NaN where there are no reads."""
        chosen = slice(None) if half is None else self.halves[half]
        found, reads = self.tracks[metric].sums[:, chosen].sum(1, dtype=np.float64), self.reads[chosen].sum()
        return np.asarray(found / reads if reads else np.full(len(found), np.nan))

    def when_active(self, half: Half | None = None) -> Float[np.ndarray, "feature"]:
        """Mean activation over the reads with any, NaN where there are none."""
        chosen = slice(None) if half is None else self.halves[half]
        active = self.tracks[Firing.ACTIVE].sums[:, chosen].sum(1, dtype=np.float64)
        total = self.tracks[Firing.ACTIVATION].sums[:, chosen].sum(1, dtype=np.float64)
        return np.asarray(np.divide(total, active, out=np.full(len(total), np.nan), where=active > 0))


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The features of one checkpoint."""

    step: int
    splits: Mapping[SplitName, SplitSnapshot]


def split_in_half(streams: int, seed: Sequence[int]) -> Halves:
    """The halves of a split's probe streams, drawn at random; of an odd number the one more is reported on."""
    chosen = np.zeros(streams, bool)
    chosen[np.random.default_rng(seed).permutation(streams)[: streams // 2]] = True
    return {Half.SELECTION: chosen, Half.REPORT: ~chosen}


def feature_series(
    snapshots: Sequence[Snapshot],
    split: SplitName,
    metric: FeatureMetric,
    feature: int,
    at: Int[np.ndarray, "probe"],
    streams: int,
    half: Half | None = None,
) -> Series:
    """One feature over the checkpoints, for `formation.record.births`.

    Streams are numbered as in the full split of `streams` streams, of which the probe streams are `at`, with zeros for
    all others: so features, components and behaviour are resampled together. Raises `MeasureError` for a metric that
    has no placebos.
    """
    own = [one.splits[split] for one in snapshots]
    chosen = own[0].halves[half] if half else np.ones(len(own[0].reads), bool)
    reads = np.where(chosen, own[0].reads, 0)
    numerators, denominators = np.zeros((streams, len(own))), np.zeros(streams)
    numerators[at] = np.stack([np.where(chosen, one.tracks[metric].sums[feature], 0) for one in own], axis=1)
    denominators[at] = reads
    steps = np.array([one.step for one in snapshots])
    name = ComponentMetric(f"feature_{feature}", metric.value)
    placebos = np.stack([_placebos(one, split, metric, feature, half) for one in own], axis=1) / reads.sum()
    return Series(name, split, steps, numerators, denominators, placebos)


def _placebos(
    one: SplitSnapshot, split: SplitName, metric: FeatureMetric, feature: int, half: Half | None
) -> Float[np.ndarray, "placebo"]:
    sums = one.tracks[metric].placebos
    if sums is None:
        raise MeasureError(f"feature {feature}: {metric} on {split} has no placebos, so its births cannot be dated")
    own = sums[:, feature].astype(np.float64)
    return np.asarray(own.sum(0) if half is None else own[list(Half).index(half)])


# --- as arrays -------------------------------------------------------------------------------------------------------


def to_arrays(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """The snapshot as named arrays; sums are rounded to float32."""
    out: dict[str, np.ndarray] = {}
    for name, split in snapshot.splits.items():
        out[f"{name}/reads"] = split.reads.astype(np.float32)
        out[f"{name}/selection"] = split.halves[Half.SELECTION]
        out[f"{name}/correctness"] = split.correctness.astype(np.float32)
        for field in ("places", "active", "activation"):
            out[f"{name}/roles/{field}"] = getattr(split.roles, field)
        if split.summary is not None:
            out |= {f"{name}/summary/{key}": a for key, a in _summary_arrays(split.summary).items()}
        for metric, track in split.tracks.items():
            out[f"{name}/{metric}/sums"] = track.sums.astype(np.float32)
            if track.placebos is not None:
                out[f"{name}/{metric}/placebos"] = track.placebos.astype(np.float32)
    return out


def _summary_arrays(summary: Summary) -> dict[str, np.ndarray]:
    return {one.name: np.asarray(getattr(summary, one.name), np.float32) for one in fields(Summary)}


def from_arrays(step: int, arrays: Mapping[str, np.ndarray]) -> Snapshot:
    """A snapshot from the arrays of `to_arrays`."""
    splits = [split for split in SplitName if f"{split}/reads" in arrays]
    return Snapshot(step, {split: _split_from(split, arrays) for split in splits})


def _split_from(split: SplitName, arrays: Mapping[str, np.ndarray]) -> SplitSnapshot:
    selection = arrays[f"{split}/selection"]
    metrics: list[FeatureMetric] = [*Firing, *Worth]
    return SplitSnapshot(
        reads=arrays[f"{split}/reads"].astype(np.float64),
        halves={Half.SELECTION: selection, Half.REPORT: ~selection},
        tracks={
            metric: Track(arrays[f"{split}/{metric}/sums"], arrays.get(f"{split}/{metric}/placebos"))
            for metric in metrics
            if f"{split}/{metric}/sums" in arrays
        },
        roles=RoleProfile(*(arrays[f"{split}/roles/{field}"] for field in ("places", "active", "activation"))),
        correctness=arrays[f"{split}/correctness"].astype(np.float64),
        summary=_summary_from(split, arrays),
    )


def _summary_from(split: SplitName, arrays: Mapping[str, np.ndarray]) -> Summary | None:
    if f"{split}/summary/accuracy" not in arrays:
        return None
    found = {one.name: arrays[f"{split}/summary/{one.name}"].astype(np.float64) for one in fields(Summary)}
    accuracy, explained, beyond_tokens = (found[name].item() for name in ("accuracy", "explained", "beyond_tokens"))
    return Summary(accuracy, explained, beyond_tokens, found["active"], found["activation"])
