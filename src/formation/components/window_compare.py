"""The `birth-window-compare` stage: what inside the model carries the change of each formation window, and in which
order it came (`docs/measures.md` §4).

The checkpoints at a window's ends are patched into each other, by head, block, stage and role, on the probe streams;
then the window is replayed and measured every `record.replay_every` steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.stage import load_for_run
from formation.benchmark.streams import SplitName
from formation.components.ablation import Component, components
from formation.components.exchange import PatchKind, Side, count_patches, exchange, side
from formation.components.files import COMPARED, COMPARED_SCHEMA
from formation.components.fractions import METRICS, NO_CHANGE, UNITS, Gain, change_of, differs, fraction, gains, values
from formation.components.material import SCORED, Material, materials
from formation.components.window_dense import Stretch, choose_stretch, measure_window, series_json, why_not_here
from formation.errors import TrainingError
from formation.model import Transformer
from formation.progress import track
from formation.record.lines import require_source
from formation.record.probe_set import load_probe_set
from formation.record.reports import FILE as ANALYSIS
from formation.record.reports import SCHEMA as ANALYSIS_SCHEMA
from formation.record.resumable import one_thread
from formation.record.sources import source_of
from formation.statistics import resamples
from formation.training import checkpoints
from formation.training.state import Streams, training_streams

PATCHED_ON = (SplitName.TEST_IID, SplitName.HELDOUT_PAIRS)
INTO_SOURCE, OUT_OF_TARGET = "into_source", "out_of_target"
HEADS = 3  # those that carry most are followed through the window
CARRIED = ("margin", "log_prob")  # of which fractions are told
_CHOSEN_BY = "log_prob"  # bounded from above; a margin at the source may be anything
_DIGITS = 4
_ORIGIN = ("run", "preset", "seed", "source", "checkpoints")


@dataclass(frozen=True)
class Setting:
    """What is the same in every window."""

    run: Run
    materials: Mapping[SplitName, Material]
    weights: Mapping[SplitName, np.ndarray]  # draws of each split's probe streams

    @cached_property
    def streams(self) -> Streams:
        """The run's training streams, read only where something is replayed."""
        return training_streams(load_for_run(self.run))

    @property
    def confidence(self) -> float:
        """Of every interval."""
        return self.run.params.windows.confidence


def compare_windows(run: Run) -> Path:
    """Write the run's `birth_window_compare.json` and return its path; a run without windows has an empty list.

    Raises `ArtifactError` if the windows, the probe set or a checkpoint are missing, or are not of these parameters.
    """
    remedy = f"formation birth-window-analyze --run {run.name}"
    analysis = run.json(ANALYSIS, ANALYSIS_SCHEMA, remedy)
    probe = load_probe_set(run)
    require_source(str(run.path(ANALYSIS)), analysis["source"], source_of(run, probe), remedy)
    setting = _setting(run, materials(probe, run.params.record))
    found = [compare_window(setting, window) for window in analysis["windows"]]
    path = run.path(COMPARED)
    data = {
        "schema": COMPARED_SCHEMA,
        **{name: analysis[name] for name in _ORIGIN},
        "rule": {"confidence": setting.confidence, "replay_every": run.params.record.replay_every},
        "windows": found,
    }
    artifacts.write_jsonl(path, [data])  # one line: there are many rows
    print(_line(run, found))
    return path


def _setting(run: Run, every: Mapping[SplitName, Material]) -> Setting:
    scored = {split: every[split] for split in SCORED}
    draws, seed = run.params.record.bootstrap_draws, run.params.windows.seed
    weights = {s: resamples(m.streams, draws, (seed, list(SplitName).index(s))) for s, m in scored.items()}
    return Setting(run, scored, weights)


def compare_window(setting: Setting, window: Mapping[str, Any]) -> dict[str, Any]:
    """One window: its ends patched into each other, and its inside replayed."""
    run = setting.run
    first, last = window["first_step"], window["last_step"]
    source, target = (checkpoints.load_model(run, step) for step in (first, last))
    label = f"{run.name} steps {first} to {last}"
    with one_thread(), track(label, 2 * len(PATCHED_ON) * count_patches(source), "patches") as bar:
        changes, patches = [], []
        for row in patch_rows(source, target, setting):
            changes += row.changes
            patches += row.patches
            bar.advance()
    dense, reason = _dense(setting, first, last, leading_heads(source, patches))
    return {
        "name": window["name"],
        "first_step": first,
        "last_step": last,
        "changes": changes,
        "patches": patches,
        "dense": dense,
        "dense_reason": reason,
    }


# --- patches ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """What one patch adds to the tables of a window."""

    changes: list[dict[str, Any]]
    patches: list[dict[str, Any]]


def patch_rows(source: Transformer, target: Transformer, setting: Setting) -> Iterator[Rows]:
    """Every patch of either checkpoint into the other on the splits `PATCHED_ON`, one at a time."""
    batch = setting.run.params.record.batch
    for split in PATCHED_ON:
        material = setting.materials[split]
        ends = (side(source, material, batch), side(target, material, batch))
        for direction, (receiver, donor) in ((INTO_SOURCE, ends), (OUT_OF_TARGET, ends[::-1])):
            yield from _rows(receiver, donor, direction, setting)


def _rows(receiver: Side, donor: Side, direction: str, setting: Setting) -> Iterator[Rows]:
    material = receiver.material
    for number, patch in enumerate(exchange(receiver, donor, setting.run.params.record.batch)):
        found = gains(patch, material)
        named = {"split": material.name.value, "direction": direction}
        rows = [
            {
                "kind": patch.kind.value,
                "component": patch.component,
                **named,
                **_fraction(metric, gain, setting, material),
            }
            for metric, gain in found.items()
            if metric in CARRIED
        ]
        tell = number == 0 and direction == INTO_SOURCE
        yield Rows(_changes(found, receiver, material, setting) if tell else [], rows)


def _fraction(metric: str, gain: Gain, setting: Setting, material: Material) -> dict[str, Any]:
    found = fraction(gain, setting.weights[material.name], setting.confidence)
    bounds = {"fraction": found.value, "low": found.low, "high": found.high}
    rounded = {name: None if bound is None else round(bound, _DIGITS) + 0.0 for name, bound in bounds.items()}
    return {"metric": metric, **rounded, "n": found.n}


def _changes(found: Mapping[str, Gain], source: Side, material: Material, setting: Setting) -> list[dict[str, Any]]:
    """What there is to carry: each readout at the source, and its change up to the target."""
    weights, out = setting.weights[material.name], []
    level = _levels(source)
    for metric in METRICS:
        change = change_of(found[metric], weights, setting.confidence)
        out.append(
            {
                "split": material.name.value,
                "metric": metric,
                "unit": UNITS[metric],
                "source": round(level[metric], _DIGITS),
                "target": round(level[metric] + change.value, _DIGITS),
                "change": round(change.value, _DIGITS),
                "low": round(change.low, _DIGITS),
                "high": round(change.high, _DIGITS),
                "n": change.n,
                "reason": None if differs(change) else NO_CHANGE,
            }
        )
    return out


def _levels(source: Side) -> dict[str, float]:
    return {name: float(v.mean()) for name, v in values(source.clean.logits, source.material.answer).items()}


def leading_heads(model: Transformer, patches: Sequence[Mapping[str, Any]]) -> list[Component]:
    """The heads that carry most of the change into the source, on test_iid; none where there is no fraction."""
    by_name = {component.name: component for component in components(model)}
    found = [
        (row["fraction"], row["component"])
        for row in patches
        if (row["kind"], row["direction"], row["metric"]) == (PatchKind.HEAD.value, INTO_SOURCE, _CHOSEN_BY)
        and row["split"] == SplitName.TEST_IID.value
        and row["fraction"] is not None
    ]
    return [by_name[name] for _, name in sorted(found, key=lambda pair: -pair[0])[:HEADS]]


# --- the inside ------------------------------------------------------------------------------------------------------


def _dense(
    setting: Setting, first: int, last: int, heads: Sequence[Component]
) -> tuple[dict[str, Any] | None, str | None]:
    """The window replayed, or why it cannot be."""
    run = setting.run
    reason = why_not_here(run, first)
    if reason is not None:
        return None, f"a replay would not give the run's bytes: {reason}"
    at = choose_stretch(run, first, last, setting.materials)
    try:
        points, compared = measure_window(run, at, setting.materials, heads, setting.streams)
    except TrainingError as error:
        return None, str(error).replace(f"{run.folder}/", "")
    return {
        **_told(at),
        "every": run.params.record.replay_every,
        "compared": list(compared),
        "steps": sorted(points),
        "heads": [head.name for head in heads],
        "series": series_json(points, setting.weights, run.params.windows),
    }, None


def _told(at: Stretch) -> dict[str, Any]:
    """Which steps were replayed, and why these."""
    why = (
        None
        if at.whole
        else f"the {at.last - at.first} steps from a checkpoint on in which test_iid accuracy rises most"
    )
    return {"first_step": at.first, "last_step": at.last, "whole": at.whole, "chosen": why}


def _line(run: Run, found: Sequence[Mapping[str, Any]]) -> str:
    """What was found, in one line."""
    parts = [
        f"{window['first_step']} to {window['last_step']}: {_strongest(window)}, "
        + ("not replayed: " + window["dense_reason"] if window["dense"] is None else "replayed")
        for window in found
    ]
    return f"{run.name}: {len(found)} windows compared" + "".join(f"; steps {part}" for part in parts)


def _strongest(window: Mapping[str, Any]) -> str:
    rows = [
        row
        for row in window["patches"]
        if row["kind"] in (PatchKind.HEAD.value, PatchKind.MLP.value)
        and (row["split"], row["direction"], row["metric"]) == (SplitName.TEST_IID.value, INTO_SOURCE, _CHOSEN_BY)
        and row["fraction"] is not None
    ]
    if not rows:
        return "no change to carry"
    best = max(rows, key=lambda row: float(row["fraction"]))
    return f"{best['component']} carries {best['fraction']:.2f} of the log-probability"
