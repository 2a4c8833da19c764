"""Two births: the rise to a shortcut's plateau, and the birth of retrieval after it.

A behaviour that rises twice has one birth by the rule of `formation.record.births`: that of the larger rise. Here the
first rise is dated by the same rule on the checkpoints before retrieval's *onset*: the checkpoint from which on, up to
its birth, the key-twin flip exceeds its baseline in the paired bootstrap. What rose before it cannot be retrieval.
Where retrieval was not born, the whole series is before its onset.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from formation.params import WindowParams
from formation.record.births import Birth, Change, Outcome, excess_low, find_rise
from formation.record.series import Series
from formation.statistics import interval


@dataclass(frozen=True)
class Distance:
    """Steps from one change to another with the interval over streams; null bounds do not exist."""

    value: int | None
    low: int | None
    high: int | None
    reason: str  # why there is no value, empty if there is one


def onset(retrieval: Birth, series: Series, weights: Float[np.ndarray, "draw stream"], rule: WindowParams) -> int:
    """Index of the first checkpoint of retrieval's rise, or the series' length if it did not rise."""
    index = retrieval.rise.index
    if index is None:
        return len(series.steps)
    above = excess_low(series.draws(weights), retrieval.rise.gate, rule) > 0
    below = np.flatnonzero(~above[:index])
    return int(below[-1]) + 1 if len(below) else 0


def rise_before(
    series: Series, end: int, weights: Float[np.ndarray, "draw stream"], rule: WindowParams, seed: int
) -> Change | None:
    """The rise of a series among its first `end` checkpoints; null if these are too few for a gate.

    A rise censored there ran into retrieval's own: nobody saw it apart.
    """
    if end < 2 * rule.min_segment:
        return None
    return find_rise(series.between(0, end), weights, rule, seed)


def distance(first: tuple[str, Change | None], second: tuple[str, Change | None], rule: WindowParams) -> Distance:
    """Steps from the first named change to the second; draws on the same streams are paired, others independent."""
    dates = []
    for name, change in (first, second):
        if change is None:
            return Distance(None, None, None, f"too few checkpoints to date {name}")
        if change.outcome is not Outcome.BORN or change.step is None:
            return Distance(None, None, None, f"{name} is {change.outcome.value.replace('_', ' ')}")
        dates.append((change.step, change.draws))
    (began, earlier), (ended, later) = dates
    value = ended - began
    low, high = interval(_difference(later, earlier), rule.confidence)
    return Distance(
        value,
        min(value, int(low)) if np.isfinite(low) else None,
        max(value, int(high)) if np.isfinite(high) else None,
        "",
    )


def _difference(later: Float[np.ndarray, "draw"], earlier: Float[np.ndarray, "draw"]) -> Float[np.ndarray, "draw"]:
    """Difference of two dates in every draw: ∞ where only the later is missing, −∞ where only the earlier is."""
    neither = np.isinf(later) & np.isinf(earlier)
    return np.where(neither, np.nan, later - np.where(neither, 0.0, earlier))
