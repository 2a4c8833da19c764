"""Whether two candidates grow together, one at the other's expense, or apart (`docs/measures.md` §6).

Two series that both rise are correlated whatever they have to do with each other. So every figure stands beside its
null: the increments of one candidate, turned round in time against the other's. A turn keeps all of a series' bursts,
their order and its total rise, and takes away only when they fall. Every turn of either is looked at, so that nothing
is drawn; with n intervals between checkpoints no p-value is below 1/n one-sided, or 2/n as given here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float

from formation.errors import MeasureError
from formation.statistics import interval, permutation_p

CONFIDENCE = 0.95  # of the null's bounds
FEWEST_INTERVALS = 3  # fewer turns say nothing
TIE = 1e-12  # what turning a series round may change by rounding

Turned = Float[np.ndarray, "turn increment"]  # the first turn is none


@dataclass(frozen=True)
class Beside:
    """A figure of two candidates beside the same where either is turned against the other: mean and bounds.

    `p` is two-sided, and of turning either the larger one: correlations of scores depend on which is turned. All are
    null where a candidate stands still, so that nothing can be said.
    """

    value: float | None
    mean: float | None
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True)
class Pair:
    """Two candidates over the same checkpoints; fractions are of the intervals between them."""

    one: str
    other: str
    intervals: int
    score_correlation: Beside  # of the scores at all checkpoints
    score_increment_correlation: Beside  # of their increments
    useful_correlation: Beside
    useful_increment_correlation: Beside
    sign_conflict: Beside  # intervals in which one score rises and the other falls
    simultaneous_gain: Beside  # intervals in which both become more useful


def pairs(
    names: Sequence[str],
    scores: Float[np.ndarray, "checkpoint candidate"],
    usefulness: Float[np.ndarray, "checkpoint candidate"],
) -> list[Pair]:
    """Every two candidates, in the order of `names`; raises `MeasureError` for too few checkpoints."""
    if len(scores) <= FEWEST_INTERVALS:
        raise MeasureError(
            f"pairs of candidates need at least {FEWEST_INTERVALS + 1} checkpoints, there are {len(scores)}; "
            f"lower training.checkpoint_every or train longer"
        )
    return [
        _pair(names[i], names[j], scores[:, i], scores[:, j], usefulness[:, i], usefulness[:, j])
        for i, j in combinations(range(len(names)), 2)
    ]


def _pair(
    name: str,
    other_name: str,
    score: Float[np.ndarray, "checkpoint"],
    other_score: Float[np.ndarray, "checkpoint"],
    useful: Float[np.ndarray, "checkpoint"],
    other_useful: Float[np.ndarray, "checkpoint"],
) -> Pair:
    scores, usefulness = (score, other_score), (useful, other_useful)
    return Pair(
        one=name,
        other=other_name,
        intervals=len(score) - 1,
        score_correlation=_beside(_levels, *scores),
        score_increment_correlation=_beside(_increments, *scores),
        useful_correlation=_beside(_levels, *usefulness),
        useful_increment_correlation=_beside(_increments, *usefulness),
        sign_conflict=_beside(_conflict, *scores),
        simultaneous_gain=_beside(_gain, *usefulness),
    )


def turns(series: Float[np.ndarray, "checkpoint"]) -> Turned:
    """The increments of a series, turned round by every number of checkpoints."""
    increments = np.diff(series.astype(np.float64))
    place = np.arange(len(increments))
    return np.asarray(increments[(place + place[:, None]) % len(increments)])


# --- figures of a series and all turns of another --------------------------------------------------------------------


def _levels(series: Float[np.ndarray, "checkpoint"], turned: Turned) -> Float[np.ndarray, "turn"]:
    """Correlation at the checkpoints; where the other series begins does not matter."""
    levels = np.concatenate([np.zeros((len(turned), 1)), turned.cumsum(axis=1)], axis=1)
    return _correlation(series, levels)


def _increments(series: Float[np.ndarray, "checkpoint"], turned: Turned) -> Float[np.ndarray, "turn"]:
    return _correlation(np.diff(series), turned)


def _conflict(series: Float[np.ndarray, "checkpoint"], turned: Turned) -> Float[np.ndarray, "turn"]:
    """Share of intervals in which one rises and the other falls; standing still is no conflict."""
    return np.asarray((np.sign(np.diff(series)) * np.sign(turned) < 0).mean(1))


def _gain(series: Float[np.ndarray, "checkpoint"], turned: Turned) -> Float[np.ndarray, "turn"]:
    return np.asarray(((np.diff(series) > 0) & (turned > 0)).mean(1))


def _correlation(one: Float[np.ndarray, "time"], rows: Float[np.ndarray, "turn time"]) -> Float[np.ndarray, "turn"]:
    """Pearson's; NaN where something does not vary."""
    one, rows = one - one.mean(), rows - rows.mean(1, keepdims=True)
    size = np.linalg.norm(one) * np.linalg.norm(rows, axis=1)
    return np.asarray(np.divide(rows @ one, size, out=np.full(len(rows), np.nan), where=size > 0))


def _beside(
    figure: Callable[[Float[np.ndarray, "checkpoint"], Turned], Float[np.ndarray, "turn"]],
    one: Float[np.ndarray, "checkpoint"],
    other: Float[np.ndarray, "checkpoint"],
) -> Beside:
    """The figure without a turn beside those of all others."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    found = np.stack([figure(one, turns(other)), figure(other, turns(one))])
    value, null = found[0, 0], found[:, 1:]
    if not np.diff(one).any() or not np.diff(other).any() or not np.isfinite(found).all():
        return Beside(None, None, None, None, None)
    low, high = interval(null.ravel(), CONFIDENCE)
    p = 2 * np.minimum(permutation_p(value - TIE, null), permutation_p(-value - TIE, -null)).max()
    return Beside(float(value), float(null.mean()), float(low), float(high), float(min(1.0, p)))
