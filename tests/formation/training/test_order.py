"""The data order: every epoch a permutation, epochs without a gap, nothing but seed and step decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formation.training.order import batch_indices, epoch_order

seeds = st.integers(0, 2**63)


@given(seed=seeds, epoch=st.integers(0, 10_000), streams=st.integers(1, 200))
def test_every_epoch_is_a_permutation(seed: int, epoch: int, streams: int) -> None:
    assert sorted(epoch_order(seed, epoch, streams)) == list(range(streams))


@given(seed=seeds, batch=st.integers(1, 40), streams=st.integers(1, 60), steps=st.integers(1, 20))
def test_batches_run_through_the_epochs_without_a_gap(seed: int, batch: int, streams: int, steps: int) -> None:
    seen = np.concatenate([batch_indices(seed, step, batch, streams) for step in range(1, steps + 1)])
    epochs = np.concatenate([epoch_order(seed, epoch, streams) for epoch in range(len(seen) // streams + 1)])
    np.testing.assert_array_equal(seen, epochs[: len(seen)])


@given(seed=seeds, step=st.integers(1, 10**6))
def test_a_step_can_be_asked_for_alone_and_again(seed: int, step: int) -> None:
    first = batch_indices(seed, step, 16, 50)
    epoch_order.cache_clear()
    np.testing.assert_array_equal(first, batch_indices(seed, step, 16, 50))


def test_epochs_and_seeds_differ() -> None:
    orders = {tuple(epoch_order(seed, epoch, 30)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_an_order_is_shared_and_so_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(1, 0, 5)[0] = 3
