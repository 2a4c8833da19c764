"""What the record's tests share: a small project with a dataset and probe set, and copies of a run to be damaged."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from formation.artifacts import Run, create_run
from formation.benchmark.generate import Dataset
from formation.benchmark.stage import generate_for_run, load_for_run
from formation.benchmark.streams import SplitName
from formation.record.frames import Frame, TwinFrame, frames, twin_frames
from formation.record.outcomes import TwinKey
from formation.record.probe_set import ProbeSet, generate_probe_set, load_probe_set
from tests.formation import projects
from tests.formation.projects import copied, project

WIDE = ("benchmark.evaluation_streams=96", "record.probe_streams=64", "record.placebos=100")


@dataclass(frozen=True)
class Bench:
    """A dataset with its probe set, and what the record makes of them."""

    run: Run
    dataset: Dataset
    probe: ProbeSet
    frames: dict[SplitName, Frame]
    twins: dict[TwinKey, TwinFrame]


@pytest.fixture(autouse=True)
def _own_artifacts(own_artifacts: None) -> None:
    """For every test of the record."""


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A dataset wide enough for births to be dated."""
    with projects.own_artifacts():
        run = create_run("smoke-s1", project(tmp_path_factory.mktemp("bench")), WIDE)
        generate_for_run(run)
        generate_probe_set(run)
        dataset, probe = load_for_run(run), load_probe_set(run)
    record = run.params.record
    return Bench(run, dataset, probe, frames(dataset, record), twin_frames(dataset, probe, record))


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose run smoke-s1 has a dataset and nothing else. Read it, never write to it."""
    with projects.own_artifacts():
        root = project(tmp_path_factory.mktemp("generated"))
        generate_for_run(create_run("smoke-s1", root))
    return root


@pytest.fixture
def fresh(generated: Path, tmp_path: Path) -> Run:
    """A copy of the run that has a dataset and nothing else."""
    return copied(generated, tmp_path / "project")


@pytest.fixture
def swept(swept_project: Path, tmp_path: Path) -> Run:
    """A copy of the swept run, to be damaged at will."""
    return copied(swept_project, tmp_path / "project")
