"""Planted behaviour on a real dataset: what a model would say that retrieves, follows a shortcut, or guesses."""

from collections.abc import Collection, Sequence

import numpy as np

from formation.benchmark.events import twin_split
from formation.benchmark.heuristics import Heuristic, predictions
from formation.benchmark.streams import Split, SplitName
from formation.record.outcomes import Answers, Outcomes, TokenSums, twin_name
from formation.record.probe_set import EVALUATION
from tests.formation.record.conftest import Bench

SHORTCUT = Heuristic.LAG_2
CONFIDENT, GUESS = -0.1, -3.5  # log-probabilities of a right answer that is given, and of one that is not


class Planter:
    """Outcomes of planted models on one bench."""

    def __init__(self, bench: Bench, shortcut: Heuristic = SHORTCUT) -> None:
        self.bench = bench
        self.followed = {name: _followed(frame.split, shortcut) for name, frame in bench.frames.items()}
        self.followed_twin = {
            key: _followed(twin_split(twin.split, twin.twin), shortcut) for key, twin in bench.twins.items()
        }

    def outcomes(
        self, retrieval: float, shortcut: float, seed: int, where: Collection[SplitName] = EVALUATION
    ) -> Outcomes:
        """A model that retrieves with probability `retrieval` on `where`, else follows its shortcut, else guesses.

        What it does on a read is the same in base and twins, as it would be in a model.
        """
        bench, rng = self.bench, np.random.default_rng(seed)
        said, tokens, chosen, twins = {}, {}, {}, {}
        for name, frame in bench.frames.items():
            chosen[name] = _choices(rng, len(frame.answers), retrieval if name in where else 0.0, shortcut)
            said[name] = _answers(frame.split, frame.answers, self.followed[name], chosen[name], rng)
            targets = frame.split.length - 1
            tokens[name] = TokenSums(1.5 * targets, targets // 3, targets)
        for key, twin in bench.twins.items():
            choice = chosen[twin.base][twin.rows]
            twins[key] = _answers(twin.split, twin.answers, self.followed_twin[key], choice, rng)
        return Outcomes(said, tokens, twins, self.placebos(said, twins))

    def course(
        self, retrieval: Sequence[float], shortcut: Sequence[float], where: Collection[SplitName] = EVALUATION
    ) -> list[Outcomes]:
        """Outcomes over checkpoints."""
        pairs = zip(retrieval, shortcut, strict=True)
        return [self.outcomes(r, s, seed, where) for seed, (r, s) in enumerate(pairs)]

    def placebos(self, said: dict, twins: dict) -> dict[str, np.ndarray]:
        """Scores against permuted answers."""
        out, frames = {}, self.bench.frames
        for name, frame in frames.items():
            hits = said[name].prediction == frame.permuted
            out[f"{name}/accuracy"] = hits.mean(1)
            out[f"{name}/stale_accuracy"] = hits[:, frame.has_stale].mean(1)
            out[f"{name}/log_prob"] = np.where(hits, CONFIDENT, GUESS).mean(1)
        for key, twin in self.bench.twins.items():
            affected = np.flatnonzero(twin.twin.affected)
            rows = twin.rows[affected]
            base = said[twin.base].prediction[rows] == frames[twin.base].answers[rows][twin.permuted]
            flipped = twins[key].prediction[affected] == twin.answers[affected][twin.permuted]
            out[f"{twin_name(key)}/flip"] = (base & flipped).mean(1)
        return out


def _followed(split: Split, shortcut: Heuristic) -> np.ndarray:
    """Token the shortcut answers each read with, 0 where it has no answer."""
    values = predictions(split, shortcut)
    return np.where(values >= 0, split.vocabulary.value(0) + values, 0)


def _choices(rng: np.random.Generator, reads: int, retrieval: float, shortcut: float) -> np.ndarray:
    """0: retrieves, 1: follows the shortcut, 2: guesses."""
    follows = np.where(rng.random(reads) < shortcut, 1, 2)
    return np.where(rng.random(reads) < retrieval, 0, follows)


def _answers(
    split: Split, right: np.ndarray, followed: np.ndarray, chosen: np.ndarray, rng: np.random.Generator
) -> Answers:
    guess = split.vocabulary.value(0) + rng.integers(0, split.vocabulary.values, len(right))
    prediction = np.choose(chosen, [right, np.where(followed > 0, followed, guess), guess])
    correct = prediction == right
    log_prob = np.where(correct, CONFIDENT, GUESS) + rng.normal(0, 0.01, len(right))
    margin = log_prob - np.log1p(-np.exp(np.minimum(log_prob, -1e-6)))
    return Answers(prediction, correct, log_prob.astype(np.float32), margin.astype(np.float32))
