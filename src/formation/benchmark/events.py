"""From tokens to events: which writes and reads a stream holds, and which write each read must find.

Vectorised and used everywhere; `formation.benchmark.oracle` computes the same answers independently, token by token.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from formation.benchmark.streams import Reads, Special, Split, Twin, Vocabulary, Writes
from formation.errors import BenchmarkError


@dataclass(frozen=True)
class WriteTable:
    """The writes of a split, one row a stream; -1 behind a stream's last write."""

    key: Int[np.ndarray, "stream slot"]
    value: Int[np.ndarray, "stream slot"]
    position: Int[np.ndarray, "stream slot"]


def as_split(
    name: str, vocabulary: Vocabulary, tokens: Int[np.ndarray, "stream pos"], length: Int[np.ndarray, "stream"]
) -> Split:
    """A `Split` of padded token streams, its events read from the tokens.

    The right answer of a read is the value of its supporting write, whatever token follows the read. Raises
    `BenchmarkError` naming the stream where a read's key was never written or an event is cut short.
    """
    writes = _writes(vocabulary, tokens)
    return Split(name, vocabulary, tokens, length, writes, _reads(name, vocabulary, tokens, writes))


def twin_split(base: Split, twin: Twin) -> Split:
    """The streams of `twin` as a split of their own, with their own supports, lags and stale counts."""
    return as_split(f"{base.name}/{twin.kind}", base.vocabulary, twin.tokens, base.length)


def write_table(split: Split) -> WriteTable:
    """All writes of `split` as rows of one length, so that reads can look at them side by side."""
    return _table(split.writes, len(split.tokens))


def earlier(table: WriteTable, reads: Reads) -> Bool[np.ndarray, "read slot"]:
    """Which writes of its stream stand before each read."""
    position = table.position[reads.stream]
    return np.asarray((position >= 0) & (position < reads.position[:, None]))


def _table(writes: Writes, streams: int) -> WriteTable:
    counts = np.bincount(writes.stream, minlength=streams)
    slot = np.arange(len(writes.stream)) - np.repeat(np.cumsum(counts) - counts, counts)
    tables = []
    for column in (writes.key, writes.value, writes.position):
        table = np.full((streams, counts.max(initial=0)), -1, np.int64)
        table[writes.stream, slot] = column
        tables.append(table)
    return WriteTable(*tables)


def _writes(vocabulary: Vocabulary, tokens: Int[np.ndarray, "stream pos"]) -> Writes:
    stream, position = np.nonzero(tokens == Special.WRITE)
    if (position + 2 >= tokens.shape[1]).any():
        raise BenchmarkError(f"stream {stream[position + 2 >= tokens.shape[1]][0]}: a write is cut short")
    key = tokens[stream, position + 1] - vocabulary.key(0)
    value = tokens[stream, position + 2] - vocabulary.value(0)
    bad = (key < 0) | (key >= vocabulary.keys) | (value < 0) | (value >= vocabulary.values)
    if bad.any():
        raise BenchmarkError(f"stream {stream[bad][0]}: expected W, a key and a value at position {position[bad][0]}")
    return Writes(stream, position, key, value)


def _reads(name: str, vocabulary: Vocabulary, tokens: Int[np.ndarray, "stream pos"], writes: Writes) -> Reads:
    stream, mark = np.nonzero(tokens == Special.READ)
    position = mark + 1
    if (position + 1 >= tokens.shape[1]).any():
        raise BenchmarkError(f"{name}: stream {stream[position + 1 >= tokens.shape[1]][0]}: a read is cut short")
    key = tokens[stream, position] - vocabulary.key(0)
    table = _table(writes, len(tokens))
    before = (table.position[stream] >= 0) & (table.position[stream] < position[:, None])
    same = before & (table.key[stream] == key[:, None])
    if not same.any(axis=1).all():
        raise BenchmarkError(f"{name}: stream {stream[~same.any(axis=1)][0]} reads a key that was never written")
    slots = same.shape[1]
    support = slots - 1 - np.argmax(same[:, ::-1], axis=1)
    return Reads(
        stream=stream,
        position=position,
        key=key,
        value=table.value[stream, support],
        support=table.position[stream, support],
        lag=before.sum(axis=1) - 1 - support,
        stale=same.sum(axis=1) - 1,
    )
