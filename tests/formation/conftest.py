"""What tests of several folders share: one small run, trained for a moment and measured by all of the record."""

from pathlib import Path

import pytest

from formation.artifacts import create_run
from formation.benchmark.stage import generate_for_run
from formation.components.sweep import component_sweep
from formation.record.probe_set import generate_probe_set
from formation.record.sweep import checkpoint_sweep
from formation.record.windows import analyze_birth_windows
from formation.training.loop import train
from tests.formation.record.conftest import SHORT, project


@pytest.fixture(scope="session")
def measured_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose run smoke-s1 was trained for 28 steps and measured in one go. Read it, never write to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FORMATION_ARTIFACTS", raising=False)
        root = project(tmp_path_factory.mktemp("measured"))
        run = create_run("smoke-s1", root, SHORT)
        generate_for_run(run)
        train(run)
        generate_probe_set(run)
        checkpoint_sweep(run)
        component_sweep(run)
        analyze_birth_windows(run)
    return root
