"""What the training tests share: artifacts below a temporary folder, and one undisturbed training."""

from pathlib import Path

import pytest

from formation.artifacts import Run
from tests.formation.training.tiny import train_here


@pytest.fixture(autouse=True)
def _artifacts_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the project's own artifacts."""
    monkeypatch.setenv("FORMATION_ARTIFACTS", str(tmp_path))


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The tiny run, trained in one go."""
    return train_here(tmp_path_factory.mktemp("undisturbed"))
