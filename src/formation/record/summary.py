"""`analysis/checkpoint_metrics_summary.json`: where the run ended and its best checkpoint, with intervals."""

from typing import Any

import numpy as np

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.streams import SplitName
from formation.params import RecordParams
from formation.record.assemble import Table, all_series, best_heuristic
from formation.record.frames import Frame, ReadsFrame, TwinFrame
from formation.record.outcomes import Outcomes, TwinKey
from formation.record.rows import Row
from formation.record.series import Metric, Series
from formation.statistics import Estimate, ratio, resamples, share

SCHEMA = "checkpoint-metrics-summary/1"
SUMMARY = "analysis/checkpoint_metrics_summary.json"
CONFIDENCE = 0.95  # of every interval; fixed, so that a sweep depends on the record parameters alone


def write_summary(
    run: Run, rows: list[Row], last: Outcomes, frames: dict[SplitName, Frame], twins: dict[TwinKey, TwinFrame]
) -> str:
    """Write the summary; return what it says in one line."""
    table = all_series(frames, twins, np.array([rows[-1].step]), [last])
    final = {name: _final(name, table, last, run.params.record) for name in frames}
    data = {
        "schema": SCHEMA,
        "run": run.name,
        "source": rows[-1].source.model_dump(),
        "checkpoints": len(rows),
        "first_step": rows[0].step,
        "last_step": rows[-1].step,
        "confidence": CONFIDENCE,
        "splits": {
            name.value: {"final": final[name], "best": _best(rows, name), "heuristics": _heuristics(frame)}
            for name, frame in frames.items()
        },
        "twins": _flips(table, run.params.record),
    }
    artifacts.write_json(run.path(SUMMARY), data)
    return _line(run, rows, table)


def estimate_json(found: Estimate, unit: str) -> dict[str, Any]:
    """An estimate as JSON data with its unit."""
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n, "unit": unit}


def last_value(series: Series, record: RecordParams) -> Estimate:
    """The metric at the last checkpoint, with its interval over streams."""
    weights = resamples(len(series.denominators), record.bootstrap_draws, record.probe_seed)
    estimate = share if series.metric.is_share else ratio
    return estimate(series.numerators[:, -1], series.denominators, weights, CONFIDENCE)


def _final(name: SplitName, table: Table, last: Outcomes, record: RecordParams) -> dict[str, Any]:
    """Everything about a split at the last checkpoint."""
    out = {
        metric.value: estimate_json(last_value(series, record), metric.unit)
        for (split, metric), series in table.items()
        if split is name
    }
    tokens = last.tokens[name]
    weights = resamples(len(tokens.targets), record.bootstrap_draws, record.probe_seed)
    targets = tokens.targets.astype(np.float64)
    loss = ratio(tokens.loss, targets, weights, CONFIDENCE)
    hits = share(tokens.hits.astype(np.float64), targets, weights, CONFIDENCE)
    return {"token_loss": estimate_json(loss, "nats"), "token_accuracy": estimate_json(hits, "fraction"), **out}


def _best(rows: list[Row], name: SplitName) -> dict[str, Any]:
    """The checkpoint with the highest answer accuracy on a split, the earliest of equals."""
    best = max(rows, key=lambda row: (row.splits[name].reads.accuracy, -row.step))
    reads = best.splits[name].reads
    return {"step": best.step, "n": reads.n, "accuracy": reads.accuracy, "log_prob": reads.log_prob}


def _heuristics(frame: Frame) -> dict[str, Any]:
    """Scores of the heuristics on all reads and on stale ones, and which is best there."""

    def scores(reads: ReadsFrame | None) -> dict[str, Any] | None:
        if reads is None:
            return None
        found = {name.value: score for name, score in reads.heuristics.scores.items()}
        best = best_heuristic(reads)
        return {"n": len(reads.rows), "best": best.value, "best_score": found[best.value], "scores": found}

    return {"reads": scores(frame.all), "stale_reads": scores(frame.stale)}


def _flips(table: Table, record: RecordParams) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for (split, metric), series in table.items():
        if metric in (Metric.VALUE_FLIP, Metric.KEY_FLIP):
            out.setdefault(split.value, {})[metric.value] = estimate_json(last_value(series, record), metric.unit)
    return out


def _line(run: Run, rows: list[Row], table: Table) -> str:
    def final(split: SplitName, metric: Metric) -> str:
        return f"{float(table[split, metric].values()[-1]):.3f}" if (split, metric) in table else "none"

    return (
        f"{run.name}: {len(rows)} checkpoints, steps {rows[0].step}–{rows[-1].step}; at the end accuracy IID "
        f"{final(SplitName.TEST_IID, Metric.ACCURACY)}, held-out {final(SplitName.HELDOUT_PAIRS, Metric.ACCURACY)}, "
        f"OOD {final(SplitName.STRUCTURAL_OOD, Metric.ACCURACY)}, key-twin flip "
        f"{final(SplitName.COUNTERFACTUAL, Metric.KEY_FLIP)}"
    )
