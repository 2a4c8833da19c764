"""Planted behaviour: series whose birth is known because it was put there."""

import numpy as np

from formation.benchmark.streams import SplitName
from formation.params import WindowParams
from formation.record.series import Metric, Series

STREAMS, READS, EVERY = 128, 9, 40
RULE = WindowParams(
    min_segment=3,
    permutations=300,
    p_value=0.05,
    placebo_quantile=0.99,
    birth_fraction=0.25,
    consecutive=3,
    censor_last=3,
    fdr=0.05,
    confidence=0.95,
    seed=11,
)


def plant(rng: np.random.Generator, rate: np.ndarray, streams: int = STREAMS, chance: float = 1 / 32) -> Series:
    """Reads that are right with probability `rate[checkpoint]`, streams differing in difficulty; chance placebos."""
    ease = rng.normal(0, 0.3, (streams, 1))
    odds = np.log(np.clip(rate, 1e-6, 1 - 1e-6) / (1 - np.clip(rate, 1e-6, 1 - 1e-6))) + ease
    right = rng.binomial(READS, 1 / (1 + np.exp(-odds))).astype(float)
    placebos = rng.binomial(streams * READS, chance, size=(200, len(rate))) / (streams * READS)
    steps = EVERY * np.arange(len(rate))
    return Series(Metric.ACCURACY, SplitName.TEST_IID, steps, right, np.full(streams, float(READS)), placebos)
