"""The `feature-family-trace` stage: the strongest candidate beside what it is made by and what it is for, over time.

Births with their intervals, usefulness and score, the key-twin drop of the components behind it, the key-twin flip that
is retrieval, and the formation windows: what other stages measured, brought together. Where there is no candidate the
trace says why, and has behaviour and windows alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from formation.artifacts import Run
from formation.benchmark.streams import SplitName
from formation.candidates.registering import REGISTRY
from formation.components.files import CURVES as COMPONENT_CURVES
from formation.components.files import CURVES_SCHEMA as COMPONENT_CURVES_SCHEMA
from formation.features import files
from formation.features.families.subset_births import DATED_BY
from formation.features.families.subsets import CURVES, TRAJECTORY
from formation.features.moments import schedule
from formation.features.source import chosen_stages
from formation.features.swept import Swept, open_stage
from formation.record.curves import CURVES as BEHAVIOUR_CURVES
from formation.record.curves import SCHEMA as BEHAVIOUR_CURVES_SCHEMA
from formation.record.evidence import FILE as EVIDENCE
from formation.record.evidence import SCHEMA as EVIDENCE_SCHEMA
from formation.record.lines import require_source
from formation.record.reports import FILE as ANALYSIS
from formation.record.reports import SCHEMA as ANALYSIS_SCHEMA
from formation.record.series import Metric
from formation.record.sources import source_of

WINDOWS = "birth-window-analyze"
SUBSET_BIRTH, FAMILY_BIRTH = "subset-birth", "feature-family-birth"
DROP = "drop_resample_key"
BEHAVIOURS = {  # what the paper calls retrieval, and the plateau before it
    "shortcut": "shortcut_birth_step",
    "retrieval": "retrieval_birth_step",
    "heldout_retrieval": "heldout_retrieval_birth_step",
    "ood_retrieval": "ood_retrieval_birth_step",
}
DIGITS = 4


def feature_family_trace(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Write `feature_family_trace.json` of each stage and `plots/joint_trace.json`; return the former.

    Raises `ArtifactError` where the registry, births or component curves are missing or of anything else.
    """
    return [_trace(open_stage(run, stage)) for stage in chosen_stages(run, stages)]


def _trace(stage: Swept) -> Path:
    registry = stage.read(files.REGISTRY, files.REGISTRY_SCHEMA, REGISTRY)
    candidate = registry["candidates"][0] if registry["candidates"] else None
    data = {
        "candidate": candidate,
        "reason": registry["reason"],
        "confidence": stage.rule.confidence,
        "steps": schedule(stage.run),
        "births": _births(stage, candidate),
        "curves": {} if candidate is None else _curves(stage, candidate["id"]),
        "components": [] if candidate is None else _components(stage.run, candidate["components"]),
        "behaviour": _behaviour(stage.run),
        "windows": _windows(stage),
    }
    stage.plot("joint_trace", data)
    print(_line(stage, candidate, data["births"]))
    return stage.write(files.FAMILY_TRACE, files.FAMILY_TRACE_SCHEMA, data)


def _births(stage: Swept, candidate: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Everything dated, of the candidate, its family, its components and the behaviour: steps with intervals."""
    evidence = _recorded(stage.run, EVIDENCE, EVIDENCE_SCHEMA)
    rows = [_birth("behaviour", name, evidence[key]) for name, key in BEHAVIOURS.items()]
    if candidate is None:
        return rows
    subsets = stage.read(files.SUBSET_BIRTHS, files.SUBSET_BIRTHS_SCHEMA, SUBSET_BIRTH)["subsets"]
    families = stage.read(files.FAMILY_BIRTHS, files.FAMILY_BIRTHS_SCHEMA, FAMILY_BIRTH)["families"]
    subset = next(row for row in subsets if row["name"] == candidate["id"])
    family = next(row for row in families if row["name"] == candidate["family"])
    for of, row in (("candidate", subset), ("family", family)):
        rows += [_birth(of, f"{row['name']} {key}", _born(row[key])) for key in DATED_BY]
    named = set(candidate["components"])
    for one in _recorded(stage.run, ANALYSIS, ANALYSIS_SCHEMA)["component_births"]:
        if one["component"] in named and one["metric"] == DROP:
            rows.append(_birth("component", one["component"], _born(one)))
    return rows


def _born(change: Mapping[str, Any]) -> dict[str, Any]:
    """A change as a date, without one where it was not seen to last."""
    born = change["outcome"] == "born"
    return {name: change[key] if born else None for name, key in (("value", "step"), ("low", "low"), ("high", "high"))}


def _birth(of: str, name: str, dated: Mapping[str, Any]) -> dict[str, Any]:
    return {"of": of, "name": name, "step": dated["value"], "low": dated["low"], "high": dated["high"]}


def _curves(stage: Swept, name: str) -> dict[str, Any]:
    subsets = stage.read(files.SUBSETS, files.SUBSETS_SCHEMA, TRAJECTORY)["subsets"]
    row = next(row for row in subsets if row["name"] == name)
    return {curve: _rounded(row[curve]) for curve in CURVES}


def _components(run: Run, names: Sequence[str]) -> list[dict[str, Any]]:
    """The key-twin drop of heads and blocks over the checkpoints, nats of margin; null for single neurons."""
    curves = _recorded(run, COMPONENT_CURVES, COMPONENT_CURVES_SCHEMA)
    known = {**curves["heads"], **curves["mlps"]}
    return [{"component": name, DROP: known[name][DROP] if name in known else None} for name in names]


def _behaviour(run: Run) -> dict[str, Any]:
    """The key-twin flip of IID streams and of held-out pairs."""
    wanted = {"retrieval": SplitName.COUNTERFACTUAL.value, "heldout_retrieval": SplitName.HELDOUT_PAIRS.value}
    every = _recorded(run, BEHAVIOUR_CURVES, BEHAVIOUR_CURVES_SCHEMA)["curves"]
    by_split = {curve["split"]: curve for curve in every if curve["metric"] == Metric.KEY_FLIP.value}
    return {name: _rounded(by_split[split]) for name, split in wanted.items() if split in by_split}


def _windows(stage: Swept) -> list[dict[str, Any]]:
    analysis = _recorded(stage.run, ANALYSIS, ANALYSIS_SCHEMA)
    where, remedy = str(stage.run.path(ANALYSIS)), f"formation {WINDOWS} --run {stage.run.name}"
    require_source(where, analysis["source"], source_of(stage.run, stage.probe), remedy)
    return [{name: one[name] for name in ("name", "first_step", "last_step")} for one in analysis["windows"]]


def _recorded(run: Run, name: str, schema: str) -> dict[str, Any]:
    return run.json(name, schema, f"formation {WINDOWS} --run {run.name}")


def _rounded(curve: Mapping[str, Any]) -> dict[str, list[float]]:
    return {name: [round(value, DIGITS) for value in curve[name]] for name in ("value", "low", "high")}


def _line(stage: Swept, candidate: Mapping[str, Any] | None, births: Sequence[Mapping[str, Any]]) -> str:
    where = f"{stage.run.name}: {stage.stage}"
    if candidate is None:
        return f"{where}: no candidate to trace"
    told = ", ".join(f"{row['name']} {row['step']}" for row in births if row["step"] is not None)
    return f"{where}: {candidate['id']} traced: {told} (steps)"
