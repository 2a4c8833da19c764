"""`analysis/behaviour_curves.json` (`behaviour-curves/1`): every behaviour at every checkpoint, with its interval.

What a figure needs of the sweep, small enough to read at once. Bounds are a bootstrap over streams, pointwise.
"""

from typing import Any

import numpy as np

from formation.benchmark.streams import SplitName
from formation.params import Params
from formation.record.analysis import Analysis
from formation.record.rows import Row, Stratum
from formation.record.series import Series
from formation.statistics import interval

SCHEMA = "behaviour-curves/1"
CURVES = "analysis/behaviour_curves.json"


def curves_json(params: Params, rows: list[Row], found: Analysis) -> dict[str, Any]:
    """Steps, then for each split and metric its values with bounds; token losses beside them."""
    return {
        "steps": [row.step for row in rows],
        "confidence": params.windows.confidence,
        "curves": [_curve(series, found.weights[split], params) for (split, _), series in found.behaviours.items()],
        "token_loss": {split.value: [row.splits[split].tokens.loss for row in rows] for split in rows[0].splits},
        "strata": [_stratum(rows, split, by) for split in rows[0].splits for by in (Stratum.LAG, Stratum.STALE)],
        "shortcut_errors_repeated": {split.value: _repeated(rows, split) for split in rows[0].splits},
    }


def _curve(series: Series, weights: np.ndarray, params: Params) -> dict[str, Any]:
    low, high = interval(series.draws(weights), params.windows.confidence)
    return {
        "split": series.split.value,
        "metric": series.metric.value,
        "unit": series.metric.unit,
        "n": series.n,
        "value": np.round(series.values(), 6),
        "low": np.round(low, 6),
        "high": np.round(high, 6),
    }


def _stratum(rows: list[Row], split: SplitName, by: Stratum) -> dict[str, Any]:
    """Accuracy by lag or stale count: one row of `accuracy` for each value in `at`, one column for each step."""
    groups = [{group.at: group for group in row.splits[split].reads.by[by]} for row in rows]
    at = sorted(groups[0])
    return {
        "split": split.value,
        "by": by.value,
        "at": at,
        "n": [groups[0][value].n for value in at],
        "accuracy": [[group[value].accuracy for group in groups] for value in at],
    }


def _repeated(rows: list[Row], split: SplitName) -> dict[str, list[float | None]]:
    """For each heuristic that errs on stale reads, the share of its errors the model repeats, by step."""
    found: dict[str, list[float | None]] = {}
    for row in rows:
        said = row.splits[split]
        for name, agreement in (said.stale_reads or said.reads).shortcuts.items():
            found.setdefault(name, []).append(agreement.when_wrong)
    return {name: values for name, values in found.items() if any(value is not None for value in values)}
