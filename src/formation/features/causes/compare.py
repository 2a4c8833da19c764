"""Two checkpoints in one basis (`docs/measures.md` §5 *Compare*): which features came, went, and changed.

A feature is *there* at a checkpoint where it is active at more than a small share of the answer positions. It is gained
where it is there only at the later checkpoint, lost where only at the earlier one, and changed where it is at both and
its activation or usefulness differs: two-sided tests by a paired bootstrap over streams, corrected over all features
and both measures (Benjamini–Yekutieli).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float

from formation.benchmark.streams import SplitName
from formation.errors import MeasureError
from formation.features.metrics import FeatureMetric, Firing, Half, Worth
from formation.features.snapshots import Snapshot
from formation.statistics import benjamini_yekutieli, interval, ratio_draws, resamples, rise_p

DATED = SplitName.TEST_IID  # that of `formation.components.store`, which needs torch
TESTED = (Firing.ACTIVATION, Worth.USEFULNESS)


class Change(StrEnum):
    """What became of a feature between two checkpoints."""

    GAINED = "gained"
    LOST = "lost"
    CHANGED = "changed"
    SAME = "same"  # there at both, with no difference beyond chance
    ABSENT = "absent"  # there at neither


@dataclass(frozen=True)
class CompareSettings:
    """When a feature counts as there, and a difference as one."""

    present: float = 0.01  # active fraction at answer positions
    fdr: float = 0.05
    draws: int = 1000
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise `MeasureError` for a value that no comparison could use."""
        for name in ("present", "fdr", "confidence"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise MeasureError(f"{name} = {value}: expected a share in [0, 1]")
        if self.draws < 2:
            raise MeasureError(f"draws = {self.draws}: expected at least 2")


@dataclass(frozen=True)
class Difference:
    """Later minus earlier, with its bootstrap interval and adjusted two-sided p-value."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class FeatureChange:
    """One feature between two checkpoints."""

    feature: int
    change: Change
    active: tuple[float, float]  # active fraction, earlier and later
    activation: Difference  # mean activation at answer positions
    usefulness: Difference  # nats of margin
    heldout_usefulness: float  # later minus earlier on held-out pairs, nats
    profile: float | None  # how far the shares of the splits moved, in [0, 1]; null where it is nowhere active


def compare(
    before: Snapshot, after: Snapshot, settings: CompareSettings, half: Half | None = None
) -> list[FeatureChange]:
    """Every feature, in order; on all streams or on one half of them.

    Raises `MeasureError` where the snapshots are of different features or streams.
    """
    one, two = before.splits[DATED], after.splits[DATED]
    if one.tracks[Firing.ACTIVATION].sums.shape != two.tracks[Firing.ACTIVATION].sums.shape:
        raise MeasureError(
            f"checkpoints {before.step} and {after.step} were not measured with the same features on the same "
            f"streams; run: formation feature-trajectory-sweep"
        )
    active = np.stack([one.values(Firing.ACTIVE, half), two.values(Firing.ACTIVE, half)], axis=1)
    tested = _differences(before, after, settings, half)
    heldout = _heldout(after, half) - _heldout(before, half)
    moved = _profile_distance(split_profile(before, half), split_profile(after, half))
    rows = []
    for feature, (then, now) in enumerate(active):
        activation, usefulness = (differences[feature] for differences in tested)
        differs = min(activation.p, usefulness.p) <= settings.fdr
        change = _change(then > settings.present, now > settings.present, differs)
        profile = None if np.isnan(moved[feature]) else float(moved[feature])
        own = (float(then), float(now))
        rows.append(FeatureChange(feature, change, own, activation, usefulness, float(heldout[feature]), profile))
    return rows


class Ranking(StrEnum):
    """What features are ranked by, largest change first, up or down."""

    ACTIVATION = "activation"
    USEFULNESS = "usefulness"
    PROFILE = "profile"


def ranked(rows: Sequence[FeatureChange], by: Ranking) -> list[FeatureChange]:
    """The features by size of their change; those without one come last."""

    def size(row: FeatureChange) -> float:
        if by is Ranking.PROFILE:
            return -1.0 if row.profile is None else row.profile
        return abs((row.activation if by is Ranking.ACTIVATION else row.usefulness).value)

    return sorted(rows, key=lambda row: (-size(row), row.feature))


def split_profile(snapshot: Snapshot, half: Half | None = None) -> Float[np.ndarray, "split feature"]:
    """Each split's share of a feature's mean activation, in the order of `SplitName`; NaN where it is never active."""
    names = [name for name in SplitName if name in snapshot.splits]
    means = np.stack([snapshot.splits[name].values(Firing.ACTIVATION, half) for name in names])
    total = means.sum(0)
    return np.asarray(np.divide(means, total, out=np.full(means.shape, np.nan), where=total > 0))


def _profile_distance(
    before: Float[np.ndarray, "split feature"], after: Float[np.ndarray, "split feature"]
) -> Float[np.ndarray, "feature"]:
    """Total variation: half the sum of the shares' absolute differences, 1 where no split is in common."""
    return np.asarray(np.abs(after - before).sum(0) / 2)


def _heldout(snapshot: Snapshot, half: Half | None) -> Float[np.ndarray, "feature"]:
    return snapshot.splits[SplitName.HELDOUT_PAIRS].values(Worth.USEFULNESS, half)


def _change(then: bool, now: bool, differs: bool) -> Change:
    if then and now:
        return Change.CHANGED if differs else Change.SAME
    if then or now:
        return Change.GAINED if now else Change.LOST
    return Change.ABSENT


def _differences(
    before: Snapshot, after: Snapshot, settings: CompareSettings, half: Half | None
) -> list[list[Difference]]:
    """The tested measures' differences, feature by feature; p-values are adjusted over all of them together."""
    streams = len(before.splits[DATED].reads)
    weights = resamples(streams, settings.draws, settings.seed)
    values, draws = [], []
    for metric in TESTED:
        values.append(after.splits[DATED].values(metric, half) - before.splits[DATED].values(metric, half))
        draws.append(_draws(after, metric, half, weights) - _draws(before, metric, half, weights))
    value, every = np.concatenate(values), np.concatenate(draws, axis=1)
    one_sided = np.minimum(rise_p(value, every), rise_p(-value, -every))
    adjusted = benjamini_yekutieli(np.where(value == 0, 1.0, np.minimum(2 * one_sided, 1.0)))
    low, high = interval(every, settings.confidence)
    found = [Difference(*map(float, numbers)) for numbers in zip(value, low, high, adjusted, strict=True)]
    features = len(found) // len(TESTED)
    return [found[index * features : (index + 1) * features] for index in range(len(TESTED))]


def _draws(
    snapshot: Snapshot, metric: FeatureMetric, half: Half | None, weights: Float[np.ndarray, "draw stream"]
) -> Float[np.ndarray, "draw feature"]:
    split = snapshot.splits[DATED]
    chosen = np.ones(len(split.reads)) if half is None else split.halves[half].astype(np.float64)
    return ratio_draws(weights * chosen, split.tracks[metric].sums.T.astype(np.float64), split.reads)
