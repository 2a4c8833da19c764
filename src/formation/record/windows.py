"""The `birth-window-analyze` stage: from a finished sweep to births, windows, and the evidence claims are judged on."""

from pathlib import Path

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.generate import Dataset
from formation.benchmark.stage import load_for_run
from formation.components.curves import curves_json as component_curves_json
from formation.components.files import CURVES as COMPONENT_CURVES
from formation.components.files import CURVES_SCHEMA as COMPONENT_CURVES_SCHEMA
from formation.components.files import METRICS as COMPONENTS
from formation.components.rows import ComponentRow
from formation.components.series import component_series
from formation.components.store import load_rows as load_components
from formation.components.store import load_sums
from formation.components.store import remedy as component_remedy
from formation.errors import ArtifactError
from formation.record.analysis import Analysis, analyse
from formation.record.assemble import Table
from formation.record.component_evidence import component_evidence
from formation.record.curves import CURVES, curves_json
from formation.record.curves import SCHEMA as CURVES_SCHEMA
from formation.record.decision import decision_json
from formation.record.evidence import FILE as EVIDENCE
from formation.record.evidence import SCHEMA as EVIDENCE_SCHEMA
from formation.record.evidence import Entry, evidence
from formation.record.frames import frames, twin_frames
from formation.record.probe_set import ProbeSet, load_probe_set
from formation.record.reads import METRICS, load_outcomes, load_rows, remedy
from formation.record.reports import FILE as ANALYSIS
from formation.record.reports import analysis_json, origin_json
from formation.record.rows import Row
from formation.record.sources import source_of


def analyze_birth_windows(run: Run) -> Path:
    """Write the run's births, windows and evidence; return the path of `birth_window_analysis.json`.

    Raises `ArtifactError` if the sweep is missing, unfinished or of other parameters, `MeasureError` if it has too few
    checkpoints after warm-up.
    """
    dataset, probe = load_for_run(run), load_probe_set(run)
    source = source_of(run, probe)
    rows, inside = load_rows(run, source), load_components(run, source)
    _require_finished(run, rows)
    record = run.params.record
    split_frames, twins = frames(dataset, record), twin_frames(dataset, probe, record)
    components = _component_table(run, rows, inside, dataset, probe)
    found = analyse(run.params, [row.step for row in rows], load_outcomes(run, rows), split_frames, twins, components)
    entries = evidence(run.params, found) | component_evidence(run.params, found)
    path = run.path(ANALYSIS)
    artifacts.write_json(run.path(EVIDENCE), {"schema": EVIDENCE_SCHEMA, **origin_json(run, rows, found), **entries})
    curves = curves_json(run.params, rows, found)
    artifacts.write_json(run.path(CURVES), {"schema": CURVES_SCHEMA, **origin_json(run, rows, found), **curves})
    if inside:
        curves = component_curves_json(run.params, inside, found)
        artifacts.write_json(
            run.path(COMPONENT_CURVES), {"schema": COMPONENT_CURVES_SCHEMA, **origin_json(run, rows, found), **curves}
        )
    decision = {"deep_work": decision_json(run.params, found)}
    artifacts.write_json(path, analysis_json(run, rows, split_frames, twins, found) | decision)
    print(_line(run, found, entries))
    return path


def _component_table(run: Run, rows: list[Row], found: list[ComponentRow], dataset: Dataset, probe: ProbeSet) -> Table:
    """The series of components; empty where only behaviour was measured, refused where other checkpoints were."""
    behind = {row.step: row.checkpoint for row in rows}
    if found and {row.step: row.checkpoint for row in found} != behind:
        raise ArtifactError(
            f"{run.path(COMPONENTS)}: measured on other checkpoints than {METRICS}; run: {component_remedy(run)}"
        )
    sizes = {name: len(split.tokens) for name, split in dataset.splits.items()}
    return component_series(probe, sizes, [load_sums(run, row) for row in found], list(behind))


def _require_finished(run: Run, rows: list[Row]) -> None:
    last, expected = rows[-1].step, run.params.training.steps
    if last != expected:
        raise ArtifactError(
            f"{run.path(METRICS)}: last step is {last}, expected training.steps = {expected}; run: {remedy(run)}"
        )


def _line(run: Run, found: Analysis, entries: dict[str, Entry]) -> str:
    """What was found, in one line."""

    def date(name: str) -> str:
        entry = entries[name]
        return str(entry["value"]) if entry["value"] is not None else entry["reason"].split(":")[0]

    return (
        f"{run.name}: retrieval {date('retrieval_birth_step')}; beyond the best shortcut IID {date('iid_birth_step')}, "
        f"held-out {date('heldout_birth_step')}, OOD {date('ood_birth_step')}; shortcut {date('shortcut_birth_step')}; "
        f"{len(found.windows)} windows (steps)"
    )
