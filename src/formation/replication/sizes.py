"""`compare-studies`: births, ends and accuracy over training of studies of different size, side by side.

`artifacts/studies/sizes/sizes.json` (`study-sizes/1`) holds every run of every preset asked for, and the figures that
the source study reports of its own model. Steps of different studies are not ranked against each other: batches,
streams and rates differ with them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from formation import artifacts, presets
from formation.artifacts import Run
from formation.errors import ArtifactError, FormationError
from formation.params import Params
from formation.published import evidence_run, published_home
from formation.record.evidence import FINALS
from formation.record.study import RunRecord
from formation.replication.found import MEASURES, Entry, below, find_evidence

SCHEMA = "study-sizes/1"
FILE = "studies/sizes/sizes.json"
PRESETS = ("quick", "reference", "source")
MORE = ("value_twin_flip_final", "accuracy_above_best_shortcut_final")
CURVES = {  # name → split and metric of `behaviour_curves.json`
    "iid": ("test_iid", "accuracy"),
    "heldout": ("heldout_pairs", "accuracy"),
    "ood": ("structural_ood", "accuracy"),
    "key_twin": ("counterfactual", "key_twin_flip"),
}
_SOURCE = Path(__file__).with_name("source_study.yml")


def compare_studies(names: Sequence[str] = PRESETS, root: Path | None = None) -> Path:
    """Write the comparison from the runs there are, computed here or published, and return its path.

    Runs without evidence are listed with the reason. Raises `ArtifactError` if there is none at all.
    """
    root = root or presets.project_root()
    studies = [_study(name, root) for name in names]
    if not any(study["runs"] for study in studies):
        lacking = [entry["run"] for study in studies for entry in study["missing"]]
        raise ArtifactError(f"compare-studies: no evidence of {', '.join(lacking)}; run: make paper")
    path = artifacts.artifacts_folder(root) / FILE
    artifacts.write_json(path, _comparison(names, studies))
    for study in studies:
        print(f"{study['preset']}: {len(study['runs'])} run(s), {len(study['missing'])} missing")
    return path


def load_sizes(root: Path | None = None) -> dict[str, Any] | None:
    """The comparison as made here or as published in `results/sizes/`; `None` if there is neither."""
    root = root or presets.project_root()
    path = (published_home("sizes", root) or artifacts.artifacts_folder(root)) / FILE
    artifacts.record_read(path)
    return artifacts.read_json(path, SCHEMA, _command(PRESETS)) if path.is_file() else None


def _comparison(names: Sequence[str], studies: Sequence[Entry]) -> Entry:
    finals = {name: FINALS[name][2] for name in MORE}
    return {
        "schema": SCHEMA,
        "command": _command(names),
        "source": yaml.safe_load(_SOURCE.read_text(encoding="utf-8")),
        "measures": MEASURES | finals,
        "curves": {name: {"split": split, "metric": metric} for name, (split, metric) in CURVES.items()},
        "studies": list(studies),
    }


def _command(names: Sequence[str]) -> str:
    return f"formation compare-studies {' '.join(names)}"


def _study(preset: str, root: Path) -> Entry:
    """One preset with every run of it that has evidence, and why the others have none."""
    params = presets.load(preset, root)
    runs, missing = [], []
    for name in (f"{preset}-s{seed}" for seed in params.seeds):
        try:
            runs.append(_run(evidence_run(name, root), params))
        except FormationError as error:
            missing.append({"run": name, "reason": below(str(error), root)})
    return {"preset": preset, "purpose": params.purpose, "setting": params.benchmark.setting, **_size(params)} | {
        "runs": runs,
        "missing": missing,
    }


def _size(params: Params) -> Entry:
    model, training = params.model, params.training
    return {
        "layers": model.layers,
        "heads": model.heads,
        "d_model": model.d_model,
        "steps": training.steps,
        "checkpoint_every": training.checkpoint_every,
    }


def _run(run: Run, params: Params) -> Entry:
    """Evidence and curves of one run; refused if it was made with other parameters than the preset has today."""
    found = find_evidence(run, params.identity(run.seed), (*MEASURES, *MORE))
    record = RunRecord(run)
    curves = {name: record.curve(*where)["value"] for name, where in CURVES.items()}
    return found.as_json() | {
        "parameters": record.training["parameters"],
        "dtype": record.training["dtype"],
        "steps": record.steps,
        "curves": curves,
    }
