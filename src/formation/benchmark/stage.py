"""The `generate-benchmark` stage of a run: the dataset, its reports, and the run's pointer to them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark import store
from formation.benchmark.generate import Dataset, generate
from formation.benchmark.reports import load_sanity, write_reports
from formation.benchmark.sanity import refuse_violations, sanity_report
from formation.errors import ArtifactError

POINTER, POINTER_SCHEMA = "benchmark.json", "benchmark-pointer/1"


def generate_for_run(run: Run, overrides: Sequence[str] = ()) -> Path:
    """The dataset's folder, written unless it is there already, with its reports and the run's `benchmark.json`.

    `overrides` are those `run` was opened with; they go into its `params.json` if it has none yet. Raises
    `BenchmarkError`, and writes nothing, where the parameters cannot be satisfied or the streams would break a rule of
    their setting.
    """
    dataset = generate(run.params.benchmark, run.params.model.context)
    report = sanity_report(dataset)
    refuse_violations(report)
    artifacts.create_run(run.name, run.root, overrides)
    base = artifacts.artifacts_folder(run.root)
    folder = store.write(dataset, base / "benchmarks", _remedy(run))
    write_reports(dataset, report, folder)
    pointer = {
        "schema": POINTER_SCHEMA,
        "digest": folder.name,
        "folder": folder.relative_to(base).as_posix(),
        "params_digest": store.params_digest(run.params.benchmark),
    }
    artifacts.write_json(run.path(POINTER), pointer)
    streams, worst = sum(len(split.tokens) for split in dataset.splits.values()), report["worst_heuristic"]
    print(
        f"{run.name}: {dataset.params.setting} benchmark {folder.name[:12]}, {streams} streams, oracle right on all; "
        f"best shortcut on stale reads {worst['value']:.2f} ({worst['label']})"
    )
    return folder


def load_for_run(run: Run) -> Dataset:
    """The run's dataset, verified against its digest.

    Raises `ArtifactError` if it was not generated, is damaged, or was made with other parameters (both digests named).
    """
    return store.load(folder_of_run(run), _remedy(run))


def sanity_for_run(run: Run) -> dict[str, Any]:
    """The sanity report of the run's dataset."""
    return load_sanity(folder_of_run(run), _remedy(run))


def folder_of_run(run: Run) -> Path:
    """Folder of the run's dataset; `ArtifactError` if there is none or it is of other parameters."""
    pointer = run.json(POINTER, POINTER_SCHEMA, _remedy(run))
    expected = store.params_digest(run.params.benchmark)
    if pointer["params_digest"] != expected:
        raise ArtifactError(
            f"{run.path(POINTER)}: points to a benchmark with parameters {pointer['params_digest'][:12]}, but the run "
            f"has {expected[:12]}; run: {_remedy(run)}"
        )
    digest = str(pointer["digest"])
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise ArtifactError(f"{run.path(POINTER)}: digest {digest!r} is not one of a dataset; run: {_remedy(run)}")
    return run.home / "benchmarks" / digest


def _remedy(run: Run) -> str:
    return f"formation generate-benchmark --run {run.name}"
