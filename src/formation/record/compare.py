"""The `compare-births` stage of a study: the births of its runs side by side, and how far they agree on the order.

`artifacts/studies/<preset>/births.json` (`study-births/1`). An order is a claim about learning only if seeds share it:
for every two events the runs in which one came before the other are counted, and Kendall's τ-b says how alike two runs'
orders are, averaged over pairs of runs.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from formation import artifacts, presets
from formation.artifacts import Run
from formation.errors import ArtifactError
from formation.record.evidence import BIRTHS
from formation.record.evidence import FILE as EVIDENCE
from formation.record.evidence import SCHEMA as EVIDENCE_SCHEMA

SCHEMA = "study-births/1"
EVENTS = ("shortcut_birth_step", *BIRTHS)
# dates of single behaviours on one yardstick each; those of accuracy alone repeat them with the shortcut mixed in
ORDERED = ("shortcut_birth_step", "retrieval_birth_step", "heldout_retrieval_birth_step", "ood_retrieval_birth_step")

Entry = dict[str, Any]


def compare_births(preset: str, root: Path | None = None) -> Path:
    """Write the study's `births.json` and return its path.

    Runs that were not analysed are listed with the reason; raises `ArtifactError` if that is all of them.
    """
    root = root or presets.project_root()
    found: dict[str, dict[str, Entry]] = {}
    missing: list[dict[str, str]] = []
    for seed in presets.load(preset, root).seeds:
        name = f"{preset}-s{seed}"
        try:
            found[name] = _entries(artifacts.open_run(name, root))
        except ArtifactError as error:
            missing.append({"run": name, "reason": str(error)})
    if not found:
        reasons = "; ".join(entry["reason"] for entry in missing)
        raise ArtifactError(f"preset {preset}: no run has been analysed: {reasons}")
    path = artifacts.artifacts_folder(root) / "studies" / preset / "births.json"
    order = order_agreement({run: {event: table[event]["value"] for event in ORDERED} for run, table in found.items()})
    artifacts.write_json(
        path,
        {
            "schema": SCHEMA,
            "preset": preset,
            "runs": [_run_json(run, table) for run, table in found.items()],
            "missing": missing,
            "order": order,
        },
    )
    print(_line(preset, found, order))
    return path


def order_agreement(dates: Mapping[str, Mapping[str, int | None]]) -> dict[str, Any]:
    """How the runs order their events: counts for every two events, events by median date, mean Kendall τ-b.

    `dates` is by run and event, in steps; an event that was not born in a run takes no part in that run's order. The
    mean is null where no two runs share two events that are not simultaneous.
    """
    events = list(dict.fromkeys(event for table in dates.values() for event in table))
    born = {event: [date for table in dates.values() if (date := table[event]) is not None] for event in events}
    consensus = sorted((event for event in events if born[event]), key=lambda event: float(np.median(born[event])))
    alike = [tau for a, b in combinations(dates.values(), 2) if (tau := _tau(a, b)) is not None]
    return {
        "consensus": [{"event": event, "median_step": float(np.median(born[event]))} for event in consensus],
        "pairs": [_pair(list(dates.values()), first, second) for first, second in combinations(consensus, 2)],
        "kendall_tau_b": {"mean": float(np.mean(alike)) if alike else None, "n": len(alike), "unit": "run pairs"},
    }


def _entries(run: Run) -> dict[str, Entry]:
    """The run's dated events; `ArtifactError` if it was not analysed, or with other parameters."""
    remedy = f"formation birth-window-analyze --run {run.name}"
    data = run.json(EVIDENCE, EVIDENCE_SCHEMA, remedy)
    expected = run.params.identity(run.seed)
    if data["source"]["params"] != expected:
        raise ArtifactError(
            f"{run.path(EVIDENCE)}: params is {data['source']['params'][:12]}, but the run has {expected[:12]}; "
            f"run: {remedy}"
        )
    return {event: data[event] for event in EVENTS} | {"_last": {"value": data["checkpoints"]["last_step"]}}


def _run_json(run: str, table: Mapping[str, Entry]) -> dict[str, Any]:
    return {"run": run, "last_step": table["_last"]["value"], "births": {event: table[event] for event in EVENTS}}


def _tau(a: Mapping[str, int | None], b: Mapping[str, int | None]) -> float | None:
    """Kendall's τ-b of two runs' dates over the events both have; null where one of them has no order."""
    both = [event for event in a if a[event] is not None and b.get(event) is not None]
    x, y = [a[event] for event in both], [b[event] for event in both]
    if len(set(x)) < 2 or len(set(y)) < 2:
        return None
    return float(kendalltau(x, y).statistic)


def _pair(tables: Sequence[Mapping[str, int | None]], first: str, second: str) -> dict[str, Any]:
    """In how many runs `first` came before, with, or after `second`."""
    gaps = [b - a for table in tables if (a := table[first]) is not None and (b := table[second]) is not None]
    return {
        "first": first,
        "second": second,
        "before": sum(gap > 0 for gap in gaps),
        "same": sum(gap == 0 for gap in gaps),
        "after": sum(gap < 0 for gap in gaps),
        "n": len(gaps),
    }


def _line(preset: str, found: Mapping[str, Mapping[str, Entry]], order: Mapping[str, Any]) -> str:
    born = sum(table["retrieval_birth_step"]["value"] is not None for table in found.values())
    tau = order["kendall_tau_b"]["mean"]
    agree = "no two orders to compare" if tau is None else f"orders agree with Kendall τ-b {tau:.2f}"
    return f"{preset}: retrieval born in {born}/{len(found)} runs; {agree}"
