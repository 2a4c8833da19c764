"""A run's shared bases and what was measured in them, as files: whole, checked, and of this very run.

A basis file holds the basis, its placebos, and in its header what it was fit from. A snapshot file holds one checkpoint
and in its header the digest of the basis, so that features of two bases are never mixed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from formation import artifacts
from formation import params as parameters
from formation.artifacts import Run
from formation.errors import ArtifactError
from formation.features import files
from formation.features.basis import Basis
from formation.features.choices import Kind
from formation.features.params import Section
from formation.features.placebos import Placebos
from formation.features.snapshots import Snapshot, from_arrays, to_arrays
from formation.features.stage import stage_name
from formation.params import Frozen

_BASIS = ("encoder", "encoder_bias", "decoder", "decoder_bias", "mean")
_PLACEBOS = ("directions", "deviation", "ladder", "rung")


class FitSource(Frozen):
    """What a basis was fit from: digests of the run's parameters, dataset and `features` section, and the stage."""

    params: str
    benchmark: str
    features: str
    stage: str


@dataclass(frozen=True, eq=False)
class StoredBasis:
    """A basis with its placebos; `digest` is that of its file, by which all that is measured in it names it."""

    basis: Basis
    placebos: Placebos
    digest: str


def chosen_stages(run: Run, stages: tuple[str, ...] | list[str] | None) -> list[str]:
    """Own names of the stages asked for, of the run's parameters where none is; raises `MeasureError` for no stage."""
    wanted = stages or run.params.of(Section).stages
    return list(dict.fromkeys(stage_name(one, run.params.model.layers) for one in wanted))


def fit_source(run: Run, stage: str, benchmark: str) -> FitSource:
    """What a basis of the run would be fit from today; `benchmark` is the dataset's digest."""
    run.params.of(Section)
    section = run.params.section(parameters.section_of(Section))
    return FitSource(
        params=run.params.identity(run.seed), benchmark=benchmark, features=parameters.digest(section), stage=stage
    )


def fit_remedy(run: Run, stage: str) -> str:
    """The command that fits a basis."""
    return f"formation shared-feature-fit --run {run.name} --stage {stage}"


def sweep_remedy(run: Run, stage: str) -> str:
    """The command that measures every checkpoint in it."""
    return f"formation feature-trajectory-sweep --run {run.name} --stage {stage}"


def basis_path(run: Run, stage: str) -> Path:
    """Where a stage's basis is."""
    return run.path(files.place(stage, files.BASIS))


def write_basis(run: Run, basis: Basis, placebos: Placebos, source: FitSource) -> None:
    """Write a basis with its placebos, atomically."""
    arrays = {name: _array(getattr(basis, name)) for name in _BASIS}
    arrays |= {f"placebos/{name}": _array(getattr(placebos, name)) for name in _PLACEBOS}
    about = {
        "schema": files.BASIS_SCHEMA,
        "run": run.name,
        "stage": basis.stage,
        "kind": basis.kind.value,
        "k": basis.k,
        "scale": basis.scale,
        "threshold": basis.threshold,
        "source": source.model_dump(),
    }
    artifacts.write_arrays(basis_path(run, basis.stage), arrays, about)


def load_basis(run: Run, stage: str, benchmark: str) -> StoredBasis:
    """The basis of a stage; `ArtifactError` if there is none, or it is of another run, stage or other parameters."""
    path, remedy = basis_path(run, stage), fit_remedy(run, stage)
    arrays, about = artifacts.read_arrays(path, files.BASIS_SCHEMA, remedy)
    expected = {"run": run.name, **fit_source(run, stage, benchmark).model_dump()}
    found = {"run": about["run"], **about["source"]}
    for field, value in expected.items():
        if found.get(field) != value:
            raise ArtifactError(
                f"{path}: {field} is {str(found.get(field))[:32]}, but the run has {value[:32]}; run: {remedy}"
            )
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    basis = Basis(
        stage=about["stage"],
        kind=Kind(about["kind"]),
        k=about["k"],
        scale=about["scale"],
        threshold=about["threshold"],
        **{name: tensors[name] for name in _BASIS},
    )
    placebos = Placebos(*(tensors[f"placebos/{name}"] for name in _PLACEBOS))
    return StoredBasis(basis, placebos, artifacts.file_digest(path))


# --- snapshots -------------------------------------------------------------------------------------------------------


def snapshot_path(run: Run, stage: str, step: int, folder: str = files.SNAPSHOTS) -> Path:
    """Where a checkpoint's snapshot is."""
    return run.path(files.place(stage, files.snapshot(step, folder)))


def load_snapshots(run: Run, stage: str, steps: list[int], basis: str, folder: str = files.SNAPSHOTS) -> list[Snapshot]:
    """The snapshots of some checkpoints; `ArtifactError` if one is missing, damaged or of another basis."""
    return [_load(run, stage, step, basis, folder)[0] for step in steps]


def _load(run: Run, stage: str, step: int, basis: str, folder: str) -> tuple[Snapshot, dict[str, object]]:
    path, remedy = snapshot_path(run, stage, step, folder), sweep_remedy(run, stage)
    arrays, about = artifacts.read_arrays(path, files.SNAPSHOT_SCHEMA, remedy)
    row = about["row"]
    for field, value in (("run", run.name), ("step", step), ("basis", basis)):
        if row[field] != value:
            raise ArtifactError(f"{path}: {field} is {str(row[field])[:12]}, expected {str(value)[:12]}; run: {remedy}")
    return from_arrays(step, arrays), row


def write_snapshot(path: Path, snapshot: Snapshot, row: dict[str, object]) -> None:
    """Write a finished checkpoint with the row that says what it was measured on, atomically."""
    artifacts.write_arrays(path, to_arrays(snapshot), {"schema": files.SNAPSHOT_SCHEMA, "row": row})


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy())
