"""Which (key, value) pairs are held out of training."""

import numpy as np
from jaxtyping import Bool, Int

from formation.benchmark.feasibility import heldout_total
from formation.params import BenchmarkParams

_MOVES = 4000
SHARED = 2  # allowed values two keys must share, so that a key twin can exchange their values


def heldout_pairs(params: BenchmarkParams, rng: np.random.Generator) -> Bool[np.ndarray, "key value"]:
    """The held-out pairs: as many values for every key (± 1), and every value free with at least one key.

    A key twin exchanges the values of two keys, and in the held-out split both exchanged pairs must be held out too.
    So random pairs are moved until every two keys share `SHARED` held-out values, as far as that can be had; otherwise
    the twins of that split would all be made of the few pairs of keys that happen to share some.
    """
    most = _most_keys(params)
    matrix = _draw(params, rng, even=False)
    if matrix.sum(axis=0).max() > most:
        matrix = _draw(params, rng, even=True)
    _share(matrix, most, rng)
    return matrix


def partners(allowed: Bool[np.ndarray, "key value"]) -> Bool[np.ndarray, "key other"]:
    """Which pairs of different keys share enough allowed values to exchange theirs."""
    return (_shared(allowed) >= SHARED) & ~np.eye(len(allowed), dtype=bool)


def _shared(matrix: Bool[np.ndarray, "key value"]) -> Int[np.ndarray, "key other"]:
    return np.asarray(matrix.astype(np.int64) @ matrix.T.astype(np.int64))


def _most_keys(params: BenchmarkParams) -> int:
    """With how many keys a value may be held out: half of them, more only where the fraction demands it."""
    return max(-(-heldout_total(params) // params.values), params.keys // 2)


def _draw(params: BenchmarkParams, rng: np.random.Generator, even: bool) -> Bool[np.ndarray, "key value"]:
    """A random matrix: values held out often enough come last; with `even` the least held-out ones come first."""
    total, most = heldout_total(params), _most_keys(params)
    counts = np.full(params.keys, total // params.keys)
    counts[rng.permutation(params.keys)[: total % params.keys]] += 1
    matrix = np.zeros((params.keys, params.values), bool)
    for key in rng.permutation(params.keys):
        taken = matrix.sum(axis=0)
        order = np.lexsort((rng.random(params.values), taken if even else taken >= most))
        matrix[key, order[: counts[key]]] = True
    return matrix


def _share(matrix: Bool[np.ndarray, "key value"], most: int, rng: np.random.Generator) -> None:
    """Move single pairs within their key, in place, while fewer than all pairs of keys share `SHARED` values.

    A move is kept if it does not lose by the sum of what two keys share (each up to `SHARED`) and, with less weight,
    the number of different values held out, which should stay large.
    """
    shared = _shared(matrix)
    np.fill_diagonal(shared, SHARED)
    taken = matrix.sum(axis=0)
    for _ in range(_MOVES):
        if (shared >= SHARED).all():
            return
        key = rng.integers(len(matrix))
        held, free = np.flatnonzero(matrix[key]), np.flatnonzero(~matrix[key] & (taken < most))
        if not len(held) or not len(free):
            continue
        old, new = held[rng.integers(len(held))], free[rng.integers(len(free))]
        row = shared[key] - matrix[:, old] + matrix[:, new]
        row[key] = SHARED
        gain = np.minimum(row, SHARED).sum() - np.minimum(shared[key], SHARED).sum()
        if gain + 0.3 * (int(taken[new] == 0) - int(taken[old] == 1)) >= 0:
            matrix[key, [old, new]] = False, True
            taken[[old, new]] += (-1, 1)
            shared[key] = shared[:, key] = row
