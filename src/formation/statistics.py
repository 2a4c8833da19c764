"""Intervals, p-values and false-discovery control, once, for every measure.

The unit of resampling is the stream: reads of one stream share its writes and are not independent. Every metric here is
a ratio of sums over streams (correct reads over reads), so a bootstrap draw is a vector of stream counts and a whole
bootstrap is one matrix product. Passing the same `weights` to two metrics of the same streams pairs them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr

FEWEST_DIFFERENT = 5  # streams that must hold a success, and a failure, for a share's bootstrap to be trusted


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, in the value's own unit; `n` counts what was averaged."""

    value: float
    low: float
    high: float
    n: int


def resamples(streams: int, draws: int, seed: int | Sequence[int]) -> Float[np.ndarray, "draw stream"]:
    """How often each stream occurs in each bootstrap draw of `streams` streams with replacement; rows sum to it."""
    counts = np.random.default_rng(seed).multinomial(streams, np.full(streams, 1 / streams), size=draws)
    return counts.astype(np.float64)


def stream_sums(
    values: Float[np.ndarray, "read ..."], stream: Int[np.ndarray, "read"], streams: int
) -> Float[np.ndarray, "stream ..."]:
    """Sum of `values` over the reads of each stream; zero for a stream without reads."""
    sums = np.zeros((streams, *np.shape(values)[1:]))
    np.add.at(sums, stream, values)
    return sums


def ratio_draws(
    weights: Float[np.ndarray, "draw stream"],
    numerators: Float[np.ndarray, "stream ..."],
    denominators: Float[np.ndarray, "stream"],
) -> Float[np.ndarray, "draw ..."]:
    """The ratio of sums in every draw; NaN in a draw that holds nothing to divide by."""
    totals = weights @ denominators
    totals = np.where(totals > 0, totals, np.nan).reshape(-1, *[1] * (numerators.ndim - 1))
    return np.asarray(np.tensordot(weights, numerators, axes=1) / totals)


def interval(draws: Float[np.ndarray, "draw ..."], confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper percentile bounds over the first axis; infinite draws (never happened) rank last, NaN is ignored.

    Order statistics, not interpolated: an interpolation between a finite and an infinite draw has no meaning.
    """
    tail = (1 - confidence) / 2
    low = np.nanquantile(draws, tail, axis=0, method="lower")
    high = np.nanquantile(draws, 1 - tail, axis=0, method="higher")
    return np.asarray(low), np.asarray(high)


def ratio(
    numerators: Float[np.ndarray, "stream"],
    denominators: Float[np.ndarray, "stream"],
    weights: Float[np.ndarray, "draw stream"],
    confidence: float,
) -> Estimate:
    """The ratio of sums with its bootstrap interval over streams; `n` is the sum of the denominators."""
    low, high = interval(ratio_draws(weights, numerators, denominators), confidence)
    total = denominators.sum()
    return Estimate(float(numerators.sum() / total), float(low), float(high), round(total))


def share(
    successes: Float[np.ndarray, "stream"],
    trials: Float[np.ndarray, "stream"],
    weights: Float[np.ndarray, "draw stream"],
    confidence: float,
) -> Estimate:
    """A share of reads with its bootstrap interval over streams, or Wilson's where hardly a stream differs.

    If fewer than `FEWEST_DIFFERENT` streams hold a success, or a failure, resamples repeat these few or miss them all,
    and the percentile bootstrap is too narrow; with none it claims certainty. There the interval is Wilson's score
    interval at the share found, with one trial a stream: as if all reads of a stream were one, the cautious end of what
    clustering allows (effective sample size: Korn & Graubard 1998, Surv. Methodol. 24:193; few successes: Brown, Cai &
    DasGupta 2001, Stat. Sci. 16:101). So it moves with the share, up to 0 and 1.
    """
    found = ratio(successes, trials, weights, confidence)
    differing = min(np.count_nonzero(successes > 0), np.count_nonzero(successes < trials))
    if differing >= FEWEST_DIFFERENT:
        return found
    streams = int(np.count_nonzero(trials))
    low, high = wilson(found.value * streams, streams, confidence)
    return Estimate(found.value, low, high, found.n)


def difference(
    draws_a: Float[np.ndarray, "draw"],
    draws_b: Float[np.ndarray, "draw"],
    value: float,
    n: int,
    confidence: float,
) -> Estimate:
    """`value` (a − b) with the interval of the draws' differences; paired if both come from the same `weights`."""
    low, high = interval(draws_a - draws_b, confidence)
    return Estimate(value, float(low), float(high), n)


def wilson(successes: float, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a binomial share (Wilson 1927, J. Am. Stat. Assoc. 22:209)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (successes + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * (successes * (n - successes) / n + z * z / 4) ** 0.5
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high


def permutation_p(observed: float | np.ndarray, null: Float[np.ndarray, "... draw"]) -> Float[np.ndarray, "..."]:
    """(1 + draws at or above the observed) / (1 + draws), over the last axis of `null`.

    Never zero: the observed order is one of the orders (Phipson & Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9:39).
    """
    above = (null >= np.asarray(observed)[..., None]).sum(-1)
    return np.asarray((1 + above) / (1 + null.shape[-1]))


def rise_p(value: float | np.ndarray, draws: Float[np.ndarray, "draw ..."]) -> Float[np.ndarray, "..."]:
    """One-sided p-value that `value` is above zero: normal, with the bootstrap draws' standard error.

    Counting draws below zero could not go under 1/(1 + draws), which no correction over thousands of tests survives.
    """
    error = np.nanstd(draws, axis=0, ddof=1)
    value = np.asarray(value, dtype=np.float64)
    z = np.divide(value, error, out=np.where(value > 0, np.inf, -np.inf), where=error > 0)
    return np.asarray(ndtr(-z))


def benjamini_yekutieli(p: Float[np.ndarray, "test"]) -> Float[np.ndarray, "test"]:
    """Adjusted p-values: rejecting those ≤ q keeps the false-discovery rate at q, however the tests depend.

    Benjamini & Hochberg's procedure at q / Σ 1/i (Benjamini & Yekutieli 2001, Ann. Stat. 29:1165): metrics of the same
    reads, and increments that share a checkpoint, depend in both directions, which the plain procedure does not allow.
    """
    order, rank = np.argsort(p), np.arange(1, len(p) + 1)
    scaled = np.asarray(p[order] * len(p) * (1 / rank).sum() / rank)
    adjusted = np.empty_like(scaled)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return np.asarray(adjusted)
