"""What stands before each read: the writes of its stream side by side, as shortcuts see them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from formation.benchmark.events import WriteTable, earlier, write_table
from formation.benchmark.streams import Split


@dataclass(frozen=True)
class View:
    """For every read, one column a write of its stream; everything is 0 or False for writes behind the read."""

    value: Int[np.ndarray, "read slot"]  # value index, -1 behind the last write
    before: Bool[np.ndarray, "read slot"]  # the write stands before the read
    lag: Int[np.ndarray, "read slot"]  # writes between it and the read
    ordinal: Int[np.ndarray, "read slot"]  # 1 for the first write of the read's key, …; 0 for other keys
    current: Bool[np.ndarray, "read slot"]  # the latest write of its own key
    rank: Int[np.ndarray, "read slot"]  # of a current write: how many keys were written since; -1 for all others
    writes_of: Int[np.ndarray, "read slot"]  # 1 for the first write of its own key, …
    seen: Int[np.ndarray, "read slot"]  # how often its value stands before the read, in writes and answers
    last_answer: Int[np.ndarray, "read"]  # value answered at the read before, -1 for a stream's first
    last_answer_of_key: Int[np.ndarray, "read"]  # value answered at the last read of the same key, -1: none before
    position: Int[np.ndarray, "read"]  # answer position
    written: Int[np.ndarray, "read"]  # writes before the read
    wrote_last: Bool[np.ndarray, "read"]  # the event just before the read is a write
    truth: Int[np.ndarray, "read"]  # value index of the right answer
    truth_lag: Int[np.ndarray, "read"]  # its lag
    half: Int[np.ndarray, "read"]  # 0 or 1: half of the streams the read belongs to


def view(split: Split) -> View:
    """The view of all reads of `split`."""
    table, reads = write_table(split), split.reads
    before = earlier(table, reads)
    key, value = table.key[reads.stream], table.value[reads.stream]
    same = before & (key == reads.key[:, None])
    written = before.sum(axis=1)
    last_answer = np.where(np.diff(reads.stream, prepend=-1) == 0, np.roll(reads.value, 1), -1)
    current = _current(key, before)
    return View(
        value=value,
        before=before,
        lag=np.where(before, written[:, None] - 1 - np.arange(before.shape[1]), 0),
        ordinal=np.where(same, np.cumsum(same, axis=1), 0),
        current=current,
        rank=np.where(current, np.cumsum(current[:, ::-1], axis=1)[:, ::-1] - 1, -1),
        writes_of=_writes_of(key, before),
        seen=_seen(split, table, value, before),
        last_answer=last_answer,
        last_answer_of_key=_last_answer_of_key(split),
        position=reads.position,
        written=written,
        wrote_last=_wrote_last(table, split),
        truth=reads.value,
        truth_lag=reads.lag,
        half=reads.stream % 2,
    )


def _current(key: Int[np.ndarray, "read slot"], before: Bool[np.ndarray, "read slot"]) -> Bool[np.ndarray, "read slot"]:
    """Which earlier writes have no later write of the same key before the read."""
    out = before.copy()
    for slot in range(key.shape[1]):
        again = before[:, slot + 1 :] & (key[:, slot + 1 :] == key[:, slot, None])
        out[:, slot] &= ~again.any(axis=1)
    return out


def _writes_of(
    key: Int[np.ndarray, "read slot"], before: Bool[np.ndarray, "read slot"]
) -> Int[np.ndarray, "read slot"]:
    """How often each write's key was written up to and including it."""
    same = (key[:, :, None] == key[:, None, :]) & np.tri(key.shape[1], dtype=bool)
    return np.where(before, same.sum(axis=2), 0)


def _last_answer_of_key(split: Split) -> Int[np.ndarray, "read"]:
    """Value answered at the last read of the same key in the same stream, -1 where there is none before."""
    reads = split.reads
    order = np.lexsort((reads.position, reads.key, reads.stream))
    same = (np.diff(reads.stream[order], prepend=-1) == 0) & (np.diff(reads.key[order], prepend=-1) == 0)
    out = np.empty_like(reads.value)
    out[order] = np.where(same, np.roll(reads.value[order], 1), -1)
    return out


def _seen(
    split: Split, table: WriteTable, value: Int[np.ndarray, "read slot"], before: Bool[np.ndarray, "read slot"]
) -> Int[np.ndarray, "read slot"]:
    """Times each write's value stands before the read: written so far, plus answered so far."""
    reads = split.reads
    written = ((value[:, :, None] == value[:, None, :]) & before[:, None, :]).sum(axis=2)
    answered = np.zeros((len(split.tokens), split.vocabulary.values), np.int64)
    times = np.zeros_like(value)
    ordinal = np.arange(len(reads.stream)) - np.searchsorted(reads.stream, reads.stream)
    for number in range(ordinal.max(initial=-1) + 1):  # all first reads, then all second ones, …
        rows = np.flatnonzero(ordinal == number)
        times[rows] = answered[reads.stream[rows, None], np.maximum(value[rows], 0)]
        answered[reads.stream[rows], reads.value[rows]] += 1
    return np.where(before, written + times, 0)


def _wrote_last(table: WriteTable, split: Split) -> Bool[np.ndarray, "read"]:
    """Whether a write's value is the last value token before the read: it stands two before the read's key."""
    value_at = table.position[split.reads.stream] + 2
    return np.asarray((value_at == split.reads.position[:, None] - 2).any(axis=1))
