"""What is measured of features at every checkpoint, and on which streams. Nothing here needs torch."""

from collections.abc import Mapping
from enum import StrEnum

import numpy as np
from jaxtyping import Bool


class Firing(StrEnum):
    """How a feature is active at answer positions."""

    ACTIVE = "active_fraction"
    ACTIVATION = "mean_activation"
    SCORE = "score"  # before the k largest are chosen: the candidate score of one feature


class Worth(StrEnum):
    """What is lost without a feature, or attributed to it; all in nats."""

    USEFULNESS = "usefulness"  # margin lost when it is replaced by its mean
    LOG_PROB = "log_prob_usefulness"  # log-probability of the right answer lost so
    ZERO = "zero_usefulness"  # margin lost when it is taken away
    ZERO_LOG_PROB = "log_prob_zero_usefulness"
    ATTRIBUTION = "attribution"  # its activation × the margin's gradient: `ZERO` to first order


class Half(StrEnum):
    """Which of a split's probe streams."""

    SELECTION = "selection"  # candidates are chosen on these
    REPORT = "report"  # and what is said of them is measured on these


FeatureMetric = Firing | Worth
Halves = Mapping[Half, Bool[np.ndarray, "stream"]]
