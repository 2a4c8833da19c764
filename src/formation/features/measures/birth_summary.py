"""The births of a stage's features as a whole: how many, when, in what order, and how they lie to those of behaviours.

Nothing here needs torch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from formation.record.births import Outcome

BIRTHS = ("birth", "useful_birth")
ON_THE_TIME_LINE = (  # behaviours by split and metric
    ("test_iid", "key_twin_flip"),
    ("test_iid", "accuracy"),
    ("heldout_pairs", "accuracy"),
    ("structural_ood", "accuracy"),
)

Data = dict[str, Any]


def summary_json(features: Sequence[Data], behaviours: Sequence[Data], fdr: float) -> Data:
    """Counts, dates and order of births; `behaviours` are those of `birth_window_analysis.json`.

    `below_fdr` counts births whose gate's p-value, corrected over features and metrics, is at most `fdr`; `ordered`
    counts features whose corrected order says that they rise, whether or not beyond random directions in their place.
    """
    settled = [one["stabilisation_step"] for one in features if one["stabilisation_step"] is not None]
    return {
        "features": len(features),
        "dead": sum(one["dead"] for one in features),
        "fdr": fdr,
        **{name: _births(features, name, fdr) for name in BIRTHS},
        "both": sum(all(_born(one, name) for name in BIRTHS) for one in features),
        "useful_after_birth": _spread([one["useful_birth"]["step"] - one["birth"]["step"] for one in _both(features)]),
        "settled": {"count": len(settled), "steps": _spread(settled)},
        "lost": {
            "activation": sum(bool(one["losses"]) for one in features),
            "usefulness": sum(bool(one["useful_losses"]) for one in features),
        },
        "behaviours": [_beside(features, one) for one in behaviours if one["outcome"] == Outcome.BORN],
    }


def _births(features: Sequence[Data], name: str, fdr: float) -> Data:
    """One kind of births; `order` names features by step, the first first."""
    born = sorted((one for one in features if _born(one, name)), key=lambda one: (one[name]["step"], one["feature"]))
    outcomes = [one[name]["outcome"] for one in features if one[name] is not None]
    return {
        **{outcome.value: outcomes.count(outcome.value) for outcome in Outcome},
        "below_fdr": sum(one[name]["adjusted_p"] <= fdr for one in born),
        "ordered": sum(one[name]["adjusted_p"] <= fdr for one in features if one[name] is not None),
        "steps": _spread([one[name]["step"] for one in born]),
        "order": [one["feature"] for one in born],
    }


def _beside(features: Sequence[Data], behaviour: Data) -> Data:
    """How many features were born before a behaviour's interval, within it and behind it, and how far from it."""
    out: Data = {name: behaviour[name] for name in ("metric", "split", "step", "low", "high")}
    high = np.inf if behaviour["high"] is None else behaviour["high"]
    for name in BIRTHS:
        steps = np.array([one[name]["step"] for one in features if _born(one, name)])
        before, behind = int((steps < behaviour["low"]).sum()), int((steps > high).sum())
        lag = _spread([int(step) - behaviour["step"] for step in steps])
        out[name] = {"before": before, "within": len(steps) - before - behind, "behind": behind, "lag": lag}
    return out


def _both(features: Sequence[Data]) -> list[Data]:
    return [one for one in features if all(_born(one, name) for name in BIRTHS)]


def _born(one: Data, name: str) -> bool:
    return one[name] is not None and one[name]["outcome"] == Outcome.BORN


def _spread(steps: Sequence[int]) -> Data | None:
    """First, quartiles and last of some steps; null for none."""
    if not steps:
        return None
    low, median, high = np.quantile(steps, [0.25, 0.5, 0.75])
    return {"first": min(steps), "q25": low, "median": median, "q75": high, "last": max(steps)}


# --- the time line ---------------------------------------------------------------------------------------------------


def timeline_json(features: Sequence[Data], behaviours: Sequence[Data]) -> Data:
    """Births with their intervals, in order: one entry for each feature that has one of either kind, in any time.

    Features that were born neither active nor useful are left out; `left_out` counts them.
    """
    dated = [one for one in features if any(_dated(one, name) for name in BIRTHS)]
    rows = [
        {
            "feature": one["feature"],
            **{name: _mark(one[name]) for name in BIRTHS},
            "stabilisation_step": one["stabilisation_step"],
            "lost": [loss["step"] for loss in one["losses"]],
            "useful_lost": [loss["step"] for loss in one["useful_losses"]],
            "usefulness": one["usefulness_at_end"]["value"],
        }
        for one in sorted(dated, key=_place)
    ]
    wanted = [one for one in behaviours if (one["split"], one["metric"]) in ON_THE_TIME_LINE]
    return {
        "unit": "steps",
        "features": rows,
        "left_out": len(features) - len(rows),
        "behaviours": [{"split": one["split"], "metric": one["metric"], **_mark(one)} for one in wanted],
    }


def _place(one: Data) -> tuple[int, int]:
    """By the earlier of a feature's births."""
    return min(one[name]["step"] for name in BIRTHS if _dated(one, name)), one["feature"]


def _dated(one: Data, name: str) -> bool:
    return one[name] is not None and one[name]["step"] is not None


def _mark(change: Mapping[str, Any] | None) -> Data:
    """What a mark on a time line needs."""
    names = ("outcome", "step", "low", "high")
    return dict.fromkeys(names) if change is None else {name: change[name] for name in names}
