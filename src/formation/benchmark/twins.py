"""Twins of latent programs: which read a twin is made for, and which two writes exchange their keys.

The value twin replaces the value of the target read's supporting write, and leaves the program as it is. The key twin
exchanges the keys of two current writes: the target's supporting write and the current write of another active key.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from formation.benchmark.programs import Programs, Shape, last_write, writes_so_far
from formation.params import Setting

_CELLS = 20_000_000  # of the largest intermediate array: keeps memory near 100 MB


@dataclass(frozen=True)
class KeyTwins:
    """A key twin for each program: its target read, its writes' key slots, and the support of each of its reads."""

    target: Int[np.ndarray, "stream"]
    keys: Int[np.ndarray, "stream write"]
    support: Int[np.ndarray, "stream read"]
    strict: Bool[np.ndarray, "stream"]  # every rule of the split holds, lags and order of keys included


def supports(keys: Int[np.ndarray, "stream write"], programs: Programs, active: int) -> Int[np.ndarray, "stream read"]:
    """Index of the supporting write of every read, were `keys` written; -1: none."""
    rows = np.arange(len(keys))[:, None]
    return np.asarray(last_write(keys, active)[rows, programs.gap, programs.asked])


def key_twins(
    setting: Setting,
    shape: Shape,
    programs: Programs,
    partner: Bool[np.ndarray, "stream active active"],
    rng: np.random.Generator,
) -> tuple[Bool[np.ndarray, "stream"], KeyTwins]:
    """Which programs have a key twin, and for those a random one among all that obey the rules.

    `partner` says which key slots may exchange values. The target has a stale value, or "any value of the key" would
    answer it in base and twin; in the twin every read has a supporting write, and the target finds the partner's.
    `hardened` demands the split's lags and no key twice in a row of the twin, too. `source` prefers that, but its
    two-key streams write the keys in turn, where no exchange can keep the order: there a twin may have shorter lags,
    repeat a key, and read one before it is overwritten.
    """
    size = max(1, _CELLS // (shape.reads * shape.active * shape.writes * shape.active))
    parts = [
        _choose(setting, shape, programs.take(rows), partner[rows], rng)
        for rows in np.array_split(np.arange(len(programs.keys)), max(1, -(-len(programs.keys) // size)))
    ]
    found = np.concatenate([part[0] for part in parts])
    columns = [np.concatenate(column) for column in zip(*(part[1:] for part in parts), strict=True)]
    return found, KeyTwins(*columns)


def _choose(
    setting: Setting,
    shape: Shape,
    programs: Programs,
    partner: Bool[np.ndarray, "stream active active"],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Found, target, keys, supports and strictness of one random valid candidate (read × partner) for each program."""
    keys, support, valid, strict = _candidates(setting, shape, programs)
    rows = np.arange(len(programs.keys))[:, None, None]
    valid &= partner[rows, programs.asked[:, :, None], np.arange(shape.active)]
    if setting is Setting.HARDENED:
        valid &= strict
    flat = (len(valid), shape.reads * shape.active)
    score = np.where(valid, rng.random(valid.shape) + strict, -1.0).reshape(flat)
    found = np.asarray((score >= 0).any(axis=1))
    best = np.argmax(score, axis=1)[found]
    rows = np.flatnonzero(found)
    target, other = np.divmod(best, shape.active)
    return (
        found,
        target,
        keys[rows, target, other].astype(np.int64),
        support[rows, target, other].astype(np.int64),
        strict[rows, target, other],
    )


def _candidates(
    setting: Setting, shape: Shape, programs: Programs
) -> tuple[
    Int[np.ndarray, "stream read active write"],
    Int[np.ndarray, "stream read active read"],
    Bool[np.ndarray, "stream read active"],
    Bool[np.ndarray, "stream read active"],
]:
    """All exchanges (target read × other key slot): twin keys, supports, whether answerable, whether by all rules."""
    streams, reads, active = len(programs.keys), shape.reads, shape.active
    rows = np.arange(streams)[:, None]
    latest = last_write(programs.keys, active)[rows, programs.gap]  # stream read active
    mine = latest[rows, np.arange(reads), programs.asked][..., None].repeat(active, axis=2)
    stale = writes_so_far(programs.keys, active)[rows, programs.gap, programs.asked] > 1
    exists = (latest >= 0) & (latest != mine) & stale[..., None]
    keys = np.broadcast_to(programs.keys.astype(np.int16)[:, None, None], (streams, reads, active, shape.writes)).copy()
    np.put_along_axis(keys, mine[..., None], np.arange(active, dtype=np.int16)[:, None], axis=3)
    own = np.broadcast_to(programs.asked[:, :, None, None], (streams, reads, active, 1)).astype(np.int16)
    np.put_along_axis(keys, np.maximum(latest, 0)[..., None], own, axis=3)
    where = (np.arange(streams)[:, None, None, None], np.arange(reads)[:, None, None], np.arange(active)[:, None])
    at = (*where, programs.gap[:, None, None, :], programs.asked[:, None, None, :])
    support = last_write(keys, active)[at]
    index = np.broadcast_to(np.arange(reads)[None, :, None, None], (streams, reads, active, 1))
    finds = np.take_along_axis(support, index, axis=3)[..., 0] == latest
    lag = programs.gap[:, None, None, :] - support
    valid = exists & finds & (support >= 0).all(axis=3) & (lag <= shape.lags.high).all(axis=3)
    strict = valid & (lag >= shape.lags.low).all(axis=3) & (keys[..., 1:] != keys[..., :-1]).all(axis=3)
    if setting is Setting.SOURCE:
        strict &= (writes_so_far(keys, active)[at] >= 2).all(axis=3)
    return keys, support, valid, strict
