"""Events read from tokens: supports, lags and stale counts worked out by hand."""

import numpy as np
import pytest

from formation.benchmark.events import as_split, twin_split
from formation.benchmark.generate import Dataset
from formation.benchmark.streams import Special, SplitName, TwinKind, Vocabulary
from formation.errors import BenchmarkError

from .planted import split


def test_a_stream_by_hand() -> None:
    found = split("a1 b2 a3 a?3 c4 b?2 a?3", "d9 d?9")
    reads = found.reads
    assert reads.stream.tolist() == [0, 0, 0, 1]
    assert reads.key.tolist() == [0, 1, 0, 3]
    assert reads.value.tolist() == [3, 2, 3, 9]
    assert reads.lag.tolist() == [0, 2, 1, 0]
    assert reads.stale.tolist() == [1, 0, 1, 0]
    assert reads.support.tolist() == [7, 4, 7, 1]  # positions of the W tokens
    assert reads.position.tolist() == [11, 17, 20, 5]
    assert found.writes.value.tolist() == [1, 2, 3, 4, 9]


def test_positions_point_at_the_tokens_they_name() -> None:
    found = split("a1 b2 a?1 b7 b?7")
    tokens, reads, words = found.tokens, found.reads, found.vocabulary
    rows = reads.stream
    assert (tokens[rows, reads.position] == words.key(0) + reads.key).all()
    assert (tokens[rows, reads.position - 1] == Special.READ).all()
    assert (tokens[rows, reads.support] == Special.WRITE).all()
    assert (tokens[rows, reads.support + 2] == found.answer_tokens()).all()


def test_the_right_answer_does_not_depend_on_the_token_behind_the_read() -> None:
    assert split("a1 a2 a?1").reads.value.tolist() == [2]


def test_a_read_of_an_unwritten_key_names_its_stream() -> None:
    with pytest.raises(BenchmarkError, match="stream 1 reads a key that was never written"):
        split("a1 a?1", "a1 b?1")


@pytest.mark.parametrize("mark", [Special.WRITE, Special.READ])
def test_an_event_cut_short_is_refused(mark: Special) -> None:
    tokens = np.array([[Special.BOS, Special.WRITE, 10, 14, mark]])
    with pytest.raises(BenchmarkError, match="cut short"):
        as_split("test_iid", Vocabulary(4, 10), tokens, np.array([5]))


def test_a_write_without_key_or_value_is_refused() -> None:
    tokens = np.array([[Special.BOS, Special.WRITE, 10, 11, Special.EOS]])
    with pytest.raises(BenchmarkError, match="expected W, a key and a value at position 1"):
        as_split("test_iid", Vocabulary(4, 10), tokens, np.array([5]))


def test_a_key_twin_has_events_of_its_own(hardened: Dataset) -> None:
    base, twin = hardened.splits[SplitName.TEST_IID], hardened.twins[SplitName.TEST_IID, TwinKind.KEY]
    own = twin_split(base, twin)
    assert np.array_equal(own.reads.position, base.reads.position)
    assert np.array_equal(own.reads.key, base.reads.key)
    assert (own.reads.support[twin.target] != base.reads.support[twin.target]).all()
