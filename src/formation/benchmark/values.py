"""Values for latent programs: all different within a stream, each pair allowed by the split, twins included."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int


@dataclass(frozen=True)
class Roles:
    """The key of every write in the base and in the key twin, and whether any read finds the write there."""

    key: Int[np.ndarray, "stream write"]
    twin_key: Int[np.ndarray, "stream write"]
    answers: Bool[np.ndarray, "stream write"]
    twin_answers: Bool[np.ndarray, "stream write"]


def draw_values(
    allowed: Bool[np.ndarray, "key value"],
    roles: Roles,
    replaced: Int[np.ndarray, "stream"],
    every_write: bool,
    rng: np.random.Generator,
) -> tuple[Bool[np.ndarray, "stream"], Int[np.ndarray, "stream write"], Int[np.ndarray, "stream"]]:
    """Which streams could be given values; for all rows the values of the writes, and the value twin's new value.

    `replaced` is the write whose value the value twin replaces. With `every_write` every pair must be allowed, else
    only those that some read asks for. The writes with fewest choices choose first, which keeps dead ends rare.
    """
    streams, writes = roles.key.shape
    rows = np.arange(streams)
    free = _choices(allowed, roles, every_write)
    new = allowed[roles.key[rows, replaced]]  # the value twin keeps the keys, so the key twin's do not matter
    free = np.concatenate([free, new[:, None]], axis=1)  # the new value is one more, different from all others
    order = np.argsort(free.sum(axis=2) + rng.random((streams, writes + 1)), axis=1)
    chosen = np.full((streams, writes + 1), -1)
    unused = np.ones((streams, allowed.shape[1]), bool)
    alive = np.ones(streams, bool)
    for turn in range(writes + 1):
        write = order[:, turn]
        choice = free[rows, write] & unused
        alive &= choice.any(axis=1)
        value = np.argmax(np.where(choice, rng.random(choice.shape), -1.0), axis=1)
        chosen[rows, write] = value
        unused[rows, value] = False
    return alive, chosen[:, :-1], chosen[:, -1]


def _choices(
    allowed: Bool[np.ndarray, "key value"], roles: Roles, every_write: bool
) -> Bool[np.ndarray, "stream write value"]:
    """Values each write may take: allowed with its key in the base, and with its key in the key twin."""
    base, twin = allowed[roles.key], allowed[roles.twin_key]
    if every_write:
        return np.asarray(base & twin)
    return np.asarray((base | ~roles.answers[..., None]) & (twin | ~roles.twin_answers[..., None]))
