"""Per-read outcomes of one checkpoint, `analysis/reads/step_XXXXXX.safetensors`: the sweep's unit of progress.

One file holds a checkpoint's outcomes and, in its header, its finished row and what both were made from. It is written
in one step, so a killed sweep leaves whole files or none.
"""

from collections.abc import Sequence
from pathlib import Path

from formation import artifacts
from formation.artifacts import Run
from formation.errors import ArtifactError
from formation.record.lines import Source, read_rows, row_in
from formation.record.outcomes import Outcomes, from_arrays, to_arrays
from formation.record.rows import SCHEMA as ROW_SCHEMA
from formation.record.rows import Row, as_json

SCHEMA = "checkpoint-reads/2"
METRICS = "analysis/checkpoint_metrics.jsonl"
FOLDER = "analysis/reads"


def reads_path(run: Run, step: int) -> Path:
    """Where the outcomes of a checkpoint are."""
    return run.path(f"{FOLDER}/step_{step:06d}.safetensors")


def write_reads(run: Run, outcomes: Outcomes, row: Row) -> None:
    """Write a finished checkpoint, atomically."""
    about = {"schema": SCHEMA, "run": run.name, "step": row.step, "row": as_json(row)}
    artifacts.write_arrays(reads_path(run, row.step), to_arrays(outcomes), about)


def read_row(run: Run, step: int) -> Row:
    """The finished row of a checkpoint; `ArtifactError` if there is none or its file is damaged."""
    path = reads_path(run, step)
    _, about = artifacts.read_arrays(path, SCHEMA, remedy(run))
    return row_in(path, Row, about["row"], remedy(run))


def load_rows(run: Run, source: Source) -> list[Row]:
    """The rows of the run's finished sweep, in order of steps.

    Raises `ArtifactError` if there is none, or it is a sweep of other parameters, benchmark or probe set, naming both.
    """
    path = run.path(METRICS)
    rows = read_rows(path, ROW_SCHEMA, Row, run, source, remedy(run))
    if not rows:
        raise ArtifactError(f"{path}: no rows; delete it and run: {remedy(run)}")
    return rows


def load_outcomes(run: Run, rows: Sequence[Row]) -> list[Outcomes]:
    """The outcomes behind the rows; `ArtifactError` if a file is missing, damaged or not of its row."""
    out = []
    for row in rows:
        path = reads_path(run, row.step)
        arrays, about = artifacts.read_arrays(path, SCHEMA, remedy(run))
        if about["row"] != as_json(row):
            raise ArtifactError(f"{path}: is of another sweep than {METRICS}; run: {remedy(run)}")
        out.append(from_arrays(arrays))
    return out


def remedy(run: Run) -> str:
    """The command that makes these files."""
    return f"formation checkpoint-sweep --run {run.name}"
