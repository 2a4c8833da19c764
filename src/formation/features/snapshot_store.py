"""Snapshots of a run's checkpoints as files, read without torch: whole, checked, and of one basis.

A snapshot's header holds the row that says what it was measured on, the digest of the basis among it, so that features
of two bases are never mixed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from formation import artifacts
from formation.artifacts import Run
from formation.errors import ArtifactError
from formation.features import files
from formation.features.snapshots import Snapshot, from_arrays, to_arrays
from formation.features.source import sweep_remedy
from formation.record.lines import Source, SweepRow, require_source, row_in


class FeatureRow(SweepRow):
    """One checkpoint in the basis of one stage; `basis` is the digest of its file."""

    stage: str
    basis: str


def snapshot_path(run: Run, stage: str, step: int, folder: str = files.SNAPSHOTS) -> Path:
    """Where a checkpoint's snapshot is."""
    return run.path(files.place(stage, files.snapshot(step, folder)))


def load_snapshots(
    run: Run,
    stage: str,
    steps: Sequence[int],
    basis: str,
    folder: str = files.SNAPSHOTS,
    source: Source | None = None,
) -> list[Snapshot]:
    """The snapshots of some checkpoints; `ArtifactError` if one is missing, damaged or of another basis.

    With `source`, one measured on another probe set or benchmark is refused too.
    """
    return [_load(run, stage, step, basis, folder, source) for step in steps]


def _load(run: Run, stage: str, step: int, basis: str, folder: str, source: Source | None) -> Snapshot:
    path, remedy = snapshot_path(run, stage, step, folder), sweep_remedy(run, stage)
    arrays, about = artifacts.read_arrays(path, files.SNAPSHOT_SCHEMA, remedy)
    row = about["row"]
    for field, value in (("run", run.name), ("step", step), ("basis", basis)):
        if row[field] != value:
            raise ArtifactError(f"{path}: {field} is {str(row[field])[:12]}, expected {str(value)[:12]}; run: {remedy}")
    if source is not None:
        require_source(str(path), row["source"], source, remedy)
    return from_arrays(step, arrays)


def read_row(run: Run, stage: str, step: int) -> FeatureRow:
    """The row of a finished checkpoint; `ArtifactError` if there is none or its file is damaged."""
    path, remedy = snapshot_path(run, stage, step), sweep_remedy(run, stage)
    _, about = artifacts.read_arrays(path, files.SNAPSHOT_SCHEMA, remedy)
    return row_in(path, FeatureRow, about["row"], remedy)


def write_snapshot(path: Path, snapshot: Snapshot, row: Mapping[str, object]) -> None:
    """Write a finished checkpoint with the row that says what it was measured on, atomically."""
    artifacts.write_arrays(path, to_arrays(snapshot), {"schema": files.SNAPSHOT_SCHEMA, "row": dict(row)})
