"""The relation the task is about: which (key, value) pairs occur where, and what a read must tell apart."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from formation.benchmark.streams import Split, SplitName
from formation.benchmark.views import view


def relation_matrix(splits: Mapping[SplitName, Split], heldout: Bool[np.ndarray, "key value"]) -> dict[str, Any]:
    """Counts of every pair, key by value: `writes` and `answers` of three splits; which pairs are `heldout`."""
    names = (SplitName.TRAIN, SplitName.HELDOUT_PAIRS, SplitName.STRUCTURAL_OOD)
    return {
        "heldout": heldout,
        "writes": {
            str(name): _pairs(splits[name], splits[name].writes.key, splits[name].writes.value) for name in names
        },
        "answers": {
            str(name): _pairs(splits[name], splits[name].reads.key, splits[name].reads.value) for name in names
        },
    }


def identity_classes(splits: Mapping[SplitName, Split]) -> dict[str, Any]:
    """How often each key and each value is written and asked for in training: the task names none of them apart."""
    train = splits[SplitName.TRAIN]
    keys, values = train.vocabulary.keys, train.vocabulary.values
    return {
        "key_writes": np.bincount(train.writes.key, minlength=keys),
        "key_reads": np.bincount(train.reads.key, minlength=keys),
        "value_writes": np.bincount(train.writes.value, minlength=values),
        "value_reads": np.bincount(train.reads.value, minlength=values),
    }


def distractors(split: Split) -> dict[str, float]:
    """Mean number of earlier writes a read has to tell apart from its own, by kind.

    `stale`: overwritten writes of the read's key. `other_current`: current writes of other keys. `other_stale`:
    overwritten writes of other keys. `later`: writes after the supporting one (the lag).
    """
    seen = view(split)
    same = seen.ordinal > 0
    kinds = {
        "stale": same & ~seen.current,
        "other_current": seen.before & ~same & seen.current,
        "other_stale": seen.before & ~same & ~seen.current,
    }
    return {kind: float(which.sum(axis=1).mean()) for kind, which in kinds.items()} | {
        "later": float(split.reads.lag.mean())
    }


def _pairs(
    split: Split, key: Int[np.ndarray, "event"], value: Int[np.ndarray, "event"]
) -> Int[np.ndarray, "key value"]:
    table = np.zeros((split.vocabulary.keys, split.vocabulary.values), np.int64)
    np.add.at(table, (key, value), 1)
    return table
