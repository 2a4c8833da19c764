"""Which reads a program gets.

`source`: reads of overwritten values only, each drawn evenly from all that the lags allow. `hardened`: different reads
of any written value, drawn with weights that spread them over stale count × lag and keep the stale count from following
from the position, so that neither "the value written k writes ago" nor "the n-th value of the key" is often right.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from formation.benchmark.programs import Programs, Shape, draw_keys, last_write, writes_so_far
from formation.params import Setting

STALE_CLASSES = 4  # stale counts 0, 1, 2, and 3 or more
FRESH_SHARE = 0.25  # aim for reads of never-overwritten keys, where nothing stale can mislead
# A second read of the same write is this much (log-odds) less likely than its first, a third twice as much: an answer
# already given is the key's most frequent value, and would be right too often if the same value were asked for again.
REPEAT_PENALTY = 1.0
_PILOT, _ROUNDS = 512, 12
_WEIGHT_LIMITS = (1e-3, 300.0)

Weights = Float[np.ndarray, "gap stale lag"]
Candidates = Bool[np.ndarray, "stream gap active"]


def draw_programs(setting: Setting, shape: Shape, count: int, weights: Weights, rng: np.random.Generator) -> Programs:
    """Up to `count` programs: those of `count` draws in which writes and reads could be placed by the rules."""
    keys = draw_keys(setting, shape, count, rng)
    if setting is Setting.SOURCE:
        return _even_reads(shape, keys, rng)
    return _stratified_reads(shape, keys, weights, rng)


def read_weights(setting: Setting, shape: Shape, rng: np.random.Generator) -> Weights:
    """Sampling weights of the strata (gap × stale class × lag) for `hardened` programs of a shape; ones for `source`.

    Found by drawing a pilot again and again, raising the weight of what came too rarely (iterative proportional
    fitting) towards two aims: reads even over stale class × lag, and, at every gap, stale reads even over the stale
    classes. What a gap cannot offer loses its reads to later gaps, until the limits of the weights.
    """
    lags = shape.lags.high + 1
    by_gap, by_lag = np.ones((shape.writes, STALE_CLASSES)), np.ones((STALE_CLASSES, lags))
    if setting is Setting.SOURCE:
        return by_gap[:, :, None] * by_lag
    stale_share = (1 - FRESH_SHARE) / (STALE_CLASSES - 1)
    target = np.array([FRESH_SHARE] + [stale_share] * (STALE_CLASSES - 1))[:, None] / (lags - shape.lags.low)
    keys = draw_keys(setting, shape, _PILOT, rng)
    for _ in range(_ROUNDS):
        seen = _strata(_stratified_reads(shape, keys, by_gap[:, :, None] * by_lag, rng), shape)
        total = seen.sum(axis=0)
        by_lag = np.clip(by_lag * _ratio(np.broadcast_to(target, total.shape), total) ** 0.5, *_WEIGHT_LIMITS)
        stale = seen[:, 1:].sum(axis=2)
        even = np.broadcast_to(stale.mean(axis=1, keepdims=True), stale.shape)
        by_gap[:, 1:] = np.clip(by_gap[:, 1:] * _ratio(even, stale), *_WEIGHT_LIMITS)
    return by_gap[:, :, None] * by_lag


def _ratio(wanted: Float[np.ndarray, "a b"], seen: Float[np.ndarray, "a b"]) -> Float[np.ndarray, "a b"]:
    """Wanted over seen share, at most 16; 1 where nothing is wanted."""
    floor = np.maximum(wanted / 16, 1e-12)
    return np.where(wanted > 0, wanted / np.maximum(seen, floor), 1.0)


def _strata(programs: Programs, shape: Shape) -> Weights:
    """Share of reads in every stratum."""
    rows = np.arange(len(programs.keys))[:, None]
    lag = programs.gap - last_write(programs.keys, shape.active)[rows, programs.gap, programs.asked]
    stale = writes_so_far(programs.keys, shape.active)[rows, programs.gap, programs.asked] - 1
    counts = np.zeros((shape.writes, STALE_CLASSES, shape.lags.high + 1))
    np.add.at(counts, (programs.gap, np.minimum(stale, STALE_CLASSES - 1), lag), 1)
    return np.asarray(counts / max(counts.sum(), 1))


def _even_reads(shape: Shape, keys: Int[np.ndarray, "stream write"], rng: np.random.Generator) -> Programs:
    """Reads of overwritten keys, with repetition: two keys, written in turn, offer hardly more than are drawn."""
    lag = np.arange(shape.writes)[:, None] - last_write(keys, shape.active)
    allowed = (writes_so_far(keys, shape.active) > 1) & (lag >= shape.lags.low) & (lag <= shape.lags.high)
    allowed = allowed.reshape(len(keys), shape.writes * shape.active)
    possible = allowed.any(axis=1)
    keys, allowed = keys[possible], allowed[possible]
    pick = (rng.random((len(keys), shape.reads)) * allowed.sum(axis=1, keepdims=True)).astype(np.int64)
    order = np.argsort(~allowed, axis=1, kind="stable")  # allowed ones first, in order
    return _sorted(keys, np.take_along_axis(order, pick, axis=1), shape, rng)


def _stratified_reads(
    shape: Shape, keys: Int[np.ndarray, "stream write"], weights: Weights, rng: np.random.Generator
) -> Programs:
    """Different reads, drawn with the weights of their strata (Gumbel top-k: weighted, without replacement)."""
    support, so_far = last_write(keys, shape.active), writes_so_far(keys, shape.active)
    lag = np.arange(shape.writes)[:, None] - support
    allowed = (so_far > 0) & (lag >= shape.lags.low) & (lag <= shape.lags.high)
    enough = allowed.sum(axis=(1, 2)) >= shape.reads
    keys, support, so_far, lag, allowed = (side[enough] for side in (keys, support, so_far, lag, allowed))
    gap = np.broadcast_to(np.arange(shape.writes)[:, None], lag.shape)
    stratum = (gap, np.clip(so_far - 1, 0, STALE_CLASSES - 1), np.clip(lag, 0, shape.lags.high))
    score = np.where(allowed, np.log(weights)[stratum] + rng.gumbel(size=allowed.shape), -np.inf)
    score, support = (side.reshape(len(keys), shape.writes * shape.active) for side in (score, support))
    score = score - REPEAT_PENALTY * _rank_in_group(score, support)
    chosen = np.argpartition(-score, shape.reads - 1, axis=1)[:, : shape.reads]
    return _sorted(keys, chosen, shape, rng)


def _rank_in_group(
    score: Float[np.ndarray, "stream candidate"], group: Int[np.ndarray, "stream candidate"]
) -> Int[np.ndarray, "stream candidate"]:
    """Rank of every candidate among those of the same group in its stream: 0 for the one with the highest score."""
    order = np.lexsort((-score, group), axis=1)
    sorted_group = np.take_along_axis(group, order, axis=1)
    index = np.arange(order.shape[1])
    starts = np.diff(sorted_group, axis=1, prepend=-2) != 0
    rank = index - np.maximum.accumulate(np.where(starts, index, 0), axis=1)
    out = np.empty_like(rank)
    np.put_along_axis(out, order, rank, axis=1)
    return out


def _sorted(
    keys: Int[np.ndarray, "stream write"],
    chosen: Int[np.ndarray, "stream read"],
    shape: Shape,
    rng: np.random.Generator,
) -> Programs:
    """Programs whose reads stand in order of their gap; within a gap in random order."""
    gap, asked = np.divmod(chosen, shape.active)
    order = np.argsort(gap + rng.random(gap.shape), axis=1)
    return Programs(keys, np.take_along_axis(gap, order, axis=1), np.take_along_axis(asked, order, axis=1))
