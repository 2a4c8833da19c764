"""`analysis/component_curves.json` (`component-curves/2`): components and residual states over the checkpoints.

What figures need of the component sweep, small enough to read at once. Metrics whose births are dated have bounds, a
bootstrap over streams, pointwise; all others are values alone. All are of `test_iid`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from formation.components.rows import ComponentRow
from formation.components.store import DATED
from formation.params import Params
from formation.record.analysis import Analysis
from formation.record.series import ComponentMetric, Series
from formation.statistics import interval

DIGITS = 4
HEADS = (
    "attention_matching_any",
    "attention_next_key",
    "attention_matching_value",
    "attention_stale",
    "attention_distractor",
    "previous_token",
    "prefix_matching",
    "qk_margin",
    "entropy",
    "direct_effect",
    "drop_zero",
    "drop_mean",
    "drop_resample_value",
    "drop_resample_key",
)
MLPS = ("direct_effect", "drop_zero", "drop_mean", "drop_resample_value", "drop_resample_key", "active_fraction")
ROLES = ("query_key", "matching_value")  # of the spectra and similarities shown
PROBED = ("query_key", "matching_key", "matching_value", "stale_value", "next_key")  # of the probes shown
TARGETS = ("query_key", "current_value", "matching_slot", "stale_value", "overwrites")
GROUPED = ("update_norm", "weight_norm", "update_cosine", "gradient_cosine")


def curves_json(params: Params, rows: Sequence[ComponentRow], found: Analysis) -> dict[str, Any]:
    """Every curve by component and metric, probes by stage and role, spectra, and how the model moves."""
    metrics = [row.metrics[DATED] for row in rows]
    heads = sorted(name for name in metrics[0] if ".head_" in name)
    mlps = sorted(name for name in metrics[0] if name.endswith(".mlp"))
    dated = {metric: series for (_, metric), series in found.components.items()}
    bounds = {metric: _bounds(series, found, params) for metric, series in dated.items()}
    return {
        "steps": [row.step for row in rows],
        "confidence": params.windows.confidence,
        "heads": {name: _curves(metrics, name, HEADS, bounds) for name in heads},
        "mlps": {name: _curves(metrics, name, MLPS, bounds) for name in mlps},
        "ov_copy": {name: _rounded(row.weights[name].get("ov_copy") for row in rows) for name in heads},
        "effective_rank": {name: [_rank(row, name) for row in rows] for name in mlps},
        "probes": _probes(rows),
        "spectra": _spectra(rows),
        "dynamics": _dynamics(rows),
    }


def _curves(
    metrics: Sequence[Mapping[str, Mapping[str, float | None]]],
    component: str,
    names: Iterable[str],
    bounds: Mapping[ComponentMetric, dict[str, list[float | None]]],
) -> dict[str, dict[str, list[float | None]]]:
    return {
        name: {"value": _rounded(one[component].get(name) for one in metrics)}
        | bounds.get(ComponentMetric(component, name), {})
        for name in names
    }


def _bounds(series: Series, found: Analysis, params: Params) -> dict[str, list[float | None]]:
    low, high = interval(series.draws(found.weights[DATED]), params.windows.confidence)
    return {"low": _rounded(low), "high": _rounded(high)}


def _probes(rows: Sequence[ComponentRow]) -> dict[str, dict[str, dict[str, list[float | None]]]]:
    """`<stage>/<role>` → target → accuracy and control over the checkpoints."""
    out: dict[str, dict[str, dict[str, list[float | None]]]] = {}
    for place in (name for name in rows[0].probes if name.partition("/")[2] in PROBED):
        for target in TARGETS:
            found = [row.probes[place].get(target, {}).get(DATED) for row in rows]
            if any(found):
                out.setdefault(place, {})[target] = {
                    "accuracy": _rounded(None if one is None else one.accuracy for one in found),
                    "control": _rounded(None if one is None else one.control for one in found),
                }
    return out


def _spectra(rows: Sequence[ComponentRow]) -> dict[str, dict[str, list[float | None]]]:
    places = [name for name in rows[0].spectra if name.partition("/")[2] in ROLES]
    return {
        place: {
            rank: _rounded(getattr(row.spectra[place], rank) for row in rows)
            for rank in ("stable_rank", "participation_ratio")
        }
        for place in places
    }


def _dynamics(rows: Sequence[ComponentRow]) -> dict[str, Any]:
    """Norms and cosines by parameter group, and similarity of each stage's states to those before and at the end."""
    groups = [row.dynamics["groups"] for row in rows]
    grouped = {name: {group: _rounded(one[group][name] for one in groups) for group in groups[0]} for name in GROUPED}
    places = [name for name in rows[0].dynamics["cka"] if name.partition("/")[2] in ROLES]
    similar = {
        place: {with_: _rounded(row.dynamics["cka"][place][with_] for row in rows) for with_ in ("previous", "final")}
        for place in places
    }
    return {**grouped, "cka": similar}


def _rank(row: ComponentRow, name: str) -> float | None:
    by_split = row.weights[name]["effective_rank"]
    return by_split.get(DATED) if isinstance(by_split, dict) else by_split


def _rounded(values: Iterable[Any]) -> list[float | None]:
    return [None if value is None or not np.isfinite(value) else round(float(value), DIGITS) for value in values]
