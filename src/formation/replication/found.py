"""The evidence of one run beside others: computed here or published, never of other parameters than asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formation import artifacts
from formation.artifacts import Run
from formation.errors import ArtifactError
from formation.record.evidence import BIRTHS, FINALS
from formation.record.evidence import FILE as EVIDENCE
from formation.record.evidence import SCHEMA as EVIDENCE_SCHEMA

FINAL = ("iid_accuracy_final", "heldout_accuracy_final", "ood_accuracy_final", "key_twin_flip_final")
MEASURES = {name: where[2] for name, where in BIRTHS.items()} | {name: FINALS[name][2] for name in FINAL}
_KEPT = ("value", "low", "high", "n", "unit", "reason")

Entry = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """One run: its identity, the digest of its evidence, its last step, and an entry for every measure."""

    run: str
    params: str
    evidence: str
    last_step: int
    entries: dict[str, Entry]

    def as_json(self) -> Entry:
        """As plain JSON data; units stand with the measures."""
        entries = {name: {key: entry[key] for key in entry if key != "unit"} for name, entry in self.entries.items()}
        return {"run": self.run, "params": self.params, "evidence_sha256": self.evidence, "entries": entries}


def find_evidence(run: Run, identity: str, measures: Iterable[str] = tuple(MEASURES)) -> Found:
    """The evidence of a run; raises `ArtifactError` where there is none, or where its parameters are not `identity`."""
    data = run.json(EVIDENCE, EVIDENCE_SCHEMA, f"formation birth-window-analyze --run {run.name}")
    then = str(data["source"]["params"])
    if then != identity:
        raise ArtifactError(f"{run.path(EVIDENCE)}: params is {then[:12]}, but {run.name} has {identity[:12]} today")
    entries = {measure: {key: data[measure].get(key) for key in _KEPT} for measure in measures}
    digest = artifacts.file_digest(run.path(EVIDENCE))
    return Found(run.name, identity, digest, int(data["checkpoints"]["last_step"]), entries)


def below(text: str, root: Path) -> str:
    """A message with files named as the project calls them."""
    named = {artifacts.artifacts_folder(root): "artifacts", root: "."}
    for folder, name in named.items():
        text = text.replace(f"{folder.resolve()}/", f"{name}/").replace(f"{folder}/", f"{name}/")
    return text.replace("./", "")
