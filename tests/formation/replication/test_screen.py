"""The screen: what is missing is run in an order that reaches every level, what is there is left alone."""

from pathlib import Path

import pytest

from formation.errors import FormationError
from formation.replication import screen
from tests.formation.replication.screening import give_evidence, project


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FORMATION_ARTIFACTS", raising=False)
    monkeypatch.delenv("LIVINGPAPER_PUBLISHED", raising=False)
    return project(tmp_path)


def test_first_seeds_of_every_level_come_first_and_what_is_there_is_left_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_evidence(root, "smoke", [20, 24, 28])
    give_evidence(root, "colour-red", [30])
    ran: list[str] = []
    monkeypatch.setattr(screen, "run_stages", lambda name, root: ran.append(name))
    path = screen.screen("colour", root=root)
    assert ran == ["colour-blue-s1", "colour-blue-s2", "colour-red-s2", "colour-blue-s3", "colour-red-s3"]
    assert path == root / "artifacts/studies/factors/colour.json"


def test_a_failing_run_ends_the_screen(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, root: Path) -> None:
        raise FormationError(f"{name}: fails")

    monkeypatch.setattr(screen, "run_stages", fail)
    with pytest.raises(FormationError, match="smoke-s1: fails"):
        screen.screen("colour", root=root)


@pytest.mark.parametrize("jobs", [0, 257])
def test_jobs_are_bounded(root: Path, jobs: int) -> None:
    with pytest.raises(FormationError, match=f"--jobs {jobs}: expected 1 to 256"):
        screen.screen("colour", jobs, root)
