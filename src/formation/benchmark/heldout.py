"""Which (key, value) pairs are held out of training."""

import numpy as np
from jaxtyping import Bool, Int

from formation.benchmark.feasibility import heldout_total
from formation.params import BenchmarkParams

_DRAWS = 64


def heldout_pairs(params: BenchmarkParams, rng: np.random.Generator) -> Bool[np.ndarray, "key value"]:
    """The held-out pairs: as many values for every key (± 1), and every value free with at least one key.

    A key twin exchanges the values of two keys, and in the held-out split both exchanged pairs must be held out too:
    two keys can only be partners if they share two held-out values. Of `_DRAWS` random matrices the one is taken in
    which most pairs of keys can be partners, so that held-out twins are spread over the keys.
    """
    draws = [_draw(params, rng) for _ in range(_DRAWS)]
    learnable = [matrix for matrix in draws if not matrix.all(axis=0).any()]
    if not learnable:
        return _draw(params, rng, balanced=True)
    return max(learnable, key=lambda matrix: int(partners(matrix).sum()))


def partners(allowed: Bool[np.ndarray, "key value"]) -> Bool[np.ndarray, "key other"]:
    """Which pairs of different keys share at least two allowed values, so that their values can be exchanged."""
    shared: Int[np.ndarray, "key other"] = allowed.astype(np.int64) @ allowed.T.astype(np.int64)
    return (shared >= 2) & ~np.eye(len(allowed), dtype=bool)


def _draw(params: BenchmarkParams, rng: np.random.Generator, balanced: bool = False) -> Bool[np.ndarray, "key value"]:
    """One random matrix; `balanced` gives each key the values that fewest keys before it took."""
    total = heldout_total(params)
    counts = np.full(params.keys, total // params.keys)
    counts[rng.permutation(params.keys)[: total % params.keys]] += 1
    matrix = np.zeros((params.keys, params.values), bool)
    most = max(-(-total // params.values), params.keys // 2)  # keys a value is held out with, unless nothing is left
    for key in rng.permutation(params.keys):
        taken = matrix.sum(axis=0)
        order = np.lexsort((rng.random(params.values), taken if balanced else taken >= most))
        matrix[key, order[: counts[key]]] = True
    return matrix
