"""Families of features: those whose trajectories move together over training (`docs/measures.md` §6).

Features are grouped by the correlation of their increments from checkpoint to checkpoint, or of a running mean of
`width` checkpoints: what the next checkpoint takes back is the optimiser's jitter, and it is most of an increment. Some
cut always has the largest silhouette, in noise as well, so a family counts as *stable* only where both hold:

1. *Found again.* Over bootstrap draws of the increments, each with a tree of its own, the best Jaccard index with a
   branch of it is at least `FOUND_AGAIN` on average (Hennig 2007, Comput. Stat. Data Anal. 52:258). Branches, because
   where a tree is best cut wobbles more than what grows on it. Neighbouring increments of a running mean share
   checkpoints, so blocks of `width` of them are drawn, closed to a circle (Politis & Romano 1992, Exploring the Limits
   of Bootstrap, 263).
2. *Beyond chance.* Its members correlate more than any branch as large does where every feature's increments are
   shifted in time by themselves: same bursts, at moments of their own.

One feature alone is no family that could be stable, and where all move as one, there is no cut that is found again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from formation.errors import MeasureError
from formation.features.families.clustering import (
    Labels,
    best_jaccard,
    branches,
    cluster,
    cohesion,
    correlations,
    distances,
    layout,
    members,
    silhouettes,
)
from formation.progress import Tracker, track
from formation.statistics import permutation_p

FOUND_AGAIN = 0.75  # mean Jaccard index of a cluster that is "valid, stable" (Hennig 2007)
P_VALUE = 0.05
FEWEST = 3  # features: with fewer there is no cut into two families to judge
FEWEST_INCREMENTS = 3  # a correlation of two increments is ±1
STILL = 1e-9  # of a trajectory's largest value: increments that vary less are rounding

Trajectories = Float[np.ndarray, "checkpoint feature"]


class NothingMoves(MeasureError):
    """Too few features move for families to be looked for."""


class LeftOut(StrEnum):
    """Why a feature is in no family."""

    SILENT = "silent"  # it is never active on the streams that decide
    CONSTANT = "constant"  # its trajectory never moves: a dead feature, most often
    EVEN = "even"  # it moves by the same amount at every checkpoint: nothing to correlate


@dataclass(frozen=True)
class Family:
    """Features that move together, in ascending order."""

    name: str  # `family_0` is the largest
    features: tuple[int, ...]
    cohesion: float | None  # mean correlation of two members' increments; null for one feature alone
    silhouette: float  # mean over its members
    jaccard: float  # mean best Jaccard index with a branch, over bootstrap draws
    p: float | None  # of its cohesion, null for one feature alone

    @property
    def stable(self) -> bool:
        """Whether it is found again, and more than chance would group."""
        return self.p is not None and self.p <= P_VALUE and self.jaccard >= FOUND_AGAIN


def family_from(data: Mapping[str, Any]) -> Family:
    """A family from JSON data, whatever else these say of it."""
    found = {one.name: data[one.name] for one in fields(Family)}
    return Family(**found | {"features": tuple(found["features"])})


@dataclass(frozen=True)
class Families:
    """All families, the largest first."""

    families: tuple[Family, ...]
    left_out: Mapping[int, LeftOut]
    silhouette: float  # mean over all features, the largest of all cuts
    draws: int
    places: Mapping[int, tuple[float, float]] = field(compare=False)  # of the features on a map, near where alike

    @property
    def stable(self) -> tuple[Family, ...]:
        """The families that count."""
        return tuple(family for family in self.families if family.stable)


def find_families(
    trajectories: Trajectories,
    draws: int,
    seed: int,
    most: int | None = None,
    width: int = 1,
    silent: Collection[int] = (),
) -> Families:
    """Families of the features of one basis by their trajectories, with `draws` bootstrap draws and as many of chance.

    At most `most` families are looked for (default: half as many as features that move), by increments of a running
    mean of `width` checkpoints; features in `silent` are left out. Raises `MeasureError` for a value that is not
    finite or too few checkpoints, and `NothingMoves` for too few features that move.
    """
    increments, left_out = _increments(trajectories, width, silent)
    features = np.array([f for f in range(trajectories.shape[1]) if f not in left_out])
    largest = min(len(features) - 1, max(2, len(features) // 2 if most is None else most))
    rows = increments[:, features].T
    correlation = correlations(rows)
    labels, silhouette = cluster(distances(correlation), largest)
    with track("families", 2 * draws, "draws") as tracker:
        jaccards = _found_again(rows, labels, _Draws(draws, width, seed), tracker)
        p = _beyond_chance(rows, correlation, labels, _Draws(draws, width, seed), tracker)
    families = _named(features, labels, correlation, jaccards, p)
    return Families(families, left_out, silhouette, draws, _placed(features, correlation))


def summed(scores: Trajectories, families: Sequence[Family]) -> Float[np.ndarray, "checkpoint family"]:
    """Every family's score at every checkpoint: the sum of its members'."""
    return np.stack([scores[:, list(family.features)].sum(1) for family in families], axis=1)


def ranked(features: Sequence[int], usefulness: Trajectories, last: int = 3) -> list[int]:
    """Features by mean usefulness over the last checkpoints, the most useful first; of equal ones the first.

    Usefulness is that of the half of the streams on which candidates are selected; report them on the other.
    """
    at_end = usefulness[-last:].mean(0)
    return sorted(features, key=lambda feature: (-float(at_end[feature]), feature))


def _named(
    features: Int[np.ndarray, "item"],
    labels: Labels,
    correlation: Float[np.ndarray, "item item"],
    jaccards: Float[np.ndarray, "group"],
    p: Float[np.ndarray, "group"],
) -> tuple[Family, ...]:
    """The groups as families, with what was found about each."""
    tight, own = cohesion(correlation, members(labels)), silhouettes(distances(correlation), labels)
    grouped = [np.flatnonzero(labels == group) for group in range(len(tight))]
    return tuple(
        Family(
            name=f"family_{group}",
            features=tuple(int(feature) for feature in features[chosen]),
            cohesion=float(tight[group]) if len(chosen) > 1 else None,
            silhouette=float(own[chosen].mean()),
            jaccard=float(jaccards[group]),
            p=float(p[group]) if len(chosen) > 1 else None,
        )
        for group, chosen in enumerate(grouped)
    )


# --- what moves ------------------------------------------------------------------------------------------------------


def _increments(
    trajectories: Trajectories, width: int, silent: Collection[int]
) -> tuple[Float[np.ndarray, "increment feature"], dict[int, LeftOut]]:
    """Increments of the running mean in float64, and the features whose increments say nothing."""
    _require_trajectories(trajectories, width)
    windows = np.lib.stride_tricks.sliding_window_view(trajectories.astype(np.float64), width, axis=0)
    increments = np.diff(windows.mean(-1), axis=0)
    floor = STILL * np.abs(trajectories).max(0)
    still, even = np.abs(increments).max(0) <= floor, np.ptp(increments, axis=0) <= floor
    left_out = {int(f): LeftOut.CONSTANT if still[f] else LeftOut.EVEN for f in np.flatnonzero(still | even)}
    left_out |= {int(f): LeftOut.SILENT for f in silent}
    moving = trajectories.shape[1] - len(left_out)
    if moving < FEWEST:
        raise NothingMoves(
            f"families need at least {FEWEST} features whose trajectories move, there are {moving} of "
            f"{trajectories.shape[1]}; fit a basis with fewer dead features: formation shared-feature-fit"
        )
    return increments, dict(sorted(left_out.items()))


def _require_trajectories(trajectories: Trajectories, width: int) -> None:
    """Refuse what is not finite, and too few checkpoints."""
    bad = np.argwhere(~np.isfinite(trajectories))
    if len(bad):
        place, feature = bad[0]
        raise MeasureError(f"trajectory of feature {feature}: not finite at checkpoint {place} of {len(trajectories)}")
    fewest = FEWEST_INCREMENTS + width
    if len(trajectories) < fewest:
        raise MeasureError(
            f"families need trajectories over at least {fewest} checkpoints, there are {len(trajectories)}; "
            f"lower training.checkpoint_every or train longer"
        )


def _placed(
    features: Int[np.ndarray, "item"], correlation: Float[np.ndarray, "item item"]
) -> dict[int, tuple[float, float]]:
    """Where the features lie on a map of their correlations."""
    places = layout(correlation)
    return {int(feature): (float(x), float(y)) for feature, (x, y) in zip(features, places, strict=True)}


# --- whether a family counts -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Draws:
    """How many draws, of blocks of how many increments, and from which seed."""

    count: int
    width: int
    seed: int


def _found_again(
    rows: Float[np.ndarray, "item time"], labels: Labels, draws: _Draws, tracker: Tracker
) -> Float[np.ndarray, "group"]:
    """Mean best Jaccard index of every family over draws of the increments.

    A feature that does not move in a draw correlates with nothing there: what hangs on one increment is lost again.
    """
    draw, count, own = np.random.default_rng([draws.seed, 0]), rows.shape[1], members(labels)
    jaccards = np.zeros(len(own))
    for _ in range(draws.count):
        start = draw.integers(count, size=(-(-count // draws.width), 1))
        chosen = rows[:, ((start + np.arange(draws.width)) % count).ravel()[:count]]
        jaccards += best_jaccard(own, branches(correlations(chosen))) / draws.count
        tracker.advance()
    return jaccards


def _beyond_chance(
    rows: Float[np.ndarray, "item time"],
    correlation: Float[np.ndarray, "item item"],
    labels: Labels,
    draws: _Draws,
    tracker: Tracker,
) -> Float[np.ndarray, "group"]:
    """p of every family's cohesion: against the largest of a branch at least as large among features shifted apart."""
    draw, (items, count) = np.random.default_rng([draws.seed, 1]), rows.shape
    size, own = np.bincount(labels), cohesion(correlation, members(labels))
    null = np.full((len(size), draws.count), -1.0)
    for index in range(draws.count):
        shift = draw.integers(count, size=(items, 1))
        apart = correlations(np.take_along_axis(rows, (np.arange(count) + shift) % count, axis=1))
        by_chance = branches(apart)
        tight = cohesion(apart, by_chance)
        null[:, index] = np.where(by_chance.sum(1) >= size[:, None], tight, -1.0).max(1)
        tracker.advance()
    return permutation_p(own, null)
