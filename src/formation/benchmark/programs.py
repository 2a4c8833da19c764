"""Latent programs: which key is written and read when, before any value is chosen.

A program is drawn with *slots* for keys (0 … active − 1, in no order); `Programs` of one shape are arrays of equal
length. The two settings of `docs/measures.md` §1 differ here and nowhere else: how overwrites are spread over the
keys, which reads are allowed, and how they are chosen.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from formation.params import BenchmarkParams, Range, Setting

STALE_CLASSES = 4  # stale counts 0, 1, 2, and 3 or more share their strata
FRESH_SHARE = 0.25  # of hardened reads, those of never-overwritten keys: nothing stale can mislead them


@dataclass(frozen=True)
class Shape:
    """One choice of counts out of a `StreamShape`, with the lags its reads may have."""

    active: int
    overwrites: int
    reads: int
    lags: Range

    @property
    def writes(self) -> int:
        """Writes of a stream."""
        return self.active + self.overwrites


@dataclass(frozen=True)
class Programs:
    """Programs of one shape. `gap` is the index of the last write before a read; reads are sorted by it."""

    keys: Int[np.ndarray, "stream write"]  # key slot of every write
    gap: Int[np.ndarray, "stream read"]
    asked: Int[np.ndarray, "stream read"]  # key slot of every read

    def take(self, rows: Bool[np.ndarray, "stream"] | Int[np.ndarray, "stream"]) -> "Programs":
        """The programs of these rows."""
        return Programs(self.keys[rows], self.gap[rows], self.asked[rows])


Weights = Float[np.ndarray, "stale lag"]


def draw(setting: Setting, shape: Shape, count: int, weights: Weights, rng: np.random.Generator) -> Programs:
    """Up to `count` programs: those of `count` draws in which writes and reads could be placed by the rules."""
    if setting is Setting.SOURCE:
        keys = _balanced_keys(shape, count, rng)
        return _reads_with_replacement(shape, keys, rng)
    keys = _random_keys(shape, count, rng)
    return _stratified_reads(shape, keys, weights, rng)


def last_write(keys: Int[np.ndarray, "*batch write"], active: int) -> Int[np.ndarray, "*batch write active"]:
    """Index of the latest write of each key slot among the first writes up to and including each; -1: none."""
    index = np.arange(keys.shape[-1], dtype=np.int16)[:, None]
    mine = keys[..., None] == np.arange(active)
    return np.maximum.accumulate(np.where(mine, index, np.int16(-1)), axis=-2)


def writes_so_far(keys: Int[np.ndarray, "*batch write"], active: int) -> Int[np.ndarray, "*batch write active"]:
    """How often each key slot was written up to and including each write."""
    return np.cumsum(keys[..., None] == np.arange(active), axis=-2, dtype=np.int16)


def canonical(programs: Programs, active: int) -> list[bytes]:
    """Each program up to renaming of keys, as bytes: key slots numbered by first appearance, writes and reads."""
    first = np.argmax(programs.keys[..., None] == np.arange(active), axis=1)
    rank = np.argsort(np.argsort(first, axis=1), axis=1)
    rows = np.arange(len(first))[:, None]
    sides = [rank[rows, programs.keys], programs.gap, rank[rows, programs.asked]]
    head = np.full((len(first), 1), programs.keys.shape[1])
    table = np.ascontiguousarray(np.concatenate([head, *sides], axis=1).astype("<i2"))
    return [row.tobytes() for row in table]


def read_weights(params: BenchmarkParams, shape: Shape, rng: np.random.Generator) -> Weights:
    """Sampling weights of the strata (stale class × lag) that make the reads of a shape as even over them as can be.

    Found by drawing a pilot again and again and raising the weight of strata that came too rarely (iterative
    proportional fitting). A stratum that cannot occur keeps weight 1.
    """
    lags = shape.lags.high + 1
    weights = np.ones((STALE_CLASSES, lags))
    if params.setting is Setting.SOURCE:
        return weights
    target = np.full((STALE_CLASSES, lags), (1 - FRESH_SHARE) / (STALE_CLASSES - 1) / (lags - shape.lags.low))
    target[0] *= FRESH_SHARE * (STALE_CLASSES - 1) / (1 - FRESH_SHARE)
    keys = _random_keys(shape, 512, rng)
    for _ in range(12):
        seen = _strata(_stratified_reads(shape, keys, weights, rng), shape, lags)
        ratio = np.where(seen > 0, target / np.maximum(seen, 1e-4), 1.0)
        weights = np.clip(weights * ratio**0.5, 1e-3, 1e3)
    return weights


def _strata(programs: Programs, shape: Shape, lags: int) -> Weights:
    """Share of reads in every stratum."""
    rows = np.arange(len(programs.keys))[:, None]
    lag = programs.gap - last_write(programs.keys, shape.active)[rows, programs.gap, programs.asked]
    stale = writes_so_far(programs.keys, shape.active)[rows, programs.gap, programs.asked] - 1
    counts = np.zeros((STALE_CLASSES, lags))
    np.add.at(counts, (np.minimum(stale, STALE_CLASSES - 1), lag), 1)
    return counts / max(counts.sum(), 1)


def _random_keys(shape: Shape, count: int, rng: np.random.Generator) -> Int[np.ndarray, "stream write"]:
    """Key slots in random order, never one twice in a row; rows in which some slot is never written are left out."""
    keys = np.empty((count, shape.writes), np.int64)
    keys[:, 0] = rng.integers(shape.active, size=count)
    for write in range(1, shape.writes):
        step = rng.integers(1, shape.active, size=count)  # never 0, so never the same slot again
        keys[:, write] = (keys[:, write - 1] + step) % shape.active
    complete = (keys[..., None] == np.arange(shape.active)).any(axis=1).all(axis=1)
    return keys[complete]


def _balanced_keys(shape: Shape, count: int, rng: np.random.Generator) -> Int[np.ndarray, "stream write"]:
    """Every slot once, then overwrites spread evenly over the slots, never one twice in a row; dead ends left out."""
    keys = np.empty((count, shape.writes), np.int64)
    keys[:, : shape.active] = np.argsort(rng.random((count, shape.active)), axis=1)
    left = np.full((count, shape.active), shape.overwrites // shape.active)
    extra = np.argsort(rng.random((count, shape.active)), axis=1) < shape.overwrites % shape.active
    left += extra
    alive = np.ones(count, bool)
    rows = np.arange(count)
    for write in range(shape.active, shape.writes):
        weight = left * (np.arange(shape.active) != keys[:, write - 1, None])
        alive &= weight.sum(axis=1) > 0
        # the slot with most overwrites left is drawn most often, which keeps dead ends rare
        score = np.where(weight > 0, rng.gumbel(size=weight.shape) + np.log(np.maximum(weight, 1)), -np.inf)
        keys[:, write] = np.argmax(score, axis=1)
        left[rows, keys[:, write]] -= 1
    return keys[alive]


def _allowed_reads(
    shape: Shape, keys: Int[np.ndarray, "stream write"], stale_from: int
) -> tuple[Bool[np.ndarray, "stream write active"], Int[np.ndarray, "..."], Int[np.ndarray, "..."]]:
    """Which (gap, key slot) may be read, with the lag and the stale count such a read would have."""
    latest, so_far = last_write(keys, shape.active), writes_so_far(keys, shape.active)
    lag = np.arange(shape.writes)[:, None] - latest
    allowed = (so_far > stale_from) & (lag >= shape.lags.low) & (lag <= shape.lags.high)
    return allowed, lag, so_far - 1


def _reads_with_replacement(shape: Shape, keys: Int[np.ndarray, "stream write"], rng: np.random.Generator) -> Programs:
    """Reads of overwritten keys, each drawn evenly from all that are allowed."""
    allowed = _allowed_reads(shape, keys, stale_from=1)[0].reshape(len(keys), -1)
    possible = allowed.any(axis=1)
    keys, allowed = keys[possible], allowed[possible]
    total = allowed.sum(axis=1)
    pick = (rng.random((len(keys), shape.reads)) * total[:, None]).astype(np.int64)
    order = np.argsort(~allowed, axis=1, kind="stable")  # allowed ones first, in order
    return _sorted(keys, np.take_along_axis(order, pick, axis=1), shape, rng)


def _stratified_reads(
    shape: Shape, keys: Int[np.ndarray, "stream write"], weights: Weights, rng: np.random.Generator
) -> Programs:
    """Different reads, drawn with the weights of their strata (Gumbel top-k: weighted, without replacement)."""
    allowed, lag, stale = _allowed_reads(shape, keys, stale_from=0)
    enough = allowed.sum(axis=(1, 2)) >= shape.reads
    keys, allowed, lag, stale = keys[enough], allowed[enough], lag[enough], stale[enough]
    stratum = (np.clip(stale, 0, STALE_CLASSES - 1), np.clip(lag, 0, weights.shape[1] - 1))
    score = np.where(allowed, np.log(weights)[stratum] + rng.gumbel(size=allowed.shape), -np.inf)
    chosen = np.argpartition(-score.reshape(len(keys), -1), shape.reads - 1, axis=1)[:, : shape.reads]
    return _sorted(keys, chosen, shape, rng)


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
