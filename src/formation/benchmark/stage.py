"""The `generate-benchmark` stage of a run: the dataset, its reports, and the run's pointer to them."""

from pathlib import Path

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark import store
from formation.benchmark.generate import Dataset, generate
from formation.errors import ArtifactError

POINTER, POINTER_SCHEMA = "benchmark.json", "benchmark-pointer/1"


def generate_for_run(run: Run) -> Path:
    """Write the run's dataset (unless it is there already) and `benchmark.json`; return the dataset's folder."""
    dataset = generate(run.params.benchmark, run.params.model.context)
    base = artifacts.artifacts_folder(run.root)
    folder = store.write(dataset, base / "benchmarks", _remedy(run))
    pointer = {
        "schema": POINTER_SCHEMA,
        "digest": folder.name,
        "folder": folder.relative_to(base).as_posix(),
        "params_digest": store.params_digest(run.params.benchmark),
    }
    artifacts.write_json(run.path(POINTER), pointer)
    streams = sum(len(split.tokens) for split in dataset.splits.values())
    print(f"{run.name}: {run.params.benchmark.setting} benchmark {folder.name[:12]}, {streams} streams")
    return folder


def load_for_run(run: Run) -> Dataset:
    """The run's dataset, verified against its digest.

    Raises `ArtifactError` if it was not generated, is damaged, or was made with other parameters (both digests named).
    """
    return store.load(folder_of_run(run), _remedy(run))


def folder_of_run(run: Run) -> Path:
    """Folder of the run's dataset; `ArtifactError` if there is none or it is of other parameters."""
    pointer = run.json(POINTER, POINTER_SCHEMA, _remedy(run))
    expected = store.params_digest(run.params.benchmark)
    if pointer["params_digest"] != expected:
        raise ArtifactError(
            f"{run.path(POINTER)}: points to a benchmark with parameters {pointer['params_digest'][:12]}, but the run "
            f"has {expected[:12]}; run: {_remedy(run)}"
        )
    return artifacts.artifacts_folder(run.root) / "benchmarks" / str(pointer["digest"])


def _remedy(run: Run) -> str:
    return f"formation generate-benchmark --run {run.name}"
