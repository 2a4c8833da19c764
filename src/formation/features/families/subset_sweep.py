"""The `subset-trajectory` stage: subsets of every stable family, measured as one at every checkpoint.

A checkpoint is finished when its file in `subsets/snapshots/` is whole and was made of the same subsets in the same
basis, from the same parameters, benchmark, probe set and checkpoint. Snapshots of features must be there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from formation.artifacts import Run, read_arrays
from formation.components.material import materials
from formation.features import files
from formation.features.families.subset_measure import measure_subsets
from formation.features.families.subsets import CURVES, TRAJECTORY, Subset, SweptSubsets, current_subsets, load_subsets
from formation.features.measures.trajectories import Frame, trajectory_frame
from formation.features.metrics import Half, Worth
from formation.features.params import Section
from formation.features.snapshot_store import FeatureRow, load_snapshots, snapshot_path, write_snapshot
from formation.features.source import chosen_stages
from formation.features.store import load_basis
from formation.features.swept import Swept, open_stage
from formation.record.lines import Source, row_in
from formation.record.resumable import checkpoint_digests, finished_rows, measure_rest, only_sweep
from formation.record.sources import source_of
from formation.statistics import interval
from formation.training import checkpoints

LOCK = "logs/subset_trajectory.lock"


class SubsetRow(FeatureRow):
    """One checkpoint of some subsets, in the order of the snapshot."""

    names: list[str]
    members: list[list[int]]


@dataclass(frozen=True)
class _Setting:
    """What is the same at every checkpoint."""

    stage: Swept
    source: Source
    digests: Mapping[int, str]
    subsets: dict[str, list[int]]


def subset_trajectory(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Measure the subsets of each stage at every checkpoint; return the paths of `subset_trajectories.json`.

    Raises `ArtifactError` where families, ranks, snapshots of features or a checkpoint are missing or of other ones.
    """
    return [_sweep_stage(open_stage(run, stage)) for stage in chosen_stages(run, stages)]


def _sweep_stage(stage: Swept) -> Path:
    subsets = current_subsets(stage)
    run, digests = stage.run, checkpoint_digests(stage.run)
    named = {subset.name: list(subset.features) for subset in subsets}
    setting = _Setting(stage, source_of(run, stage.probe), digests, named)
    with only_sweep(run, LOCK, files.place(stage.stage, files.SUBSET_SNAPSHOTS)):
        if subsets:
            _measure_all(setting)
        path = stage.write(files.SUBSETS, files.SUBSETS_SCHEMA, {"subsets": subsets})
        stage.plot("subset_curves", {"subsets": subsets})
    if subsets:
        found = load_subsets(run, stage.stage, stage.probe, warmup=True)
        path = stage.write(files.SUBSETS, files.SUBSETS_SCHEMA, _json(found))
        stage.plot("subset_curves", _json(found, digits=4))
    told = f"{len(subsets)} subsets at {len(digests)} checkpoints" if subsets else "no stable family, so no subset"
    print(f"{run.name}: {stage.stage}: {told}")
    return path


def _measure_all(setting: _Setting) -> None:
    run, stage = setting.stage.run, setting.stage.stage

    def path(run: Run, step: int) -> Path:
        return snapshot_path(run, stage, step, files.SUBSET_SNAPSHOTS)

    def read(run: Run, step: int) -> SubsetRow:
        remedy = setting.stage.remedy(TRAJECTORY)
        _, about = read_arrays(path(run, step), files.SNAPSHOT_SCHEMA, remedy)
        return row_in(path(run, step), SubsetRow, about["row"], remedy)

    finished = finished_rows(run, setting.source, setting.digests, path, read, lambda row: _moved(row, setting))
    if len(finished) < len(setting.digests):
        frame = _frame(setting.stage)
        label = f"{run.name} {stage} subsets"
        measure_rest(label, setting.digests, finished, lambda step: _measure(setting, step, frame))


def _frame(stage: Swept) -> Frame:
    run, stored = stage.run, load_basis(stage.run, stage.stage, stage.probe.benchmark)
    every = materials(stage.probe, run.params.record)
    return trajectory_frame(stored.basis, stored.placebos, every, run.params.record.batch, run.params.of(Section).seed)


def _measure(setting: _Setting, step: int, frame: Frame) -> SubsetRow:
    stage = setting.stage
    (features,) = load_snapshots(stage.run, stage.stage, [step], stage.basis, source=setting.source)
    row = SubsetRow(
        run=stage.run.name,
        step=step,
        source=setting.source,
        checkpoint=setting.digests[step],
        stage=stage.stage,
        basis=stage.basis,
        names=list(setting.subsets),
        members=list(setting.subsets.values()),
    )
    found = measure_subsets(checkpoints.load_model(stage.run, step), features, frame, setting.subsets)
    write_snapshot(snapshot_path(stage.run, stage.stage, step, files.SUBSET_SNAPSHOTS), found, row.model_dump())
    return row


def _moved(row: SubsetRow, setting: _Setting) -> str:
    """Why a row of this sweep's source cannot be used, empty if it can."""
    if row.basis != setting.stage.basis:
        return f"the basis was {row.basis[:12]}, now {setting.stage.basis[:12]}"
    same = (row.names, row.members) == (list(setting.subsets), list(setting.subsets.values()))
    return "" if same else "the subsets are others now"


def _json(found: SweptSubsets, digits: int = 6) -> dict[str, Any]:
    """Every subset with its curves, on the streams that report."""
    return {
        "measured_on": Half.REPORT.value,
        "steps": found.stage.steps,
        "units": {name: "nats" if isinstance(metric, Worth) else "" for name, (metric, _) in CURVES.items()},
        "confidence": found.stage.rule.confidence,
        "subsets": [_curves(found, subset, digits) for subset in found.subsets],
    }


def _curves(found: SweptSubsets, subset: Subset, digits: int) -> dict[str, Any]:
    out: dict[str, Any] = {**vars(subset)}
    for name, (metric, split) in CURVES.items():
        series = found.series(subset.name, metric, split)
        low, high = interval(series.draws(found.stage.weights(split)), found.stage.rule.confidence)
        values = {"value": series.values(), "low": low, "high": high}
        out[name] = {key: np.round(one.astype(np.float64), digits) for key, one in values.items()}
    return out
