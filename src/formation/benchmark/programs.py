"""Latent programs: which key is written and read when, before any value is chosen.

A program is drawn with *slots* for keys (0 … active − 1, in no order); `Programs` of one shape are arrays of equal
length. The two settings of `docs/measures.md` §1 differ in how overwrites are spread over the keys (here) and in which
reads are chosen (`formation.benchmark.reads`), and nowhere else.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from formation.params import Range, Setting


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

    def take(self, rows: Bool[np.ndarray, "stream"] | Int[np.ndarray, "kept"]) -> "Programs":
        """The programs of these rows."""
        return Programs(self.keys[rows], self.gap[rows], self.asked[rows])


def draw_keys(setting: Setting, shape: Shape, count: int, rng: np.random.Generator) -> Int[np.ndarray, "stream write"]:
    """Key slots of the writes of up to `count` streams: those of `count` draws that came out by the setting's rules."""
    return (_balanced_keys if setting is Setting.SOURCE else _random_keys)(shape, count, rng)


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


def _random_keys(shape: Shape, count: int, rng: np.random.Generator) -> Int[np.ndarray, "stream write"]:
    """Key slots in random order, never one twice in a row; rows in which some slot is never written are left out."""
    keys = np.empty((count, shape.writes), np.int64)
    keys[:, 0] = rng.integers(shape.active, size=count)
    for write in range(1, shape.writes):
        step = rng.integers(1, shape.active, size=count)  # never 0, so never the same slot again
        keys[:, write] = (keys[:, write - 1] + step) % shape.active
    complete = (keys[..., None] == np.arange(shape.active)).any(axis=1).all(axis=1)
    return np.asarray(keys[complete])


def _balanced_keys(shape: Shape, count: int, rng: np.random.Generator) -> Int[np.ndarray, "stream write"]:
    """Every slot once, then overwrites spread evenly over the slots, never one twice in a row; dead ends left out."""
    keys = np.empty((count, shape.writes), np.int64)
    keys[:, : shape.active] = np.argsort(rng.random((count, shape.active)), axis=1)
    left = np.full((count, shape.active), shape.overwrites // shape.active)
    left += np.argsort(rng.random((count, shape.active)), axis=1) < shape.overwrites % shape.active
    alive = np.ones(count, bool)
    rows = np.arange(count)
    for write in range(shape.active, shape.writes):
        weight = left * (np.arange(shape.active) != keys[:, write - 1, None])
        alive &= weight.sum(axis=1) > 0
        # the slot with most overwrites left is drawn most often, which keeps dead ends rare
        score = np.where(weight > 0, rng.gumbel(size=weight.shape) + np.log(np.maximum(weight, 1)), -np.inf)
        keys[:, write] = np.argmax(score, axis=1)
        left[rows, keys[:, write]] -= 1
    return np.asarray(keys[alive])
