"""One metric of one split over the checkpoints, kept per stream so that streams can be resampled."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from jaxtyping import Float, Int

from formation.benchmark.streams import SplitName
from formation.statistics import ratio_draws


class Metric(StrEnum):
    """Behaviours whose births are dated; never the margin, whose untrained value is arbitrary."""

    ACCURACY = "accuracy"  # share of reads answered right
    STALE_ACCURACY = "stale_accuracy"  # the same, over reads whose key has an overwritten value
    LOG_PROB = "log_prob"  # mean log-probability of the right answer, nats
    VALUE_FLIP = "value_twin_flip"  # P(base right and value twin right), affected reads
    KEY_FLIP = "key_twin_flip"  # P(base right and key twin right), affected reads: retrieval
    ABOVE_SHORTCUT = "stale_accuracy_above_best_shortcut"  # stale accuracy minus the best heuristic's score

    @property
    def unit(self) -> str:
        """Unit of the metric's values."""
        return "nats" if self is Metric.LOG_PROB else "fraction"

    @property
    def is_share(self) -> bool:
        """Whether the metric counts reads, so that it lies in [0, 1]."""
        return self not in (Metric.LOG_PROB, Metric.ABOVE_SHORTCUT)


_UNITS = {"activation": "standard deviations", "score": "standard deviations"}  # of a feature


@dataclass(frozen=True)
class ComponentMetric:
    """A metric of a component or a residual state: of `layer_1.head_2`, `layer_0_post_mlp/query_key`, `feature_7`."""

    component: str
    metric: str

    @property
    def value(self) -> str:
        """`<component>:<metric>`, unique within a split."""
        return f"{self.component}:{self.metric}"

    @property
    def unit(self) -> str:
        """Unit of the metric's values."""
        in_nats = ("entropy", "qk_margin", "direct_effect", "drop_", "log_prob_", "usefulness", "zero_", "attribution")
        return "nats" if self.metric.startswith(in_nats) else _UNITS.get(self.metric, "fraction")

    @property
    def is_share(self) -> bool:
        """Whether the metric counts reads."""
        return self.metric.startswith("probe_")


AnyMetric = Metric | ComponentMetric


@dataclass(frozen=True)
class Series:
    """A ratio of sums over streams at every checkpoint, with the same ratio for each placebo.

    `rival` is what must be exceeded for the metric to say that something was born which its rival cannot explain: the
    numerators of the best heuristic on the same reads. Without one, a birth is a rise over the series' own baseline.
    """

    metric: AnyMetric
    split: SplitName
    steps: Int[np.ndarray, "checkpoint"]
    numerators: Float[np.ndarray, "stream checkpoint"]
    denominators: Float[np.ndarray, "stream"]
    placebos: Float[np.ndarray, "placebo checkpoint"]
    rival: Float[np.ndarray, "stream"] | None = None

    @property
    def name(self) -> str:
        """`<split>/<metric>`, unique within a run."""
        return f"{self.split}/{self.metric.value}"

    @property
    def n(self) -> int:
        """Reads behind every value."""
        return round(float(self.denominators.sum()))

    def values(self) -> Float[np.ndarray, "checkpoint"]:
        """The metric at every checkpoint."""
        return np.asarray(self.numerators.sum(0) / self.denominators.sum())

    def draws(self, weights: Float[np.ndarray, "draw stream"]) -> Float[np.ndarray, "draw checkpoint"]:
        """The metric at every checkpoint in every bootstrap draw of streams."""
        return ratio_draws(weights, self.numerators, self.denominators)

    def rival_value(self) -> float | None:
        """The rival's metric."""
        return None if self.rival is None else float(self.rival.sum() / self.denominators.sum())

    def rival_draws(self, weights: Float[np.ndarray, "draw stream"]) -> Float[np.ndarray, "draw"] | None:
        """The rival's metric in every bootstrap draw of streams, paired with `draws` of the same weights."""
        return None if self.rival is None else ratio_draws(weights, self.rival, self.denominators)

    def between(self, first: int, last: int | None = None) -> "Series":
        """The series from checkpoint index `first` up to but not including `last`."""
        part = slice(first, last)
        return replace(
            self, steps=self.steps[part], numerators=self.numerators[:, part], placebos=self.placebos[:, part]
        )

    def after_warmup(self, warmup: int) -> "Series":
        """The series from step `warmup` on: during warm-up the model is still leaving its initialisation."""
        return self.between(int(np.searchsorted(self.steps, warmup)))

    def negated(self) -> "Series":
        """The series upside down: its rises are this one's falls, and have no rival."""
        return replace(self, numerators=-self.numerators, placebos=-self.placebos, rival=None)
