"""The rules behind the heuristics: which of the writes before a read each of them may answer with."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

from formation.benchmark.views import View

Distribution = Float[np.ndarray, "read slot"]
Chosen = Bool[np.ndarray, "read slot"]
Rows = Bool[np.ndarray, "read"]


def fixed_lag(seen: View, lag: int) -> Chosen:
    """The write `lag` writes before the last one."""
    return np.asarray(seen.before & (seen.lag == lag))


def nth_value(seen: View, ordinal: int) -> Chosen:
    """The `ordinal`-th write of the read's key."""
    return np.asarray(seen.ordinal == ordinal)


def _truth(seen: View) -> tuple[Int[np.ndarray, "read"], Int[np.ndarray, "read"]]:
    """Lag and ordinal of the right answer: those of the key's latest write."""
    slot = np.argmax(np.where(seen.ordinal > 0, seen.ordinal, -1), axis=1)
    rows = np.arange(len(slot))
    return seen.lag[rows, slot], seen.ordinal[rows, slot]


def _commonest(
    labels: Int[np.ndarray, "read"], group: Int[np.ndarray, "read"], rows: Rows, half: Int[np.ndarray, "read"]
) -> Int[np.ndarray, "read"]:
    """For each read the label most common in its group, among `rows` of the other half of the streams.

    Where the group is empty there, the label most common in that half. Taking the table from the other half keeps a
    small split from fitting its own noise.
    """
    counts = np.zeros((2, group.max(initial=0) + 1, labels.max(initial=0) + 1), np.int64)
    np.add.at(counts, (1 - half[rows], group[rows], labels[rows]), 1)
    empty = ~counts.any(axis=2, keepdims=True)
    counts = np.where(empty, counts.sum(axis=1, keepdims=True), counts)
    return np.asarray(np.argmax(counts, axis=2)[half, group])


def _best_lag(seen: View, rows: Rows) -> Chosen:
    return _lag_given(seen, rows, np.zeros_like(seen.position))


def _lag_given_position(seen: View, rows: Rows) -> Chosen:
    return _lag_given(seen, rows, seen.position)


def _lag_given(seen: View, rows: Rows, group: Int[np.ndarray, "read"]) -> Chosen:
    return np.asarray(seen.before & (seen.lag == _commonest(_truth(seen)[0], group, rows, seen.half)[:, None]))


def _best_nth(seen: View, rows: Rows) -> Chosen:
    return _nth_given(seen, rows, np.zeros_like(seen.position))


def _nth_given_position(seen: View, rows: Rows) -> Chosen:
    return _nth_given(seen, rows, seen.position)


def _nth_given_writes(seen: View, rows: Rows) -> Chosen:
    return _nth_given(seen, rows, seen.written)


def _nth_given(seen: View, rows: Rows, group: Int[np.ndarray, "read"]) -> Chosen:
    return np.asarray(seen.ordinal == _commonest(_truth(seen)[1], group, rows, seen.half)[:, None])


def _first_value(seen: View, _: Rows) -> Chosen:
    return np.asarray(seen.before & (np.arange(seen.before.shape[1]) == 0))


def _most_recent(seen: View, rows: Rows) -> Chosen:
    return np.where(seen.wrote_last[:, None], fixed_lag(seen, 0), _previous_answer(seen, rows))


def _previous_answer(seen: View, _: Rows) -> Chosen:
    return np.asarray(seen.before & (seen.value == seen.last_answer[:, None]))


def _most_frequent(seen: View, _: Rows) -> Chosen:
    return np.asarray(seen.before & (seen.seen == seen.seen.max(axis=1, keepdims=True)))


def _random_value(seen: View, _: Rows) -> Chosen:
    return seen.before


def _random_current(seen: View, _: Rows) -> Chosen:
    return seen.current


def _previous_of_key(seen: View, _: Rows) -> Chosen:
    return np.asarray((seen.ordinal > 0) & (seen.ordinal == seen.ordinal.max(axis=1, keepdims=True) - 1))


def _random_of_key(seen: View, _: Rows) -> Chosen:
    return np.asarray(seen.ordinal > 0)


def _most_frequent_of_key(seen: View, _: Rows) -> Chosen:
    often = np.where(seen.ordinal > 0, seen.seen, 0)
    return np.asarray((seen.ordinal > 0) & (often == often.max(axis=1, keepdims=True)))


# by the value of `formation.benchmark.heuristics.Heuristic`; numbered lags and ordinals are the two functions on top
RULES: Mapping[str, Callable[[View, Rows], Chosen]] = {
    "best_lag": _best_lag,
    "lag_given_position": _lag_given_position,
    "best_nth": _best_nth,
    "nth_given_position": _nth_given_position,
    "nth_given_writes": _nth_given_writes,
    "first_value": _first_value,
    "most_recent": _most_recent,
    "previous_answer": _previous_answer,
    "most_frequent": _most_frequent,
    "random_value": _random_value,
    "random_current": _random_current,
    "previous_of_key": _previous_of_key,
    "random_of_key": _random_of_key,
    "most_frequent_of_key": _most_frequent_of_key,
}
