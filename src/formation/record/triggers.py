"""Windows: runs of neighbouring checkpoint intervals in which some behaviour rose faster than steadily.

Definition: `docs/measures.md` §4. A *trigger* is a metric × interval between neighbouring checkpoints whose series
passed the gate and whose increment has a paired-bootstrap p-value that survives Benjamini–Yekutieli over all metrics
and intervals: tests on the same reads depend on each other in ways that nobody need know. Three choices make an
increment say that something formed there:

- It is counted from the best checkpoint so far. A rebound after a dip is a recovery, not a formation.
- It must exceed the even pace, (peak − baseline) / number of intervals. A metric that improves steadily through the
  whole training has no window, and with enough reads each of its increments would be above zero.
- It must be there at `consecutive` checkpoints in a row, the first of them the interval's end: its size is the smallest
  of theirs, its p-value the largest (an intersection–union test, Berger 1982, Technometrics 24:295). What the next
  checkpoint takes back is the optimiser's jitter. Intervals with fewer checkpoints behind them are not tested.

Intervals with a trigger that follow each other are one window; windows are named by order. A lone trigger has no
neighbour in time or among the metrics and makes no window: a share `fdr` of all triggers is false.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Bool, Float, Int

from formation.benchmark.streams import SplitName
from formation.record.gate import Gate
from formation.record.series import AnyMetric, Series
from formation.statistics import benjamini_yekutieli, rise_p


class WindowName(StrEnum):
    """Windows by order; from the third on all are late reorganisations, numbered."""

    EARLY = "early birth"
    MIDDLE = "mid consolidation"
    LATE = "late reorganisation"


@dataclass(frozen=True)
class Increments:
    """A series' lasting increments over its best checkpoint so far, with p-values against the even pace."""

    split: SplitName
    metric: AnyMetric
    gated: bool
    size: Float[np.ndarray, "interval"]
    p: Float[np.ndarray, "interval"]


@dataclass(frozen=True)
class Trigger:
    """One metric that rose in one interval; `adjusted` is the Benjamini–Yekutieli p-value."""

    split: SplitName
    metric: AnyMetric
    interval: int
    increment: float
    p: float
    adjusted: float

    @property
    def series(self) -> str:
        """Name of the series, `<split>/<metric>`."""
        return f"{self.split}/{self.metric.value}"


@dataclass(frozen=True)
class Window:
    """A run of intervals with triggers: from checkpoint `first` to checkpoint `last` (steps)."""

    name: str
    first: int
    last: int
    triggers: tuple[Trigger, ...]


def increments(series: Series, gate: Gate, weights: Float[np.ndarray, "draw stream"], consecutive: int) -> Increments:
    """The series' increments that last, with one-sided p-values from a paired bootstrap over streams."""
    values, draws = series.values(), series.draws(weights)
    pace = max(gate.rise, 0.0) / (len(values) - 1)
    tested = len(values) - consecutive
    best = best_so_far(values)[:tested]
    behind = [slice(1 + later, 1 + later + tested) for later in range(consecutive)]
    sizes = np.stack([values[part] - values[best] for part in behind])
    p = np.stack([rise_p(values[part] - values[best] - pace, draws[:, part] - draws[:, best]) for part in behind])
    return Increments(series.split, series.metric, gate.opened, sizes.min(axis=0), p.max(axis=0))


def best_so_far(values: Float[np.ndarray, "checkpoint"]) -> Int[np.ndarray, "checkpoint"]:
    """Index of the highest checkpoint up to and including each one."""
    new = values > np.concatenate([[-np.inf], np.maximum.accumulate(values)[:-1]])
    return np.asarray(np.maximum.accumulate(np.where(new, np.arange(len(values)), 0)))


def triggers(every: Sequence[Increments], fdr: float) -> list[Trigger]:
    """Triggers of all series, ordered by interval; the correction counts every series, gated or not."""
    if not every:
        return []
    adjusted = benjamini_yekutieli(np.concatenate([one.p for one in every])).reshape(len(every), -1)
    found = [
        Trigger(one.split, one.metric, int(i), float(one.size[i]), float(one.p[i]), float(q[i]))
        for one, q in zip(every, adjusted, strict=True)
        if one.gated
        for i in np.flatnonzero(q <= fdr)
    ]
    return sorted(found, key=lambda trigger: (trigger.interval, trigger.series))


def windows(found: Sequence[Trigger], steps: Sequence[int]) -> list[Window]:
    """Neighbouring triggers merged and named by order; a lone trigger is none."""
    marked = np.zeros(max(len(steps) - 1, 0), dtype=bool)
    marked[[trigger.interval for trigger in found]] = True
    out: list[Window] = []
    for first, last in _runs(marked):
        inside = tuple(trigger for trigger in found if first <= trigger.interval < last)
        if len(inside) > 1:
            out.append(Window(_name(len(out)), int(steps[first]), int(steps[last]), inside))
    return out


def _runs(marked: Bool[np.ndarray, "interval"]) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each run of marked intervals."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _name(order: int) -> str:
    names = list(WindowName)
    return names[order].value if order < len(names) else f"{WindowName.LATE} {order - len(names) + 2}"
