"""What a residual probe is asked: a label for every read, told from the stream alone."""

from collections.abc import Mapping
from enum import StrEnum

import numpy as np
from jaxtyping import Int

from formation.benchmark.events import write_table
from formation.benchmark.streams import Split
from formation.components.roles import NOWHERE, Role, roles

NO_LABEL = -1  # the read has no such thing
MOST_OVERWRITES = 3  # stale counts from here on are one class


class Target(StrEnum):
    """What is predicted from a state (`docs/measures.md` §3 *Residual probes*)."""

    QUERY_KEY = "query_key"
    CURRENT_VALUE = "current_value"  # of the key: the right answer
    MATCHING_SLOT = "matching_slot"  # how many writes of the stream stand before the supporting one
    STALE_VALUE = "stale_value"  # of the key, overwritten last; no label where nothing was overwritten
    OVERWRITES = "overwrites"  # overwritten values of the key, capped at `MOST_OVERWRITES`


def labels(split: Split) -> Mapping[Target, Int[np.ndarray, "read"]]:
    """The label of every read for every target; `NO_LABEL` where it has none."""
    reads = split.reads
    slots = write_table(split).position[reads.stream]
    stale = roles(split)[Role.STALE_VALUE]
    token = split.tokens[reads.stream, stale]
    return {
        Target.QUERY_KEY: reads.key,
        Target.CURRENT_VALUE: reads.value,
        Target.MATCHING_SLOT: np.argmax(slots == reads.support[:, None], axis=1),
        Target.STALE_VALUE: np.where(stale == NOWHERE, NO_LABEL, token - split.vocabulary.value(0)),
        Target.OVERWRITES: np.minimum(reads.stale, MOST_OVERWRITES),
    }


def class_counts(split: Split) -> Mapping[Target, int]:
    """How many classes each target has in the streams of `split`."""
    keys, values = split.vocabulary.keys, split.vocabulary.values
    return {
        Target.QUERY_KEY: keys,
        Target.CURRENT_VALUE: values,
        Target.MATCHING_SLOT: write_table(split).position.shape[1],
        Target.STALE_VALUE: values,
        Target.OVERWRITES: MOST_OVERWRITES + 1,
    }
