"""Means with intervals."""

import math
from collections.abc import Sequence


def mean_with_interval(values: Sequence[float], z: float) -> tuple[float, float, float]:
    """Mean of some values with the ends of its normal interval of `z` standard errors."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    half = z * math.sqrt(variance / len(values))
    return mean, mean - half, mean + half
