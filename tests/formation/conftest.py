"""What tests of several folders share: one small run, trained for a moment and swept, and its components measured."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from formation.artifacts import create_run
from formation.benchmark.stage import generate_for_run
from formation.components.sweep import component_sweep
from formation.record.probe_set import generate_probe_set
from formation.record.sweep import checkpoint_sweep
from formation.record.windows import analyze_birth_windows
from formation.training.loop import train
from tests.formation import projects
from tests.formation.projects import SHORT, copied, project


@pytest.fixture
def own_artifacts() -> Iterator[None]:
    """Artifacts lie in the test's own project, whatever the environment says."""
    with projects.own_artifacts():
        yield


@pytest.fixture(scope="session")
def swept_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose run smoke-s1 was trained for 28 steps and swept in one go. Read it, never write to it."""
    root = project(tmp_path_factory.mktemp("swept"))
    with projects.own_artifacts():
        run = create_run("smoke-s1", root, SHORT)
        generate_for_run(run)
        train(run)
        generate_probe_set(run)
        checkpoint_sweep(run)
    return root


@pytest.fixture(scope="session")
def measured_project(swept_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The swept project with its components measured and its births dated. Read it, never write to it."""
    root = tmp_path_factory.mktemp("measured") / "project"
    with projects.own_artifacts():
        run = copied(swept_project, root)
        component_sweep(run)
        analyze_birth_windows(run)
    return root
