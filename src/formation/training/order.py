"""The data order: which streams a step sees, a pure function of seed and step, so that any window can be replayed."""

from functools import lru_cache

import numpy as np
from jaxtyping import Int


def batch_indices(order_seed: int, step: int, batch: int, streams: int) -> Int[np.ndarray, "batch"]:
    """Indices of the streams that step `step` (counted from 1) trains on.

    All streams are shuffled anew every epoch, and the epochs follow each other without a gap: a batch may take its
    first streams from the end of one epoch and the others from the beginning of the next.
    """
    places = np.arange((step - 1) * batch, step * batch)
    epochs = places // streams
    out = np.empty(batch, dtype=np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        out[here] = epoch_order(order_seed, int(epoch), streams)[places[here] % streams]
    return out


@lru_cache(maxsize=4)
def epoch_order(order_seed: int, epoch: int, streams: int) -> Int[np.ndarray, "stream"]:
    """The order of all streams in one epoch: a permutation drawn from (`order_seed`, `epoch`) alone."""
    order = np.random.default_rng([order_seed, epoch]).permutation(streams)
    order.flags.writeable = False  # it is shared by all callers
    return order
