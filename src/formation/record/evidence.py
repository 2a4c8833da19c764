"""The evidence of a run (`claims-evidence/1`): named values with interval, n and unit, on which claims are judged.

A value that does not exist is null and has a `reason`, such as "not born by step 2000": never a number in its place. A
bound may be null where the value is not: then more bootstrap draws than the interval leaves out have no birth.
"""

from typing import Any

import numpy as np

from formation.benchmark.streams import SplitName
from formation.params import Params
from formation.record.analysis import Analysis, Key
from formation.record.births import Change, Outcome
from formation.record.plateaus import Distance, distance
from formation.record.series import Metric
from formation.statistics import Estimate, interval, ratio, share

SCHEMA, FILE = "claims-evidence/1", "analysis/claims_evidence.json"

IID, HELDOUT, OOD = SplitName.TEST_IID, SplitName.HELDOUT_PAIRS, SplitName.STRUCTURAL_OOD
TWINS = SplitName.COUNTERFACTUAL
ABOVE = "stale reads answered beyond the best heuristic"

# name → metric, split, what it is
FINALS = {
    "key_twin_flip_final": (Metric.KEY_FLIP, TWINS, "P(base right and key twin right), last checkpoint"),
    "value_twin_flip_final": (Metric.VALUE_FLIP, TWINS, "P(base right and value twin right), last checkpoint"),
    "heldout_key_twin_flip_final": (Metric.KEY_FLIP, HELDOUT, "the same of key twins on held-out pairs"),
    "ood_key_twin_flip_final": (Metric.KEY_FLIP, OOD, "the same of key twins on structural OOD"),
    "iid_accuracy_final": (Metric.ACCURACY, IID, "answer accuracy on test_iid, last checkpoint"),
    "heldout_accuracy_final": (Metric.ACCURACY, HELDOUT, "answer accuracy on held-out pairs, last checkpoint"),
    "ood_accuracy_final": (Metric.ACCURACY, OOD, "answer accuracy on structural OOD, last checkpoint"),
    "accuracy_above_best_shortcut_final": (Metric.ABOVE_SHORTCUT, IID, f"{ABOVE} on test_iid, last checkpoint"),
    "heldout_above_best_shortcut_final": (Metric.ABOVE_SHORTCUT, HELDOUT, f"{ABOVE} on held-out pairs, last one"),
    "ood_above_best_shortcut_final": (Metric.ABOVE_SHORTCUT, OOD, f"{ABOVE} on structural OOD, last checkpoint"),
}
BIRTHS = {
    "retrieval_birth_step": (Metric.KEY_FLIP, TWINS, "birth of the key-twin flip"),
    "heldout_retrieval_birth_step": (Metric.KEY_FLIP, HELDOUT, "birth of the key-twin flip on held-out pairs"),
    "ood_retrieval_birth_step": (Metric.KEY_FLIP, OOD, "birth of the key-twin flip on structural OOD"),
    "iid_birth_step": (Metric.ABOVE_SHORTCUT, IID, f"birth of {ABOVE} on test_iid"),
    "heldout_birth_step": (Metric.ABOVE_SHORTCUT, HELDOUT, f"birth of {ABOVE} on held-out pairs"),
    "ood_birth_step": (Metric.ABOVE_SHORTCUT, OOD, f"birth of {ABOVE} on structural OOD"),
    "iid_accuracy_rise_step": (Metric.ACCURACY, IID, "largest rise of answer accuracy on test_iid"),
    "heldout_accuracy_rise_step": (Metric.ACCURACY, HELDOUT, "largest rise of answer accuracy on held-out pairs"),
    "ood_accuracy_rise_step": (Metric.ACCURACY, OOD, "largest rise of answer accuracy on structural OOD"),
}
DISTANCES = {
    "heldout_minus_iid_birth": ("iid_birth_step", "heldout_birth_step", "held-out birth after IID birth"),
    "ood_minus_iid_birth": ("iid_birth_step", "ood_birth_step", "OOD birth after IID birth"),
    "heldout_minus_iid_retrieval": (
        "retrieval_birth_step",
        "heldout_retrieval_birth_step",
        "birth of the held-out key-twin flip after that of the IID one",
    ),
}

Entry = dict[str, Any]


def evidence(params: Params, found: Analysis) -> dict[str, Entry]:
    """Every entry by name: `{value, low, high, n, unit, what}`, with a `reason` where the value is null."""
    out = {name: _final(params, found, *where) for name, where in FINALS.items()}
    out |= {name: birth_entry(found, (split, metric), what) for name, (metric, split, what) in BIRTHS.items()}
    out |= {name: _between(params, found, *names) for name, names in DISTANCES.items()}
    out["heldout_iid_retrieval_apart"] = _apart(
        out["heldout_minus_iid_retrieval"],
        params.training.checkpoint_every,
        "checkpoints between the births of the IID and the held-out key-twin flip, whichever came first",
    )
    return out | _shortcut(params, found) | {"retrieval_born": _born(params, found)}


def estimate_entry(found: Estimate, unit: str, what: str) -> Entry:
    """An estimate as an entry."""
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n, "unit": unit, "what": what}


def missing(n: int, unit: str, what: str, reason: str) -> Entry:
    """An entry without a value."""
    return {"value": None, "low": None, "high": None, "n": n, "unit": unit, "what": what, "reason": reason}


def final_estimate(params: Params, found: Analysis, metric: Metric, split: SplitName) -> Estimate | None:
    """The metric at the last checkpoint; null where no read of the split can show it."""
    series = found.table.get((split, metric))
    if series is None:
        return None
    estimate = share if metric.is_share else ratio
    return estimate(series.numerators[:, -1], series.denominators, found.weights[split], params.windows.confidence)


def birth_entry(found: Analysis, key: Key, what: str) -> Entry:
    """The date of a birth."""
    series = found.table.get(key)
    if series is None:
        return missing(0, "steps", what, why_absent(key))
    change = found.births[key].rise
    if change.outcome is not Outcome.BORN:
        return missing(series.n, "steps", what, reason_of(change, found.steps[-1]))
    return _dated(change.step, change.low, change.high, series.n, what)


def distance_entry(found: Distance, n: int, what: str) -> Entry:
    """The steps between two births."""
    if found.value is None:
        return missing(n, "steps", what, found.reason)
    return _dated(found.value, found.low, found.high, n, what)


def why_absent(key: Key) -> str:
    """Why an analysis does not have a series."""
    split, metric = key
    return f"no read of {split} can show it" if isinstance(metric, Metric) else f"{split} has no dated {metric.value}"


def reason_of(change: Change, last_step: int) -> str:
    """Why a change has no date."""
    if change.outcome is Outcome.CENSORED:
        return f"censored: rose at step {change.step}, too close to the end at step {last_step} to be seen lasting"
    return f"not born by step {last_step}"


def _between(params: Params, found: Analysis, first: str, second: str, what: str) -> Entry:
    """Steps between two births of `BIRTHS`."""
    changes, reasons, n = [], [], 0
    for name in (first, second):
        metric, split, _ = BIRTHS[name]
        if (split, metric) not in found.births:
            return missing(0, "steps", what, why_absent((split, metric)))
        change = found.births[split, metric].rise
        if change.outcome is not Outcome.BORN:
            reasons.append(f"{name} {reason_of(change, found.steps[-1])}")
        changes.append((name, change))
        n += found.table[split, metric].n
    if reasons:
        return missing(n, "steps", what, "; ".join(reasons))
    return distance_entry(distance(changes[0], changes[1], params.windows), n, what)


def _apart(signed: Entry, every: int, what: str) -> Entry:
    """How far apart two dates are, in checkpoints of `every` steps, for a two-sided test of equivalence.

    The upper bound is below a margin just if the whole interval of the signed difference lies within ± that margin
    (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15:657); bounds that do not exist are infinite.
    """
    if signed["value"] is None:
        return missing(signed["n"], "checkpoints", what, signed["reason"])
    low = np.inf if signed["low"] is None else -signed["low"]
    high = np.inf if signed["high"] is None else signed["high"]
    nearest = max(-low, -high, 0.0)  # 0 where the signed interval holds it
    farthest = max(low, high)
    return {
        "value": abs(signed["value"]) / every,
        "low": nearest / every,
        "high": farthest / every if np.isfinite(farthest) else None,
        "n": signed["n"],
        "unit": "checkpoints",
        "what": what,
    }


def _shortcut(params: Params, found: Analysis) -> dict[str, Entry]:
    """The rise to the shortcut's plateau on `test_iid`, and how far it precedes retrieval."""
    two = next(two for two in found.two_births if two.split is IID)
    series = found.table[IID, Metric.ACCURACY]
    before = f"before the onset of retrieval (step {two.onset})" if two.onset else "in the whole training"
    what = f"rise of answer accuracy on test_iid {before}"
    if two.accuracy is None:
        birth = missing(series.n, "steps", what, "too few checkpoints before the onset of retrieval")
    elif two.accuracy.outcome is not Outcome.BORN:
        outcome = two.accuracy.outcome
        apart = "it runs into retrieval's own rise" if outcome is Outcome.CENSORED and two.onset else outcome.value
        birth = missing(series.n, "steps", what, f"no separate rise: {apart.replace('_', ' ')}")
    else:
        birth = _dated(two.accuracy.step, two.accuracy.low, two.accuracy.high, series.n, what)
    gap = distance_entry(two.distance, series.n, "steps from the shortcut's rise to the birth of the key-twin flip")
    return {"shortcut_birth_step": birth, "shortcut_precedes_retrieval": gap}


def _born(params: Params, found: Analysis) -> Entry:
    """1 if retrieval was born, else 0; the interval is that of the same over bootstrap draws."""
    series, change = found.table[TWINS, Metric.KEY_FLIP], found.births[TWINS, Metric.KEY_FLIP].rise
    low, high = interval(np.isfinite(change.draws).astype(np.float64), params.windows.confidence)
    born = float(change.outcome is Outcome.BORN)
    value = Estimate(born, min(born, float(low)), max(born, float(high)) if born else 0.0, series.n)
    entry = estimate_entry(value, "fraction", "whether the key-twin flip was born within the training")
    return entry if born else entry | {"reason": reason_of(change, found.steps[-1])}


def _final(params: Params, found: Analysis, metric: Metric, split: SplitName, what: str) -> Entry:
    value = final_estimate(params, found, metric, split)
    if value is None:
        return missing(0, metric.unit, what, why_absent((split, metric)))
    return estimate_entry(value, metric.unit, what)


def _dated(value: int | None, low: int | None, high: int | None, n: int, what: str) -> Entry:
    return {"value": value, "low": low, "high": high, "n": n, "unit": "steps", "what": what}
