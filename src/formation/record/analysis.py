"""What a finished sweep says about formation: births, two births, triggers and windows, as numbers.

Streams are resampled per split, the same draws for all metrics of a split: metrics of one split are paired, those of
two splits are independent. The counterfactual split has the streams of `test_iid` and shares its draws.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from formation.benchmark.streams import SplitName
from formation.errors import MeasureError
from formation.params import Params, WindowParams
from formation.record.assemble import Table, all_series
from formation.record.births import Birth, Change, find_birth
from formation.record.frames import Frame, TwinFrame
from formation.record.gate import require_length
from formation.record.outcomes import Outcomes, TwinKey
from formation.record.plateaus import Distance, distance, onset, rise_before
from formation.record.probe_set import EVALUATION
from formation.record.series import AnyMetric, ComponentMetric, Metric, Series
from formation.record.triggers import Trigger, Window, increments, triggers, windows
from formation.statistics import resamples

Key = tuple[SplitName, AnyMetric]

# its increments are those of stale accuracy, so it would only count them twice
NOT_A_TRIGGER = Metric.ABOVE_SHORTCUT


@dataclass(frozen=True)
class TwoBirths:
    """A split's rise to a shortcut's plateau, and the birth of retrieval after it."""

    split: SplitName
    flips: SplitName  # whose key twins date retrieval
    onset: int | None  # step from which on the key-twin flip rises, null if it does not
    retrieval: Change
    accuracy: Change | None  # rise of accuracy before the onset, null if there are too few checkpoints
    value_flip: Change | None  # the same of the value-twin flip
    distance: Distance  # from the rise of accuracy to retrieval


@dataclass(frozen=True)
class Analysis:
    """Everything dated in one run; `table` has all checkpoints, births and windows leave out the warm-up."""

    table: Table
    steps: list[int]  # checkpoints after warm-up
    weights: Mapping[SplitName, Float[np.ndarray, "draw stream"]]
    births: Mapping[Key, Birth]
    two_births: Sequence[TwoBirths]
    triggers: Sequence[Trigger]
    tested: int  # metric × interval pairs behind the correction
    windows: Sequence[Window]

    @property
    def behaviours(self) -> dict[tuple[SplitName, Metric], Series]:
        """The series of what the model says, without those of its components."""
        return {(split, metric): s for (split, metric), s in self.table.items() if isinstance(metric, Metric)}

    @property
    def components(self) -> dict[tuple[SplitName, ComponentMetric], Series]:
        """The series of components and residual states; empty where only behaviour was measured."""
        return {(split, metric): s for (split, metric), s in self.table.items() if isinstance(metric, ComponentMetric)}


def analyse(
    params: Params,
    steps: Sequence[int],
    outcomes: Sequence[Outcomes],
    split_frames: Mapping[SplitName, Frame],
    twins: Mapping[TwinKey, TwinFrame],
    components: Table | None = None,
) -> Analysis:
    """The analysis of a sweep, and of the series of components where they were measured.

    Raises `MeasureError` if there are too few checkpoints after warm-up.
    """
    rule = params.windows
    table = all_series(split_frames, twins, np.array(steps), outcomes) | (components or {})
    used = {key: series.after_warmup(params.training.warmup) for key, series in table.items()}
    late = [step for step in steps if step >= params.training.warmup]
    require_length(len(late), rule)
    weights = {split: _weights(split, table, params) for split in dict.fromkeys(split for split, _ in used)}
    births = {key: _birth(series, weights[key[0]], rule) for key, series in used.items()}
    tested = [
        increments(series, births[key].rise.gate, weights[key[0]], rule.consecutive)
        for key, series in used.items()
        if series.metric is not NOT_A_TRIGGER
    ]
    found = triggers(tested, rule.fdr)
    two = [_two_births(split, used, births, weights[split], rule) for split in EVALUATION]
    pairs = sum(len(one.p) for one in tested)
    return Analysis(table, late, weights, births, two, found, pairs, windows(found, late))


def seed_of(name: str, rule: WindowParams) -> int:
    """The seed of the permutations of a named series, independent of the order in which series are analysed."""
    return rule.seed + zlib.crc32(name.encode())


def _weights(split: SplitName, table: Table, params: Params) -> Float[np.ndarray, "draw stream"]:
    """Draws of the split's streams; series on some of them have zeros for the others, so that all series pair."""
    series = next(series for (of, _), series in table.items() if of is split)
    base = SplitName.TEST_IID if split is SplitName.COUNTERFACTUAL else split
    seed = (params.windows.seed, list(SplitName).index(base))
    return resamples(len(series.denominators), params.record.bootstrap_draws, seed)


def _birth(series: Series, weights: Float[np.ndarray, "draw stream"], rule: WindowParams) -> Birth:
    return find_birth(series, weights, rule, seed_of(series.name, rule))


def _two_births(
    split: SplitName,
    used: Table,
    births: Mapping[Key, Birth],
    weights: Float[np.ndarray, "draw stream"],
    rule: WindowParams,
) -> TwoBirths:
    """The two births of a split; for `test_iid` the flips of all its streams, the counterfactual split, are at hand."""
    flips = SplitName.COUNTERFACTUAL if split is SplitName.TEST_IID else split
    if (flips, Metric.KEY_FLIP) not in births:
        raise MeasureError(f"{flips}: no read is affected by its key twins; raise benchmark.evaluation_streams")
    retrieval, flip = births[flips, Metric.KEY_FLIP], used[flips, Metric.KEY_FLIP]
    end = onset(retrieval, flip, weights, rule)

    def before(key: Key) -> Change | None:
        return rise_before(used[key], end, weights, rule, seed_of(f"{used[key].name}/before", rule))

    accuracy = before((split, Metric.ACCURACY))
    return TwoBirths(
        split=split,
        flips=flips,
        onset=int(flip.steps[end]) if end < len(flip.steps) else None,
        retrieval=retrieval.rise,
        accuracy=accuracy,
        value_flip=before((flips, Metric.VALUE_FLIP)) if (flips, Metric.VALUE_FLIP) in used else None,
        distance=distance(("the shortcut's rise", accuracy), ("retrieval", retrieval.rise), rule),
    )
