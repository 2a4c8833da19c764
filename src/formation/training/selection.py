"""The `select-reference` stage of a study: the run and checkpoint that stand for it, with the whole score table."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formation import artifacts, presets
from formation.artifacts import Run
from formation.benchmark.streams import SplitName, TwinKind
from formation.errors import ArtifactError, TrainingError
from formation.record.lines import row_in
from formation.record.reads import METRICS
from formation.record.rows import SCHEMA as ROW_SCHEMA
from formation.record.rows import Row
from formation.training import checkpoints
from formation.training.loop import RECORD
from formation.training.loop import SCHEMA as RECORD_SCHEMA

SCHEMA = "reference-selection/1"
METRIC = "held-out answer accuracy"
_SCORED = (SplitName.HELDOUT_PAIRS, SplitName.STRUCTURAL_OOD, SplitName.TEST_IID)
TIES = "structural_ood accuracy, then test_iid accuracy, then the earlier step, then the order of the seeds"

Score = tuple[float, float, float, int]


@dataclass(frozen=True)
class Candidate:
    """A completed run and its best checkpoint."""

    run: Run
    best: Row

    def score(self) -> Score:
        """What candidates are ordered by, the highest first: the metric, then what breaks ties."""
        return _score(self.best)


def select_reference(preset: str, root: Path | None = None) -> Path:
    """Write the preset's `reference_selection.json` and return its path.

    The reference is the best checkpoint by held-out answer accuracy among the completed runs of the preset's seeds.
    Raises `TrainingError` if none is complete, saying of each what is missing.
    """
    root = root or presets.project_root()
    candidates: list[Candidate] = []
    incomplete: list[dict[str, str]] = []
    for seed in presets.load(preset, root).seeds:
        name = f"{preset}-s{seed}"
        try:
            candidates.append(_candidate(artifacts.open_run(name, root)))
        except (ArtifactError, TrainingError) as error:
            incomplete.append({"run": name, "reason": str(error)})
    if not candidates:
        reasons = "; ".join(f"{run['run']}: {run['reason']}" for run in incomplete)
        raise TrainingError(f"preset {preset}: no run is complete, so none can be the reference: {reasons}")
    selection = _selection(preset, candidates, incomplete)
    path = artifacts.artifacts_folder(root) / "studies" / preset / "reference_selection.json"
    artifacts.write_json(path, selection)
    print(f"{preset}: the reference is {selection['run']} at step {selection['step']}")
    return path


def _candidate(run: Run) -> Candidate:
    """The run with its best checkpoint; an `ArtifactError` says why it is not complete."""
    run.json(RECORD, RECORD_SCHEMA, f"formation train --run {run.name}")  # the last file a training writes
    rows = _rows(run)
    missing = set(checkpoints.schedule(run)) - {row.step for row in rows}
    if missing:
        raise ArtifactError(
            f"{run.path(METRICS)}: no row for step {min(missing)} ({len(missing)} missing); {_again(run)}"
        )
    return Candidate(run, max(rows, key=_score))


def _rows(run: Run) -> list[Row]:
    """The run's measured checkpoints; rows of other parameters are an `ArtifactError`."""
    path, remedy = run.path(METRICS), f"formation checkpoint-sweep --run {run.name}"
    rows = [row_in(path, Row, data, remedy) for data in artifacts.read_jsonl(path, ROW_SCHEMA, remedy)]
    for row in rows:
        if row.source.params != run.params.identity(run.seed):
            raise ArtifactError(f"{run.path(METRICS)}: step {row.step} is of other parameters; {_again(run)}")
        for split in _SCORED:
            if split not in row.splits:
                raise ArtifactError(f"{run.path(METRICS)}: step {row.step} has no split {split}; {_again(run)}")
    return rows


def _again(run: Run) -> str:
    return f"run: formation checkpoint-sweep --run {run.name}"


def _score(row: Row) -> Score:
    heldout, ood, iid = (row.splits[split].reads.accuracy for split in _SCORED)
    return heldout, ood, iid, -row.step


def _selection(preset: str, candidates: list[Candidate], incomplete: list[dict[str, str]]) -> dict[str, Any]:
    reference = max(candidates, key=Candidate.score)  # of equals the first, so the order of the seeds decides
    entry = _entry(reference)
    return {
        "schema": SCHEMA,
        "preset": preset,
        "metric": METRIC,
        "ties": TIES,
        **entry,
        "table": [_entry(candidate) for candidate in candidates],
        "incomplete": incomplete,
    }


def _entry(candidate: Candidate) -> dict[str, Any]:
    """A row of the score table: answer accuracy by split, and the key twin's flip rate, without which no retrieval."""
    best = candidate.best
    flips = {name: twins[TwinKind.KEY].flip for name, twins in best.twins.items() if TwinKind.KEY in twins}
    return {
        "run": candidate.run.name,
        "step": best.step,
        "params_digest": best.source.params,
        "scores": {name: split.reads.accuracy for name, split in best.splits.items()},
        "key_twin_flips": flips,
    }
