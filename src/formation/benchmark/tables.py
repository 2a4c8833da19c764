"""Tables a fitted shortcut answers from, each taken from the other half of the streams."""

import numpy as np
from jaxtyping import Bool, Int


def commonest(
    labels: Int[np.ndarray, "read"],
    group: Int[np.ndarray, "read"],
    rows: Bool[np.ndarray, "read"],
    half: Int[np.ndarray, "read"],
) -> Int[np.ndarray, "read"]:
    """For each read the label most common in its group, among `rows` of the other half of the streams.

    Where the group is empty there, the label most common in that half. Taking the table from the other half keeps a
    small split from fitting its own noise.
    """
    counts = np.zeros((2, group.max(initial=0) + 1, labels.max(initial=0) + 1), np.int64)
    np.add.at(counts, (1 - half[rows], group[rows], labels[rows]), 1)
    empty = ~counts.any(axis=2, keepdims=True)
    counts = np.where(empty, counts.sum(axis=1, keepdims=True), counts)
    return np.asarray(np.argmax(counts, axis=2)[half, group])
