"""Of which stage, run and parameters a basis is, told without torch: names, digests, and the commands that make it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from formation import artifacts
from formation import params as parameters
from formation.artifacts import Run
from formation.errors import ArtifactError
from formation.features import files
from formation.features.params import OF_THE_FIT, Section
from formation.features.stage import stage_name
from formation.params import Frozen


class FitSource(Frozen):
    """What a basis was fit from: its stage, and digests of the run's parameters, its dataset and those of the fit."""

    params: str
    benchmark: str
    features: str
    stage: str


def chosen_stages(run: Run, stages: Sequence[str] | None) -> list[str]:
    """Own names of the stages asked for, of the run's parameters where none is; raises `MeasureError` for no stage."""
    wanted = stages or run.params.of(Section).stages
    return list(dict.fromkeys(stage_name(one, run.params.model.layers) for one in wanted))


def fit_source(run: Run, stage: str, benchmark: str) -> FitSource:
    """What a basis of the run would be fit from today; `benchmark` is the dataset's digest."""
    run.params.of(Section)
    section = run.params.section(parameters.section_of(Section))
    decisive = parameters.digest({name: section[name] for name in OF_THE_FIT})
    return FitSource(params=run.params.identity(run.seed), benchmark=benchmark, features=decisive, stage=stage)


def fit_remedy(run: Run, stage: str) -> str:
    """The command that fits a basis."""
    return f"formation shared-feature-fit --run {run.name} --stage {stage}"


def sweep_remedy(run: Run, stage: str) -> str:
    """The command that measures every checkpoint in it."""
    return f"formation feature-trajectory-sweep --run {run.name} --stage {stage}"


def basis_path(run: Run, stage: str) -> Path:
    """Where a stage's basis is."""
    return run.path(files.place(stage, files.BASIS))


def basis_digest(run: Run, stage: str, benchmark: str) -> str:
    """Digest of a stage's basis file; `ArtifactError` as from `check_basis`, or where there is none."""
    path = basis_path(run, stage)
    _, about = artifacts.read_arrays(path, files.BASIS_SCHEMA, fit_remedy(run, stage))
    check_basis(run, stage, benchmark, about)
    return artifacts.file_digest(path)


def check_basis(run: Run, stage: str, benchmark: str, about: Mapping[str, Any]) -> None:
    """Refuse the header of a basis of another run, stage or other parameters; `ArtifactError` naming both sides."""
    expected = {"run": run.name, **fit_source(run, stage, benchmark).model_dump()}
    found = {"run": about["run"], **about["source"]}
    for field, value in expected.items():
        if found.get(field) != value:
            raise ArtifactError(
                f"{basis_path(run, stage)}: {field} is {str(found.get(field))[:32]}, but the run has {value[:32]}; "
                f"run: {fit_remedy(run, stage)}"
            )
