"""Shortcuts that never look at the question: rules of recency rank, and the best choice a table can learn.

A *current* value is the latest one of its key; its *rank* is the number of keys written since (0: the last value
written). A rule that names a current value by what stands before the read, and not by the read's key, is right as
often as reads prefer some keys: `blind_choice` measures how far they do. No such rule follows a key twin on its target.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from formation.benchmark.tables import commonest
from formation.benchmark.views import View

Chosen = Bool[np.ndarray, "read slot"]
Rows = Bool[np.ndarray, "read"]
_ASKED, _WRITES = 3, 3  # classes of times asked (0, 1, more) and of writes of the key (1, 2, more)


def current_rank(seen: View, rank: int) -> Chosen:
    """The current value of the key written `rank` keys before the last one."""
    return np.asarray(seen.rank == rank)


def least_recent(seen: View, _: Rows) -> Chosen:
    """The current value whose key has gone longest without a write."""
    return np.asarray(seen.current & (seen.rank == seen.rank.max(axis=1, keepdims=True)))


def least_recent_within_lag(seen: View, rows: Rows) -> Chosen:
    """The least recent current value among those of at most a lag: the one that is right most often."""
    lags = np.where(seen.current, seen.lag, -1)
    limits = np.arange(lags.max(initial=0) + 1)
    oldest = np.stack([np.where(lags <= limit, lags, -1).max(axis=1) for limit in limits], axis=1)
    right = (oldest == seen.truth_lag[:, None]) & rows[:, None]
    hits = np.stack([right[seen.half != half].sum(axis=0) for half in (0, 1)])
    best = oldest[np.arange(len(oldest)), hits.argmax(axis=1)[seen.half]]
    return np.asarray(seen.current & (seen.lag == best[:, None]))


def best_rank(seen: View, rows: Rows) -> Chosen:
    """The fixed rank that is right most often."""
    return _rank_given(seen, rows, np.zeros_like(seen.position))


def rank_given_position(seen: View, rows: Rows) -> Chosen:
    """The best rank for each answer position."""
    return _rank_given(seen, rows, seen.position)


def rank_given_writes(seen: View, rows: Rows) -> Chosen:
    """The best rank for each number of writes so far."""
    return _rank_given(seen, rows, seen.written)


def least_asked(seen: View, _: Rows) -> Chosen:
    """The current value answered least often so far."""
    asked = np.where(seen.current, seen.seen, seen.seen.max(initial=0) + 1)
    return np.asarray(seen.current & (asked == asked.min(axis=1, keepdims=True)))


def blind_choice(seen: View, rows: Rows) -> Chosen:
    """The current value most likely to be asked for, by its rank, times asked, writes of its key, and keys so far."""
    cell = _cells(seen)
    tried, right = (np.zeros((2, cell.max(initial=0) + 1)) for _ in range(2))
    read, slot = np.nonzero(seen.current & rows[:, None])
    other, where = 1 - seen.half[read], cell[read, slot]
    np.add.at(tried, (other, where), 1)
    np.add.at(right, (other, where), seen.lag[read, slot] == seen.truth_lag[read])
    likely: Float[np.ndarray, "half cell"] = right / np.maximum(tried, 1)
    score = np.where(seen.current, likely[seen.half[:, None], cell], -1.0)
    return np.asarray(seen.current & (score == score.max(axis=1, keepdims=True)))


def _rank_given(seen: View, rows: Rows, group: Int[np.ndarray, "read"]) -> Chosen:
    truth = seen.rank[np.arange(len(seen.rank)), seen.written - 1 - seen.truth_lag]
    return np.asarray(seen.rank == commonest(truth, group, rows, seen.half)[:, None])


def _cells(seen: View) -> Int[np.ndarray, "read slot"]:
    """The cell of `blind_choice` each current value falls into."""
    keys = seen.current.sum(axis=1, keepdims=True)
    asked = np.minimum(seen.seen - 1, _ASKED - 1)
    writes = np.minimum(seen.writes_of - 1, _WRITES - 1)
    size = int(keys.max(initial=0)) + 1
    cell = ((keys * size + seen.rank) * _ASKED + asked) * _WRITES + writes
    return np.where(seen.current, cell, 0)
