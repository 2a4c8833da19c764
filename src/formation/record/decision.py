"""Whether deep circuit work may start on a run: a computed rule, its thresholds in `params` under `decision`.

Features, candidates and ledgers are expensive, and on a model without the behaviour they explain nothing. So a run must
show it: present, stable, explained by no shortcut, and more than chance on pairs never trained on. Each test compares a
whole bootstrap interval with its threshold, never the value alone.
"""

from typing import Any

import numpy as np

from formation.benchmark.streams import SplitName
from formation.params import DecisionParams, Params
from formation.record.analysis import Analysis
from formation.record.evidence import HELDOUT, IID, final_estimate, why_absent
from formation.record.series import Metric, Series
from formation.statistics import Estimate, interval


def decision_json(params: Params, found: Analysis) -> dict[str, Any]:
    """`may_start`, and each test with its value, interval, threshold and outcome; a test without reads fails."""
    rule = params.decision
    tests = [
        _above("behaviour present", params, found, IID, Metric.ACCURACY, rule.accuracy),
        _stable(params, found, rule),
        _above("no shortcut explains it", params, found, IID, Metric.ABOVE_SHORTCUT, rule.above_shortcut),
        _above(
            "held-out above chance",
            params,
            found,
            HELDOUT,
            Metric.ACCURACY,
            rule.heldout_above_chance + 1 / params.benchmark.values,
        ),
    ]
    return {"may_start": all(test["passed"] for test in tests), "tests": tests}


def _above(
    name: str, params: Params, found: Analysis, split: SplitName, metric: Metric, threshold: float
) -> dict[str, Any]:
    """The metric's lower bound at the last checkpoint must exceed the threshold."""
    value = final_estimate(params, found, metric, split)
    if value is None:
        return {"test": name, "passed": False, "reason": why_absent((split, metric))}
    return _test(name, value, threshold, value.low > threshold, f"{split} {metric.value}", "above")


def _stable(params: Params, found: Analysis, rule: DecisionParams) -> dict[str, Any]:
    """Over the last checkpoints, accuracy must not have fallen from its best by more than the drop allowed."""
    series: Series = found.table[IID, Metric.ACCURACY]
    last = slice(-rule.last_checkpoints, None)
    values, draws = series.values()[last], series.draws(found.weights[IID])[:, last]
    drop = float(values.max() - values[-1])
    low, high = interval(draws[:, int(values.argmax())] - draws[:, -1], params.windows.confidence)
    value = Estimate(drop, min(drop, float(low)), max(drop, float(high)), series.n)
    passed = bool(np.asarray(value.high) < rule.largest_drop)
    return _test("stable", value, rule.largest_drop, passed, f"{IID} accuracy below its best", "below")


def _test(name: str, value: Estimate, threshold: float, passed: bool, what: str, side: str) -> dict[str, Any]:
    return {
        "test": name,
        "what": what,
        "value": value.value,
        "low": value.low,
        "high": value.high,
        "n": value.n,
        "must_be": side,
        "threshold": threshold,
        "passed": bool(passed),
    }
