"""How much of the difference between two checkpoints a patch carries, with intervals over streams."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from formation.components.exchange import Patched
from formation.components.material import Material
from formation.record.behaviour import answers
from formation.statistics import Estimate, interval, ratio, ratio_draws, stream_sums

METRICS = ("margin", "log_prob", "accuracy")
UNITS = {"margin": "nats", "log_prob": "nats", "accuracy": ""}
NO_CHANGE = "donor and receiver do not differ beyond the interval"

Sums = Float[np.ndarray, "stream"]


@dataclass(frozen=True)
class Fraction:
    """(patched − receiver) / (donor − receiver), null with bounds where the two do not differ; `n` counts reads."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Gain:
    """One metric of a patch, summed over the reads of each stream."""

    gained: Sums  # patched − unpatched
    change: Sums  # donor − receiver
    counts: Sums  # reads


def values(logits: Float[Tensor, "row vocab"], right: Tensor) -> dict[str, Float[np.ndarray, "row"]]:
    """Margin, log-probability and correctness of the right answers."""
    said = answers(logits, right.numpy())
    return {"margin": said.margin, "log_prob": said.log_prob, "accuracy": said.correct.astype(np.float64)}


def gains(patch: Patched, material: Material) -> dict[str, Gain]:
    """A patch's gain in every metric."""
    right, stream = material.answer[patch.rows], material.stream[patch.rows].numpy()
    after, ours, theirs = (values(logits, right) for logits in (patch.patched, patch.receiver, patch.donor))
    before = ours if patch.unpatched is patch.receiver else values(patch.unpatched, right)

    def sums(one: np.ndarray, other: np.ndarray) -> Sums:
        return stream_sums(one.astype(np.float64) - other, stream, material.streams)

    counts = stream_sums(np.ones(len(stream)), stream, material.streams)
    return {name: Gain(sums(after[name], before[name]), sums(theirs[name], ours[name]), counts) for name in METRICS}


def change_of(gain: Gain, weights: Float[np.ndarray, "draw stream"], confidence: float) -> Estimate:
    """Mean difference between donor and receiver."""
    return ratio(gain.change, gain.counts, weights, confidence)


def differs(change: Estimate) -> bool:
    """Whether the interval of a difference leaves out 0."""
    return change.low > 0 or change.high < 0


def fraction(gain: Gain, weights: Float[np.ndarray, "draw stream"], confidence: float) -> Fraction:
    """The share of the difference that the patch carries; draws in which the difference turns round are left out."""
    n, change = round(gain.counts.sum()), change_of(gain, weights, confidence)
    if not differs(change):
        return Fraction(None, None, None, n)
    sign = np.sign(change.value)
    low, high = interval(ratio_draws(weights, sign * gain.gained, sign * gain.change), confidence)
    return Fraction(float(gain.gained.sum() / gain.change.sum()), float(low), float(high), n)
