"""From per-read outcomes of many checkpoints to the series whose births are dated."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from formation.benchmark.heuristics import Heuristic
from formation.benchmark.streams import SplitName, TwinKind
from formation.record.frames import Frame, ReadsFrame, TwinFrame
from formation.record.outcomes import Outcomes, TwinKey, twin_name
from formation.record.series import AnyMetric, Metric, Series
from formation.statistics import stream_sums

FLIPS = {TwinKind.VALUE: Metric.VALUE_FLIP, TwinKind.KEY: Metric.KEY_FLIP}

Table = dict[tuple[SplitName, AnyMetric], Series]


def all_series(
    frames: Mapping[SplitName, Frame],
    twins: Mapping[TwinKey, TwinFrame],
    steps: Int[np.ndarray, "checkpoint"],
    outcomes: Sequence[Outcomes],
) -> Table:
    """Every metric of every split over the checkpoints; metrics without a read to measure them on are left out."""
    out: Table = {}
    for name, frame in frames.items():
        for series in _split_series(name, frame, steps, outcomes):
            out[name, series.metric] = series
    for key, twin in twins.items():
        if twin.twin.affected.any():
            out[key[0], FLIPS[key[1]]] = _flip_series(key, twin, len(frames[twin.base].split.tokens), steps, outcomes)
    return out


def best_heuristic(reads: ReadsFrame) -> Heuristic:
    """The heuristic that is right most often on these reads."""
    return reads.heuristics.names[int(reads.heuristics.right.mean(1).argmax())]


def _split_series(
    name: SplitName, frame: Frame, steps: Int[np.ndarray, "checkpoint"], outcomes: Sequence[Outcomes]
) -> list[Series]:
    """Accuracy, log-probability, and on stale reads accuracy, alone and above the best heuristic's."""
    said = [one.answers[name] for one in outcomes]
    right = np.stack([answers.correct for answers in said], axis=1).astype(np.float64)
    log_prob = np.stack([answers.log_prob for answers in said], axis=1).astype(np.float64)

    def series(
        metric: Metric, values: np.ndarray, reads: ReadsFrame, placebos: np.ndarray, rival: np.ndarray | None = None
    ) -> Series:
        streams = len(frame.split.tokens)
        stream = frame.split.reads.stream[reads.rows]
        counts = np.bincount(stream, minlength=streams).astype(np.float64)
        return Series(metric, name, steps, stream_sums(values, stream, streams), counts, placebos, rival)

    out = [
        series(Metric.ACCURACY, right, frame.all, _placebos(outcomes, f"{name}/accuracy")),
        series(Metric.LOG_PROB, log_prob, frame.all, _placebos(outcomes, f"{name}/log_prob")),
    ]
    if frame.stale is not None:
        stale = right[frame.stale.rows]
        placebos = _placebos(outcomes, f"{name}/stale_accuracy")
        heuristics = frame.stale.heuristics
        best = heuristics.right[heuristics.names.index(best_heuristic(frame.stale))]
        out.append(series(Metric.STALE_ACCURACY, stale, frame.stale, placebos))
        nothing = np.zeros(len(frame.split.tokens))  # its rival's score is subtracted already
        above, placebos = stale - best[:, None], placebos - best.mean()
        out.append(series(Metric.ABOVE_SHORTCUT, above, frame.stale, placebos, nothing))
    return out


def _flip_series(
    key: TwinKey,
    twin: TwinFrame,
    streams: int,
    steps: Int[np.ndarray, "checkpoint"],
    outcomes: Sequence[Outcomes],
) -> Series:
    """P(base right and twin right) over affected reads; streams are numbered as in the base split, so flips pair.

    The rival of a key-twin flip is the shortcut that follows the twin on most of these reads.
    """
    affected = np.flatnonzero(twin.twin.affected)
    rows = twin.rows[affected]
    both = [one.answers[twin.base].correct[rows] & one.twins[key].correct[affected] for one in outcomes]
    stream = twin.streams[twin.split.reads.stream[affected]]
    return Series(
        metric=FLIPS[key[1]],
        split=key[0],
        steps=steps,
        numerators=stream_sums(np.stack(both, axis=1).astype(np.float64), stream, streams),
        denominators=np.bincount(stream, minlength=streams).astype(np.float64),
        placebos=_placebos(outcomes, f"{twin_name(key)}/flip"),
        rival=None if twin.shortcut is None else stream_sums(twin.shortcut.flips, stream, streams),
    )


def _placebos(outcomes: Sequence[Outcomes], name: str) -> Float[np.ndarray, "placebo checkpoint"]:
    return np.stack([one.placebos[name] for one in outcomes], axis=1)
