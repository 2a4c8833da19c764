"""What a shared basis may be: which scores count, and at which positions it looks. Nothing here needs torch."""

from enum import StrEnum


class Kind(StrEnum):
    """Which scores count as activations."""

    TOPK = "topk"  # the k largest of every position
    BATCH_TOPK = "batch_topk"  # those above one threshold, k a position on average


class Positions(StrEnum):
    """Positions of the streams on which a basis is fit."""

    ANSWERS = "answers"  # the `K` of every read
    ALL = "all"  # every token that is not padding
