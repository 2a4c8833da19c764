"""Where things stand for each read (`docs/measures.md` §0 *role*), and what kind of token stands at every position."""

from collections.abc import Mapping
from enum import IntEnum, StrEnum

import numpy as np
from jaxtyping import Bool, Int

from formation.benchmark.events import earlier, write_table
from formation.benchmark.streams import Special, Split

NOWHERE = -1  # position of a role that a read does not have


class Role(StrEnum):
    """A position's job in one read."""

    READ_MARK = "read_mark"  # the read's `R`
    QUERY_KEY = "query_key"  # the read's key: the answer position
    MATCHING_MARK = "matching_mark"  # `W` of the supporting write
    MATCHING_KEY = "matching_key"
    MATCHING_VALUE = "matching_value"
    STALE_KEY = "stale_key"  # of the key's last overwritten write; nowhere if there is none
    STALE_VALUE = "stale_value"
    DISTRACTOR_KEY = "distractor_key"  # of the latest write of another key before the read; nowhere if there is none
    DISTRACTOR_VALUE = "distractor_value"
    NEXT_KEY = (
        "next_key"  # the key token behind the matching value, two on: of the event that follows, or the read's own
    )


class Kind(IntEnum):
    """What a token is where it stands; means over positions are taken kind by kind."""

    PAD = 0
    BOS = 1
    EOS = 2
    WRITE_MARK = 3
    WRITE_KEY = 4
    WRITE_VALUE = 5
    READ_MARK = 6
    READ_KEY = 7
    READ_VALUE = 8


def roles(split: Split) -> Mapping[Role, Int[np.ndarray, "read"]]:
    """The position of every role for every read; `NOWHERE` where a read has none."""
    reads, table = split.reads, write_table(split)
    key, position, before = table.key[reads.stream], table.position[reads.stream], earlier(table, reads)
    same = key == reads.key[:, None]
    stale = _latest(position, before & same & (position < reads.support[:, None]))
    other = _latest(position, before & ~same)
    return {
        Role.READ_MARK: reads.position - 1,
        Role.QUERY_KEY: reads.position,
        Role.MATCHING_MARK: reads.support,
        Role.MATCHING_KEY: reads.support + 1,
        Role.MATCHING_VALUE: reads.support + 2,
        Role.STALE_KEY: _behind(stale, 1),
        Role.STALE_VALUE: _behind(stale, 2),
        Role.DISTRACTOR_KEY: _behind(other, 1),
        Role.DISTRACTOR_VALUE: _behind(other, 2),
        Role.NEXT_KEY: reads.support + 4,
    }


def kinds(split: Split) -> Int[np.ndarray, "stream pos"]:
    """The `Kind` of every token of the streams."""
    tokens = split.tokens
    out = np.full(tokens.shape, Kind.PAD, np.int64)
    out[tokens == Special.BOS], out[tokens == Special.EOS] = Kind.BOS, Kind.EOS
    for mark, first in ((Special.WRITE, Kind.WRITE_MARK), (Special.READ, Kind.READ_MARK)):
        stream, position = np.nonzero(tokens == mark)
        for offset in range(3):
            out[stream, position + offset] = first + offset
    return out


def value_positions(split: Split) -> dict[str, Bool[np.ndarray, "read pos"]]:
    """Masks over the positions before each read's answer: where its value, stale values and other keys' values stand.

    `matching` is the supporting write's value alone, `matching_any` also the answers of earlier reads of that write;
    `stale` and `distractor` are written or answered values of the same key, and of other keys. The last three share
    all value tokens before the read among them.
    """
    reads, tokens = split.reads, split.tokens[split.reads.stream]
    place = np.arange(tokens.shape[1])
    kind = kinds(split)[reads.stream]
    value = ((kind == Kind.WRITE_VALUE) | (kind == Kind.READ_VALUE)) & (place < reads.position[:, None])
    owner = np.roll(tokens, 1, axis=1) == split.vocabulary.key(0) + reads.key[:, None]  # the token before is its key
    current = place >= reads.support[:, None]
    return {
        "matching": place == reads.support[:, None] + 2,
        "matching_any": value & owner & current,
        "stale": value & owner & ~current,
        "distractor": value & ~owner,
    }


def _latest(position: Int[np.ndarray, "read slot"], chosen: Bool[np.ndarray, "read slot"]) -> Int[np.ndarray, "read"]:
    """The position of the last chosen write, `NOWHERE` without one."""
    return np.asarray(np.where(chosen, position, NOWHERE).max(axis=1))


def _behind(mark: Int[np.ndarray, "read"], offset: int) -> Int[np.ndarray, "read"]:
    return np.where(mark == NOWHERE, NOWHERE, mark + offset)
