"""The minimal symbolic algorithm of the task: an executable last-write-wins program that reads only tokens.

Plain Python on purpose: it shares no code with the generator, the event tables or the heuristics, so that its score of
1.0 on every split and twin says something about them.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Int

from formation.benchmark.streams import Special


def score(tokens: Int[np.ndarray, "stream pos"]) -> tuple[int, int]:
    """How many answers in these streams the oracle gives right, and how many there are."""
    right = total = 0
    for stream in tokens.tolist():
        for answer, truth in run(stream):
            right += answer == truth
            total += 1
    return right, total


def run(stream: Iterable[int]) -> Iterator[tuple[int | None, int]]:
    """For each read of one stream: the oracle's answer (`None`: the key was never written) and the token that stands
    there. The oracle answers before it sees that token, and never learns from it."""
    memory: dict[int, int] = {}
    tokens = iter(stream)
    for token in tokens:
        if token == Special.WRITE:
            key, value = next(tokens), next(tokens)
            memory[key] = value
        elif token == Special.READ:
            answer = memory.get(next(tokens))
            yield answer, next(tokens)
