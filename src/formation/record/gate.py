"""The gate every birth and window must pass: did this series rise, and more than chance lets placebos rise?

Definition: `docs/measures.md` §4. A series of `checkpoint` values passes when both hold:

1. *Order matters.* The largest standardised difference between the mean after and the mean before a change point
   (one-sided CUSUM, both segments at least `min_segment` long) is larger than under permuted checkpoint order.
   Permuting increments instead would be no null: it cannot change the largest increment.
2. *The rise is larger than a placebo's.* Peak − baseline exceeds a high quantile of the same quantity of placebo
   series measured on the same checkpoints, each with a change point, baseline and peak of its own.

Permuted order alone would pass any slow drift (training makes neighbours alike), and placebos alone would pass a single
outlier; together they ask for an ordered rise that permuted answers do not show.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from formation.errors import MeasureError
from formation.params import WindowParams
from formation.statistics import permutation_p

PEAK_WIDTH = 3  # checkpoints of the running median whose maximum is the peak


@dataclass(frozen=True)
class Gate:
    """What the gate found; `change` is the index of the first checkpoint behind the change point."""

    opened: bool
    p: float
    change: int
    baseline: float  # median before the change point
    peak: float  # largest running median of three behind the change point
    placebo_rise: float  # the placebos' peak − baseline at the required quantile

    @property
    def rise(self) -> float:
        """Peak − baseline, in the series' unit."""
        return self.peak - self.baseline


def gate(
    values: Float[np.ndarray, "checkpoint"],
    placebos: Float[np.ndarray, "placebo checkpoint"],
    rule: WindowParams,
    seed: int,
) -> Gate:
    """Whether `values` rise beyond permuted order and beyond the placebos.

    Raises `MeasureError` if the series is too short for two segments.
    """
    require_length(len(values), rule)
    statistic, change = cusum(values, rule.min_segment)
    orders = np.random.default_rng(seed).permuted(np.tile(values, (rule.permutations, 1)), axis=1)
    p = float(permutation_p(statistic, cusum(orders, rule.min_segment)[0]))
    baseline, peak = baseline_and_peak(values, change)
    floor = placebo_rise(placebos, rule)
    opened = p <= rule.p_value and float(peak - baseline) > floor
    return Gate(opened, p, int(change), float(baseline), float(peak), floor)


def require_length(checkpoints: int, rule: WindowParams) -> None:
    """Raise `MeasureError` if there are too few checkpoints for two segments."""
    if checkpoints < 2 * rule.min_segment:
        raise MeasureError(
            f"a gate needs at least {2 * rule.min_segment} checkpoints after warm-up (2 × windows.min_segment), "
            f"there are {checkpoints}; lower training.checkpoint_every or windows.min_segment, or train longer"
        )


def cusum(
    values: Float[np.ndarray, "*batch checkpoint"], min_segment: int
) -> tuple[Float[np.ndarray, "*batch"], Int[np.ndarray, "*batch"]]:
    """The one-sided CUSUM statistic and the change point of each series along the last axis.

    For a change before checkpoint k of n it is √(k(n−k)/n) · (mean after − mean before), the likelihood-ratio contrast
    of a rise in mean, up to the series' deviation, which permuting does not change (Page 1954; Hawkins 1977).
    """
    n = values.shape[-1]
    k = np.arange(min_segment, n - min_segment + 1)
    sums = np.cumsum(values - values.mean(-1, keepdims=True), axis=-1)[..., k - 1]
    contrast = -sums * np.sqrt(n / (k * (n - k)))
    # identical values differ by rounding alone; without this, a constant series could have an order
    contrast = np.where(np.ptp(values, axis=-1)[..., None] > 0, contrast, 0.0)
    best = contrast.argmax(-1)
    return np.asarray(np.take_along_axis(contrast, best[..., None], -1)[..., 0]), np.asarray(k[best])


def baseline_and_peak(
    values: Float[np.ndarray, "*batch checkpoint"], change: Int[np.ndarray, "*batch"]
) -> tuple[Float[np.ndarray, "*batch"], Float[np.ndarray, "*batch"]]:
    """Median of each series before its change point, and its largest running median of three behind it.

    A hump before the change point is none of what the series rose to. Where only two checkpoints lie behind it, the
    last before it lends the third.
    """
    change = np.asarray(change)[..., None]
    before = np.arange(values.shape[-1]) < change
    baseline = np.nanmedian(np.where(before, values, np.nan), axis=-1)
    medians = running_median(values)
    windows = medians.shape[-1]
    behind = np.arange(windows) >= np.minimum(change, windows - 1)
    return np.asarray(baseline), np.asarray(np.where(behind, medians, -np.inf).max(-1))


def running_median(values: Float[np.ndarray, "*batch checkpoint"]) -> Float[np.ndarray, "*batch window"]:
    """Medians of three neighbouring checkpoints, two fewer than there are checkpoints."""
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(values, PEAK_WIDTH, axis=-1), axis=-1))


def placebo_rise(placebos: Float[np.ndarray, "placebo checkpoint"], rule: WindowParams) -> float:
    """Peak − baseline that `placebo_quantile` of the placebos stay below, by their own change points."""
    _, change = cusum(placebos, rule.min_segment)
    baseline, peak = baseline_and_peak(placebos, change)
    return float(np.quantile(peak - baseline, rule.placebo_quantile, method="higher"))
