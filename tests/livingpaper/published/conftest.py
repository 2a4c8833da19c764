"""A published tiny paper, and the same project as somebody else gets it: its sources and `results/`, nothing built."""

import shutil
from pathlib import Path

import pytest

from livingpaper.build import Built, build
from livingpaper.press import Prepared, prepare
from livingpaper.project import Project
from livingpaper.published.publish import collect
from livingpaper.published.publish import publish as put
from livingpaper.published.studies import plan_paper, without_guests
from livingpaper.tasks import Plan
from tests.livingpaper.conftest import IGNORED, Paper


def plan_of(root: Path, preset: str = "tiny", published: bool = False) -> Plan:
    return plan_paper(Project(root), preset, published)


def publish(root: Path, name: str, preset: str = "tiny") -> tuple[Path, bool]:
    """Publish one run or study of a project."""
    project = Project(root)
    return put(project, collect(without_guests(project, preset), name))


def built(root: Path, preset: str = "tiny", published: bool = False) -> tuple[Built, Prepared]:
    done = build(plan_of(root, preset, published), 2)
    return done, prepare(done)


@pytest.fixture(scope="session")
def published_root(built_paper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny paper built and published, with its study."""
    root = tmp_path_factory.mktemp("published") / "paper"
    shutil.copytree(built_paper, root)
    for name in (*plan_of(root).study.runs, "tiny"):
        publish(root, name)
    return root


@pytest.fixture
def published(published_root: Path, tmp_path: Path) -> Paper:
    """A copy of the published paper, built."""
    return Paper(Path(shutil.copytree(published_root, tmp_path / "published")))


@pytest.fixture
def clone(published_root: Path, tmp_path: Path) -> Paper:
    """What a reader clones: sources and results."""
    return Paper(Path(shutil.copytree(published_root, tmp_path / "clone", ignore=IGNORED)))
