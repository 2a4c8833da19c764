"""The records of a study for a chapter: one run in front, the preset's other runs beside it. Imports no torch."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from formation import artifacts
from formation.artifacts import Run
from formation.components.files import COMPARED, COMPARED_SCHEMA
from formation.components.files import CURVES as COMPONENT_CURVES
from formation.components.files import CURVES_SCHEMA as COMPONENT_CURVES_SCHEMA
from formation.errors import ArtifactError
from formation.published import evidence_run
from formation.record.curves import CURVES
from formation.record.curves import SCHEMA as CURVES_SCHEMA
from formation.record.evidence import FILE as EVIDENCE
from formation.record.evidence import SCHEMA as EVIDENCE_SCHEMA
from formation.record.reports import FILE as ANALYSIS
from formation.record.reports import SCHEMA as ANALYSIS_SCHEMA

Curve = dict[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """What was measured on one run; files are read when first asked for."""

    run: Run

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.run.name

    @cached_property
    def behaviour(self) -> dict[str, Any]:
        """`analysis/behaviour_curves.json`."""
        return self._json(CURVES, CURVES_SCHEMA)

    @cached_property
    def analysis(self) -> dict[str, Any]:
        """`analysis/birth_window_analysis.json`."""
        return self._json(ANALYSIS, ANALYSIS_SCHEMA)

    @cached_property
    def evidence(self) -> dict[str, Any]:
        """`analysis/claims_evidence.json`."""
        return self._json(EVIDENCE, EVIDENCE_SCHEMA)

    @cached_property
    def components(self) -> dict[str, Any]:
        """`analysis/component_curves.json`."""
        return self._json(COMPONENT_CURVES, COMPONENT_CURVES_SCHEMA)

    @cached_property
    def compared(self) -> dict[str, Any]:
        """`analysis/birth_window_compare.json`."""
        remedy = f"formation birth-window-compare --run {self.name}"
        return self.run.json(COMPARED, COMPARED_SCHEMA, remedy)

    @cached_property
    def training(self) -> dict[str, Any]:
        """`training.json`."""
        return self.run.json("training.json", "training/1", f"formation train --run {self.name}")

    @cached_property
    def training_loss(self) -> list[dict[str, Any]]:
        """Rows of `learning_curve.jsonl`."""
        path = self.run.path("learning_curve.jsonl")
        return artifacts.read_jsonl(path, "learning-curve/1", f"formation train --run {self.name}")

    @property
    def steps(self) -> list[int]:
        """Steps of the measured checkpoints."""
        return list(self.behaviour["steps"])

    def curve(self, split: str, metric: str) -> Curve:
        """One behaviour over the checkpoints: `value`, `low`, `high`, `unit`, `n`."""
        return self._one(self.behaviour["curves"], split=split, metric=metric)

    def birth(self, split: str, metric: str) -> dict[str, Any]:
        """The birth of one behaviour."""
        return self._one(self.analysis["births"], split=split, metric=metric)

    def stratum(self, split: str, by: str) -> dict[str, Any]:
        """Accuracy by lag or stale count over the checkpoints."""
        return self._one(self.behaviour["strata"], split=split, by=by)

    def _json(self, relative: str, schema: str) -> dict[str, Any]:
        return self.run.json(relative, schema, f"formation birth-window-analyze --run {self.name}")

    def _one(self, entries: list[dict[str, Any]], **wanted: str) -> dict[str, Any]:
        for entry in entries:
            if all(entry[key] == value for key, value in wanted.items()):
                return entry
        raise ArtifactError(f"run {self.name}: nothing was measured for {wanted}; run: make paper")


@dataclass(frozen=True)
class Study:
    """A run in front (`this`), the preset's measured runs in order, and the names of those not measured yet."""

    this: RunRecord
    runs: list[RunRecord]
    missing: list[str]

    @property
    def others(self) -> list[RunRecord]:
        """All runs but the one in front."""
        return [record for record in self.runs if record.name != self.this.name]


def open_study(name: str, root: Path | None = None) -> Study:
    """The study of run `name`: all seeds of its preset, and the run itself if its seed is not among them."""
    this = evidence_run(name, root)
    names = [f"{this.preset}-s{seed}" for seed in sorted({*this.params.seeds, this.seed})]
    records = [RunRecord(this if other == name else evidence_run(other, this.root)) for other in names]
    for record in records:
        artifacts.record_read(record.run.path(ANALYSIS))
    measured = [record for record in records if record.run.path(ANALYSIS).is_file() or record.name == name]
    front = next(record for record in measured if record.name == name)
    return Study(front, measured, [record.name for record in records if record not in measured])
