"""A run's shared bases and what was measured in them, as files: whole, checked, and of this very run.

A basis file holds the basis, its placebos, and in its header what it was fit from. Snapshots are read without torch
(`formation.features.snapshot_store`), and so is whose a basis is (`formation.features.source`); all of it is here too.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from formation import artifacts
from formation.artifacts import Run
from formation.features import files
from formation.features.basis import Basis
from formation.features.choices import Kind
from formation.features.measures.placebos import Placebos
from formation.features.snapshot_store import load_snapshots, snapshot_path, write_snapshot
from formation.features.source import (
    FitSource,
    basis_digest,
    basis_path,
    check_basis,
    chosen_stages,
    fit_remedy,
    fit_source,
    sweep_remedy,
)

__all__ = [
    "FitSource",
    "StoredBasis",
    "basis_digest",
    "basis_path",
    "chosen_stages",
    "fit_remedy",
    "fit_source",
    "load_basis",
    "load_snapshots",
    "snapshot_path",
    "sweep_remedy",
    "write_basis",
    "write_snapshot",
]

_BASIS = ("encoder", "encoder_bias", "decoder", "decoder_bias", "mean")
_PLACEBOS = ("directions", "deviation", "ladder", "rung")


@dataclass(frozen=True, eq=False)
class StoredBasis:
    """A basis with its placebos; `digest` is that of its file, by which all that is measured in it names it."""

    basis: Basis
    placebos: Placebos
    digest: str


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
    path = basis_path(run, stage)
    arrays, about = artifacts.read_arrays(path, files.BASIS_SCHEMA, fit_remedy(run, stage))
    check_basis(run, stage, benchmark, about)
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


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy())
