"""When features of several kinds were born, and whether the kinds agree: from curves alone, without torch.

The rule is that of every birth (`docs/measures.md` §4), on usefulness. All kinds are resampled together, so that
differences between their births are paired.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from formation.features.causes.compare import DATED
from formation.features.metrics import Worth
from formation.params import Params
from formation.record.analysis import seed_of
from formation.record.births import Change, Outcome, find_rise
from formation.record.series import ComponentMetric, Series
from formation.statistics import interval, resamples


@dataclass(frozen=True, eq=False)
class Curves:
    """The features of one kind that are followed, the most useful first, on the reported streams."""

    kind: str
    count: int  # features of this kind
    meaningful: int  # of them at the last checkpoint
    features: tuple[int, ...]
    steps: Int[np.ndarray, "checkpoint"]
    reads: Float[np.ndarray, "stream"]
    usefulness: Float[np.ndarray, "feature stream checkpoint"]  # nats of margin, summed over the reads of each stream
    placebos: Float[np.ndarray, "feature placebo checkpoint"]  # of random directions in their place, means over reads
    active: Float[np.ndarray, "feature checkpoint"]  # fraction of the reads
    written: Float[np.ndarray, "feature checkpoint"]  # mean amount added to the stage, in its unit

    def at(self, steps: Sequence[int]) -> "Curves":
        """The same at fewer checkpoints."""
        chosen = np.isin(self.steps, steps)
        per_step = {name: getattr(self, name)[..., chosen] for name in ("usefulness", "placebos", "active", "written")}
        return replace(self, steps=self.steps[chosen], **per_step)

    def series(self, place: int | None) -> Series:
        """The usefulness of one feature, or the sum over all that are followed.

        The sum's placebos are sums too, over as many different directions.
        """
        if place is None:
            different = [np.roll(placebos, shift, axis=0) for shift, placebos in enumerate(self.placebos)]
            name, sums, placebos = "all", self.usefulness.sum(0), np.sum(different, axis=0)
        else:
            name, sums, placebos = str(self.features[place]), self.usefulness[place], self.placebos[place]
        metric = ComponentMetric(f"{self.kind}_{name}", Worth.USEFULNESS.value)
        return Series(metric, DATED, self.steps, sums, self.reads, placebos)


@dataclass(frozen=True, eq=False)
class Dated:
    """The births of what one kind's curves show."""

    features: tuple[Change, ...]
    together: Change

    @property
    def median(self) -> tuple[float, Float[np.ndarray, "draw"]]:
        """Median step of the features that have one, and theirs in every draw (undated ones last); else infinite."""
        there = [one for one in self.features if one.step is not None]
        if not there:
            return np.inf, self.together.draws
        steps = [float(one.step) for one in there if one.step is not None]
        return float(np.median(steps)), np.asarray(np.nanmedian([one.draws for one in there], axis=0))


def why_undated(curves: Curves, params: Params) -> str | None:
    """Why a kind's births cannot be dated; nothing if they can."""
    if not curves.features:
        return "no feature costs more margin than random directions in its place"
    late, least = int((curves.steps >= params.training.warmup).sum()), 2 * params.windows.min_segment
    return None if late >= least else f"{late} checkpoints after warm-up, expected at least {least}"


def date(curves: Curves, params: Params) -> Dated | None:
    """The births of a kind's followed features, alone and together; none where they cannot be dated."""
    if why_undated(curves, params):
        return None
    rule = params.windows
    weights = resamples(len(curves.reads), params.record.bootstrap_draws, rule.seed)

    def rise(place: int | None) -> Change:
        series = curves.series(place).after_warmup(params.training.warmup)
        return find_rise(series, weights, rule, seed_of(series.name, rule))

    return Dated(tuple(rise(place) for place in range(len(curves.features))), rise(None))


# --- as JSON ---------------------------------------------------------------------------------------------------------


def births_json(curves: Curves, dated: Dated | None, params: Params) -> dict[str, Any]:
    """What was born when, in steps; null where nothing is followed."""
    if dated is None:
        return {"reason": why_undated(curves, params), "followed": [], "births": None}
    outcomes = [one.outcome for one in dated.features]
    steps = [one.step for one in dated.features if one.step is not None]
    value, draws = dated.median
    low, high = interval(draws, params.windows.confidence) if np.isfinite(value) else (np.inf, np.inf)
    followed = [
        {
            "feature": feature,
            "usefulness": float(curves.usefulness[place, :, -1].sum() / curves.reads.sum()),
            "active_fraction": float(curves.active[place, -1]),
            **_birth(dated.features[place]),
        }
        for place, feature in enumerate(curves.features)
    ]
    return {
        "reason": None,
        "followed": followed,
        "births": {
            **{outcome.value: outcomes.count(outcome) for outcome in Outcome},
            "earliest": min(steps, default=None),
            "latest": max(steps, default=None),
            "median": {"value": _step(value), "low": _step(float(low)), "high": _step(float(high))},
            "most_useful": {"feature": curves.features[0], **_birth(dated.features[0])},
            "together": _birth(dated.together),
        },
    }


def against(ours: Dated | None, theirs: Dated | None, params: Params) -> dict[str, Any] | None:
    """Births of one kind minus those of another on the same checkpoints, in checkpoints of the run."""
    if ours is None or theirs is None:
        return None
    pairs = {
        "median": (ours.median, theirs.median),
        "most_useful": (_dates(ours.features[0]), _dates(theirs.features[0])),
        "together": (_dates(ours.together), _dates(theirs.together)),
    }
    return {name: _difference(*one, *other, params) for name, (one, other) in pairs.items()}


def _difference(
    ours: float, our_draws: np.ndarray, theirs: float, their_draws: np.ndarray, params: Params
) -> dict[str, Any]:
    """Ours minus theirs; nothing where either was not born, a bound is null where it does not exist."""
    every = params.training.checkpoint_every
    if not np.isfinite([ours, theirs]).all():
        return {"value": None, "low": None, "high": None, "unit": "checkpoints", "agree": None}
    with np.errstate(invalid="ignore"):  # not born in a draw of either: no difference there
        draws = (our_draws - their_draws) / every
    low, high = (float(bound) for bound in interval(draws, params.windows.confidence))
    value = (ours - theirs) / every
    low, high = min(low, value), max(high, value)
    return {
        "value": value,
        "low": low if np.isfinite(low) else None,
        "high": high if np.isfinite(high) else None,
        "unit": "checkpoints",
        "agree": low <= 0 <= high,
    }


def _dates(change: Change) -> tuple[float, np.ndarray]:
    return np.inf if change.step is None else float(change.step), change.draws


def _birth(change: Change) -> dict[str, Any]:
    return {"outcome": change.outcome.value, "step": change.step, "low": change.low, "high": change.high}


def _step(value: float) -> float | None:
    return value if np.isfinite(value) else None
