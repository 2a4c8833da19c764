"""Planted behaviour on a real dataset: what a model would say that retrieves, follows a shortcut, or guesses."""

from collections.abc import Mapping

import numpy as np

from formation.benchmark.events import twin_split
from formation.benchmark.heuristics import Heuristic, predictions
from formation.benchmark.streams import Split, SplitName
from formation.record.frames import Frame
from formation.record.outcomes import Answers, Outcomes, TokenSums, twin_name
from tests.formation.record.conftest import Bench

SHORTCUT = Heuristic.LAG_2
CONFIDENT, GUESS = -0.1, -3.5  # log-probabilities of a right answer that is given, and of one that is not


def behave(
    bench: Bench, retrieval: float, shortcut: float, seed: int, retrieved: frozenset[str] | None = None
) -> Outcomes:
    """Outcomes of a model that retrieves with probability `retrieval`, else follows `SHORTCUT`, else guesses a value.

    What it does on a read is the same in base and twins, as it would be in a model. With `retrieved`, only the splits
    named there are ever retrieved on.
    """
    rng = np.random.default_rng(seed)
    said, tokens, chosen = {}, {}, {}
    for name, frame in bench.frames.items():
        rate = retrieval if retrieved is None or name in retrieved else 0.0
        chosen[name] = _choices(rng, len(frame.answers), rate, shortcut)
        said[name] = _answers(frame.split, frame.answers, chosen[name], rng)
        streams = len(frame.split.tokens)
        targets = frame.split.length - 1
        tokens[name] = TokenSums(1.5 * targets, np.zeros(streams, np.int64), targets)
    twins = {}
    for key, twin in bench.twins.items():
        there = twin_split(twin.split, twin.twin)
        twins[key] = _answers(there, twin.answers, chosen[twin.base][twin.rows], rng)
    return Outcomes(said, tokens, twins, _placebos(bench, bench.frames, said, twins))


def _choices(rng: np.random.Generator, reads: int, retrieval: float, shortcut: float) -> np.ndarray:
    """0: retrieves, 1: follows the shortcut, 2: guesses."""
    follows = np.where(rng.random(reads) < shortcut, 1, 2)
    return np.where(rng.random(reads) < retrieval, 0, follows)


def _answers(split: Split, right: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> Answers:
    guess = split.vocabulary.value(0) + rng.integers(0, split.vocabulary.values, len(right))
    followed = predictions(split, SHORTCUT)
    followed = np.where(followed >= 0, split.vocabulary.value(0) + followed, guess)
    prediction = np.choose(chosen, [right, followed, guess])
    correct = prediction == right
    log_prob = np.where(correct, CONFIDENT, GUESS) + rng.normal(0, 0.01, len(right))
    margin = log_prob - np.log1p(-np.exp(np.minimum(log_prob, -1e-6)))
    return Answers(prediction, correct, log_prob.astype(np.float32), margin.astype(np.float32))


def _placebos(
    bench: Bench, frames: Mapping[SplitName, Frame], said: Mapping[SplitName, Answers], twins: Mapping
) -> dict[str, np.ndarray]:
    out = {}
    for name, frame in frames.items():
        hits = said[name].prediction == frame.permuted
        out[f"{name}/accuracy"] = hits.mean(1)
        out[f"{name}/stale_accuracy"] = hits[:, frame.has_stale].mean(1)
        out[f"{name}/log_prob"] = np.where(hits, CONFIDENT, GUESS).mean(1)
    for key, twin in bench.twins.items():
        affected = np.flatnonzero(twin.twin.affected)
        rows = twin.rows[affected]
        base = said[twin.base].prediction[rows] == frames[twin.base].answers[rows][twin.permuted]
        flipped = twins[key].prediction[affected] == twin.answers[affected][twin.permuted]
        out[f"{twin_name(key)}/flip"] = (base & flipped).mean(1)
    return out
