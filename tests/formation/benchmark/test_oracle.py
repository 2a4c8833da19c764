"""The oracle is the last-write-wins program, and its score means something."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from formation.benchmark import oracle
from formation.benchmark.generate import Dataset
from formation.benchmark.streams import SplitName

from .planted import split


def test_by_hand() -> None:
    assert oracle.score(split("a1 b2 a3 a?3 b?2 a?3").tokens) == (3, 3)
    assert oracle.score(split("a1 a2 a?1", "b5 b?5").tokens) == (1, 2)


def test_it_answers_before_it_sees_the_answer() -> None:
    stream = split("a1 a?1 a2 a?2").tokens[0].tolist()
    wrong = [token + 1 if place in (6, 12) else token for place, token in enumerate(stream)]
    assert [answer for answer, _ in oracle.run(wrong)] == [answer for answer, _ in oracle.run(stream)]


def test_a_key_never_written_has_no_answer() -> None:
    stream = split("a1 a?1").tokens[0].tolist()
    stream[5] += 1
    assert [answer for answer, _ in oracle.run(stream)] == [None]


def test_every_split_and_twin_is_answered(hardened: Dataset, sourced: Dataset) -> None:
    for dataset in (hardened, sourced):
        streams = [split.tokens for split in dataset.splits.values()] + [t.tokens for t in dataset.twins.values()]
        for tokens in streams:
            right, total = oracle.score(tokens)
            assert right == total > 0


def test_an_oracle_off_by_one_write_fails(hardened: Dataset) -> None:
    """Negative control: the value before the last one of a key scores nothing where values are unique."""
    right = total = 0
    for stream in hardened.splits[SplitName.TEST_IID].tokens.tolist():
        for answer, truth in _stale_by_one(stream):
            right += answer == truth
            total += 1
    assert right == 0
    assert total > 0


def _stale_by_one(stream: list[int]) -> list[tuple[int | None, int]]:
    memory: dict[int, list[int]] = {}
    out: list[tuple[int | None, int]] = []
    for place, token in enumerate(stream):
        if token == 3:
            memory.setdefault(stream[place + 1], []).append(stream[place + 2])
        elif token == 4:
            written = memory[stream[place + 1]]
            out.append((written[-2] if len(written) > 1 else None, stream[place + 2]))
    return out


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), min_size=1, max_size=20))
def test_it_agrees_with_the_event_table(writes: list[tuple[str, int]]) -> None:
    latest = dict(writes)
    text = " ".join([f"{key}{value}" for key, value in writes] + [f"{key}?{value}" for key, value in latest.items()])
    found = split(text)
    answers = [answer for answer, _ in oracle.run(found.tokens[0].tolist())]
    assert np.array_equal(answers, found.answer_tokens())
