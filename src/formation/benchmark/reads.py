"""Which reads a program gets.

`source`: reads of overwritten values only, each drawn evenly from all that the lags allow. `hardened`: first it is
decided *when* to ask, from the writes alone; then a key is drawn evenly from all that may be asked there, whatever was
written or asked before. So a rule that never looks at the question is right at most once in `CANDIDATES` reads, by
construction: not lag, nor recency, nor what was asked before can tell it which key comes. (That twins must exist, too,
moves a key's chance by about .01.)

When to ask closes what looks at the key. `FRESH_SHARE` of the reads ask while no answer has a stale rival, so that a
value already answered is often one that is overwritten later. The others prefer moments with many stale values: there a
key's values are many, and most keys have some, so that not even on reads with a stale value is a key much likelier than
others.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from formation.benchmark.programs import Programs, Shape, draw_keys, last_write, writes_so_far
from formation.params import Setting

CANDIDATES = 3  # hardened streams ask only where at least so many keys may be asked
FRESH_SHARE = 0.4  # of a hardened stream's reads stand where no key that may be asked was overwritten yet
MOST_STALE = 3  # more stale values of a key make a moment no likelier


def draw_programs(setting: Setting, shape: Shape, count: int, rng: np.random.Generator) -> Programs:
    """Up to `count` programs: those of `count` draws in which writes and reads could be placed by the rules."""
    keys = draw_keys(setting, shape, count, rng)
    lag = np.arange(shape.writes)[:, None] - last_write(keys, shape.active)
    so_far = writes_so_far(keys, shape.active)
    in_range = (so_far > 0) & (lag >= shape.lags.low) & (lag <= shape.lags.high)
    if setting is Setting.SOURCE:
        return _even_reads(shape, keys, in_range & (so_far > 1), rng)
    return _blind_reads(shape, keys, in_range, so_far - 1, rng)


def _even_reads(
    shape: Shape,
    keys: Int[np.ndarray, "stream write"],
    allowed: Bool[np.ndarray, "stream gap active"],
    rng: np.random.Generator,
) -> Programs:
    """Reads among the allowed, with repetition: two keys, written in turn, offer hardly more than are drawn."""
    allowed = allowed.reshape(len(keys), shape.writes * shape.active)
    possible = allowed.any(axis=1)
    keys, allowed = keys[possible], allowed[possible]
    pick = (rng.random((len(keys), shape.reads)) * allowed.sum(axis=1, keepdims=True)).astype(np.int64)
    order = np.argsort(~allowed, axis=1, kind="stable")  # allowed ones first, in order
    gap, asked = np.divmod(np.take_along_axis(order, pick, axis=1), shape.active)
    order = np.argsort(gap + rng.random(gap.shape), axis=1)  # by gap; within a gap in random order
    return Programs(keys, np.take_along_axis(gap, order, axis=1), np.take_along_axis(asked, order, axis=1))


def _blind_reads(
    shape: Shape,
    keys: Int[np.ndarray, "stream write"],
    allowed: Bool[np.ndarray, "stream gap active"],
    stale: Int[np.ndarray, "stream gap active"],
    rng: np.random.Generator,
) -> Programs:
    """Reads at moments with enough keys to ask for, the key drawn evenly and apart from everything else."""
    weight, possible = _moments(allowed, stale)
    keys, allowed, weight = keys[possible], allowed[possible], weight[possible]
    gap = _spread(weight, shape.reads, rng)
    at = allowed[np.arange(len(keys))[:, None], gap]
    return Programs(keys, gap, np.argmax(np.where(at, rng.random(at.shape), -1.0), axis=2))


def _moments(
    allowed: Bool[np.ndarray, "stream gap active"], stale: Int[np.ndarray, "stream gap active"]
) -> tuple[Float[np.ndarray, "stream gap"], Bool[np.ndarray, "stream"]]:
    """Share of each stream's reads that every gap gets, and which streams have gaps both before and after overwrites.

    Gaps with something stale are weighted by the square of the mean number of stale values a key has there.
    """
    enough = allowed.sum(axis=2) >= CANDIDATES
    mean = (np.minimum(stale, MOST_STALE) * allowed).sum(axis=2) / np.maximum(allowed.sum(axis=2), 1)
    later, fresh = np.where(enough, mean**2, 0.0), (enough & (mean == 0)).astype(np.float64)
    possible = later.any(axis=1) & fresh.any(axis=1)
    parts = (_shares(fresh) * FRESH_SHARE, _shares(later) * (1 - FRESH_SHARE))
    return np.asarray(parts[0] + parts[1]), np.asarray(possible)


def _shares(weight: Float[np.ndarray, "stream gap"]) -> Float[np.ndarray, "stream gap"]:
    """Weights that sum to 1, or to 0 where there are none."""
    total = weight.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(weight, total, out=np.zeros_like(weight), where=total > 0))


def _spread(
    weight: Float[np.ndarray, "stream gap"], reads: int, rng: np.random.Generator
) -> Int[np.ndarray, "stream read"]:
    """Gaps of the reads of each stream, in order: each gap's share of them is its share of the weight, rounded.

    Systematic sampling (Madow 1949, Ann. Math. Stat. 20:333): reads stand as evenly as the weights allow.
    """
    total = np.cumsum(weight, axis=1)
    reached = np.floor(reads * (total / total[:, -1:]) + rng.random((len(weight), 1))).astype(np.int64)
    number = np.arange(reads)
    return np.asarray((reached[:, :, None] <= number).sum(axis=1))
