"""The rules behind the heuristics: which of the writes before a read each of them may answer with."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

from formation.benchmark import blind
from formation.benchmark.tables import commonest
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


def _best_lag(seen: View, rows: Rows) -> Chosen:
    return _lag_given(seen, rows, np.zeros_like(seen.position))


def _lag_given_position(seen: View, rows: Rows) -> Chosen:
    return _lag_given(seen, rows, seen.position)


def _lag_given(seen: View, rows: Rows, group: Int[np.ndarray, "read"]) -> Chosen:
    return np.asarray(seen.before & (seen.lag == commonest(seen.truth_lag, group, rows, seen.half)[:, None]))


def _best_nth(seen: View, rows: Rows) -> Chosen:
    return _nth_given(seen, rows, np.zeros_like(seen.position))


def _nth_given_position(seen: View, rows: Rows) -> Chosen:
    return _nth_given(seen, rows, seen.position)


def _nth_given_writes(seen: View, rows: Rows) -> Chosen:
    return _nth_given(seen, rows, seen.written)


def _nth_given(seen: View, rows: Rows, group: Int[np.ndarray, "read"]) -> Chosen:
    return np.asarray(seen.ordinal == commonest(seen.ordinal.max(axis=1), group, rows, seen.half)[:, None])


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


def _last_answer_of_key(seen: View, _: Rows) -> Chosen:
    return np.asarray(seen.before & (seen.value == seen.last_answer_of_key[:, None]))


def _random_of_key(seen: View, _: Rows) -> Chosen:
    return np.asarray(seen.ordinal > 0)


def _most_frequent_of_key(seen: View, _: Rows) -> Chosen:
    often = np.where(seen.ordinal > 0, seen.seen, 0)
    return np.asarray((seen.ordinal > 0) & (often == often.max(axis=1, keepdims=True)))


# by the value of `formation.benchmark.heuristics.Heuristic`, without the number where there is one
NUMBERED: Mapping[str, Callable[[View, int], Chosen]] = {
    "lag": fixed_lag,
    "nth": nth_value,
    "current_rank": blind.current_rank,
}
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
    "least_recent_current": blind.least_recent,
    "least_recent_within_lag": blind.least_recent_within_lag,
    "best_rank": blind.best_rank,
    "rank_given_position": blind.rank_given_position,
    "rank_given_writes": blind.rank_given_writes,
    "least_asked_current": blind.least_asked,
    "blind_choice": blind.blind_choice,
    "last_answer_of_key": _last_answer_of_key,
    "previous_of_key": _previous_of_key,
    "random_of_key": _random_of_key,
    "most_frequent_of_key": _most_frequent_of_key,
}
