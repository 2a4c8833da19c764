"""What other stages leave for those of families, on planted runs: whole rows of snapshots, and small files by hand."""

from pathlib import Path
from typing import Any

import numpy as np

from formation import artifacts
from formation.artifacts import Run
from formation.components.files import CURVES as COMPONENT_CURVES
from formation.components.files import CURVES_SCHEMA as COMPONENT_CURVES_SCHEMA
from formation.features import files
from formation.features.moments import schedule
from formation.features.snapshot_store import snapshot_path
from formation.features.source import basis_digest
from formation.record.curves import CURVES as BEHAVIOUR_CURVES
from formation.record.curves import SCHEMA as BEHAVIOUR_CURVES_SCHEMA
from formation.record.evidence import FILE as EVIDENCE
from formation.record.evidence import SCHEMA as EVIDENCE_SCHEMA
from formation.record.probe_set import load_probe_set
from formation.record.reports import FILE as ANALYSIS
from formation.record.reports import SCHEMA as ANALYSIS_SCHEMA
from formation.record.sources import source_of
from formation.training import checkpoints
from tests.formation.features.swept_planted import BIRTH, STAGE, UNREAD

FEATURES = 32 + UNREAD
HEADS = ("layer_0.head_1", "layer_1.head_0")  # of the plan


def prepared(run: Run) -> Run:
    """The run with rows of its snapshots made whole, and everything that is read of the fit and of the record."""
    source, digest = source_of(run, load_probe_set(run)).model_dump(), _digest(run)
    for step in schedule(run):
        path = snapshot_path(run, STAGE, step)
        arrays, about = artifacts.read_arrays(path, files.SNAPSHOT_SCHEMA)
        checkpoint = artifacts.file_digest(checkpoints.path(run, step))
        row = {**about["row"], "source": source, "stage": STAGE, "checkpoint": checkpoint}
        artifacts.write_arrays(path, arrays, {**about, "row": row})
    origin = {"run": run.name, "basis": digest}
    listed = [{"feature": f, "unstable": f % 8 == 0, "stability": 0.6 if f % 8 == 0 else 0.9} for f in range(FEATURES)]
    _write(run, files.place(STAGE, files.FEATURES), files.FEATURES_SCHEMA, origin | {"features": listed})
    part = {"checkpoints": [10], "explained_variance_without_token_means": 0.8, "mean_active_fraction": 0.1}
    quality = {"basis": {"heldout": part | {"dead_fraction": 0.0}}}
    _write(run, files.place(STAGE, files.QUALITY), files.QUALITY_SCHEMA, origin | {"quality": quality})
    births = [{"useful_birth": _born(BIRTH) if f < 32 else None} for f in range(FEATURES)]
    _write(run, files.place(STAGE, files.BIRTHS), files.BIRTHS_SCHEMA, origin | {"features": births})
    _write_record(run)
    return run


def _write_record(run: Run) -> None:
    """Births, curves and windows of behaviour and components, as few as are read."""
    dated = {"value": BIRTH, "low": BIRTH - 10, "high": BIRTH}
    names = ("shortcut_birth_step", "retrieval_birth_step", "heldout_retrieval_birth_step", "ood_retrieval_birth_step")
    _write(run, EVIDENCE, EVIDENCE_SCHEMA, dict.fromkeys(names, dated))
    flat = dict.fromkeys(("value", "low", "high"), np.zeros(len(schedule(run))).tolist())
    drop = {"drop_resample_key": flat}
    curves = {"heads": dict.fromkeys(HEADS, drop), "mlps": dict.fromkeys(("layer_0.mlp", "layer_1.mlp"), drop)}
    _write(run, COMPONENT_CURVES, COMPONENT_CURVES_SCHEMA, curves)
    flips = [{"split": split, "metric": "key_twin_flip", **flat} for split in ("counterfactual", "heldout_pairs")]
    _write(run, BEHAVIOUR_CURVES, BEHAVIOUR_CURVES_SCHEMA, {"curves": flips})
    analysis = artifacts.read_json(run.path(ANALYSIS), ANALYSIS_SCHEMA)
    component = {"component": HEADS[1], "metric": "drop_resample_key", **_born(BIRTH)}
    artifacts.write_json(run.path(ANALYSIS), analysis | {"component_births": [component]})


def stage_file(run: Run, name: str) -> Path:
    """A file of the planted stage."""
    return run.path(files.place(STAGE, name))


def _born(step: int) -> dict[str, Any]:
    return {"outcome": "born", "step": step, "low": step, "high": step}


def _digest(run: Run) -> str:
    return basis_digest(run, STAGE, load_probe_set(run).benchmark)


def _write(run: Run, name: str, schema: str, data: dict[str, Any]) -> None:
    artifacts.write_json(run.path(name), {"schema": schema, **data})
