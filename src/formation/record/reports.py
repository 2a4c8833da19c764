"""An analysis as JSON data (`birth-windows/3`): dates in steps, metrics in their own unit, and the rule behind them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from formation.artifacts import Run
from formation.benchmark.streams import SplitName
from formation.record.analysis import Analysis, TwoBirths
from formation.record.assemble import best_heuristic
from formation.record.births import Birth, Change
from formation.record.frames import Frame, TwinFrame
from formation.record.outcomes import TwinKey
from formation.record.rows import Row
from formation.record.series import Series
from formation.record.triggers import Trigger, Window

SCHEMA, FILE = "birth-windows/3", "analysis/birth_window_analysis.json"
LEAST_DEFINED = 0.5  # share of reads a heuristic must have an answer to for a plateau to be named after it


def analysis_json(
    run: Run, rows: list[Row], frames: Mapping[SplitName, Frame], twins: Mapping[TwinKey, TwinFrame], found: Analysis
) -> dict[str, Any]:
    """The whole analysis of a run."""
    return {
        "schema": SCHEMA,
        **origin_json(run, rows, found),
        "rule": run.params.section("windows"),
        "best_shortcut": _best_shortcuts(frames),
        "best_shortcut_flip": _best_shortcut_flips(twins),
        "births": [_birth_json(series, found.births[key]) for key, series in found.behaviours.items()],
        "component_births": [_component_birth_json(s, found.births[key]) for key, s in found.components.items()],
        "two_births": [_two_births_json(two, rows, found) for two in found.two_births],
        "windows": [_window_json(window) for window in found.windows],
        "tested": found.tested,
        "triggers": [_trigger_json(trigger, found) for trigger in found.triggers],
    }


def origin_json(run: Run, rows: list[Row], found: Analysis) -> dict[str, Any]:
    """What an analysis was made from: run, digests, and which checkpoints."""
    return {
        "run": run.name,
        "preset": run.preset,
        "seed": run.seed,
        "source": rows[0].source.model_dump(),
        "checkpoints": {
            "count": len(rows),
            "first_step": rows[0].step,
            "last_step": rows[-1].step,
            "warmup": run.params.training.warmup,
            "used": len(found.steps),
            "used_steps": found.steps,
        },
    }


def change_json(change: Change | None, sign: int = 1) -> dict[str, Any] | None:
    """A dated rise; with `sign` −1 a fall, dated on the negated series. Null where there was too little to look at."""
    if change is None:
        return None
    gate = change.gate
    return {
        "outcome": change.outcome.value,
        "step": change.step,
        "low": change.low,
        "high": change.high,
        "undated_share": change.undated_share,
        "level": sign * change.level,
        "gate": {
            "opened": gate.opened,
            "p": gate.p,
            "change_step": change.change_step,
            "baseline": sign * gate.baseline,
            "peak": sign * gate.peak,
            "rise": sign * gate.rise,
            "placebo_rise": sign * gate.placebo_rise,
        },
    }


def _birth_json(series: Series, birth: Birth) -> dict[str, Any]:
    return {
        "metric": series.metric.value,
        "split": series.split.value,
        "unit": series.metric.unit,
        "n": series.n,
        **(change_json(birth.rise) or {}),
        "losses": [change_json(loss, sign=-1) for loss in birth.losses],
    }


def _component_birth_json(series: Series, birth: Birth) -> dict[str, Any]:
    """A component's birth in short: there are many."""
    component, _, metric = series.metric.value.partition(":")
    rise = birth.rise
    return {
        "component": component,
        "metric": metric,
        "split": series.split.value,
        "unit": series.metric.unit,
        "n": series.n,
        "outcome": rise.outcome.value,
        "step": rise.step,
        "low": rise.low,
        "high": rise.high,
        "level": rise.level,
        "rise": rise.gate.rise,
        "placebo_rise": rise.gate.placebo_rise,
        "p": rise.gate.p,
    }


def _best_shortcuts(frames: Mapping[SplitName, Frame]) -> dict[str, Any]:
    """The heuristic that is right most often on each split's reads with a stale value: what retrieval must exceed."""
    out = {}
    for name, frame in frames.items():
        if frame.stale is not None:
            best = best_heuristic(frame.stale)
            score = frame.stale.heuristics.scores[best]
            out[name.value] = {"heuristic": best.value, "label": best.label, "score": score, "n": len(frame.stale.rows)}
    return out


def _best_shortcut_flips(twins: Mapping[TwinKey, TwinFrame]) -> dict[str, Any]:
    """The heuristic that follows the key twin on most affected reads of each split: what retrieval must exceed."""
    return {
        name.value: {
            "heuristic": found.heuristic.value,
            "label": found.heuristic.label,
            "score": found.rate,
            "n": len(found.flips),
        }
        for (name, _), frame in twins.items()
        if (found := frame.shortcut) is not None
    }


def _two_births_json(two: TwoBirths, rows: list[Row], found: Analysis) -> dict[str, Any]:
    return {
        "split": two.split.value,
        "flips": two.flips.value,
        "shortcut": change_json(two.accuracy),
        "shortcut_value_flip": change_json(two.value_flip),
        "onset_step": two.onset,
        "retrieval": change_json(two.retrieval),
        "distance": {
            "value": two.distance.value,
            "low": two.distance.low,
            "high": two.distance.high,
            "unit": "steps",
            "reason": two.distance.reason,
        },
        "plateau": _plateau_json(two, rows, found),
    }


def _plateau_json(two: TwoBirths, rows: list[Row], found: Analysis) -> dict[str, Any] | None:
    """The model between the shortcut's rise and retrieval's onset, and the heuristic whose errors it repeats most.

    Only heuristics with an answer to most reads are asked: one that answers few of them names no plateau.
    """
    if two.accuracy is None or two.accuracy.step is None:
        return None
    end = two.onset or found.steps[-1] + 1
    inside = [row for row in rows if two.accuracy.step <= row.step < end]
    last = inside[-1].splits[two.split]
    reads = last.stale_reads or last.reads
    shared = {
        name: one.when_wrong
        for name, one in reads.shortcuts.items()
        if one.when_wrong is not None and one.defined >= LEAST_DEFINED * reads.n
    }
    name = max(shared, key=lambda key: shared[key])
    return {
        "first_step": inside[0].step,
        "last_step": inside[-1].step,
        "accuracy": float(np.median([row.splits[two.split].reads.accuracy for row in inside])),
        "heuristic": name,
        "agreement": reads.shortcuts[name].agreement,
        "when_wrong": shared[name],
        "defined": reads.shortcuts[name].defined,
        "n": reads.n,
    }


def _window_json(window: Window) -> dict[str, Any]:
    return {
        "name": window.name,
        "first_step": window.first,
        "last_step": window.last,
        "triggers": len(window.triggers),
        "series": sorted({trigger.series for trigger in window.triggers}),
    }


def _trigger_json(trigger: Trigger, found: Analysis) -> dict[str, Any]:
    return {
        "metric": trigger.metric.value,
        "split": trigger.split.value,
        "first_step": found.steps[trigger.interval],
        "last_step": found.steps[trigger.interval + 1],
        "increment": trigger.increment,
        "unit": trigger.metric.unit,
        "p": trigger.p,
        "adjusted_p": trigger.adjusted,
    }
