"""Small projects to build: the tiny paper as it is, without chapters (its stages alone take tenths), and built once."""

import shutil
from pathlib import Path

import pytest

from livingpaper.build import Built, build
from livingpaper.execute.aside import Unknown
from livingpaper.params import load_study
from livingpaper.project import Project
from livingpaper.tasks import make_plan

TINY = Path(__file__).resolve().parents[1] / "projects" / "tiny_paper"
IGNORED = shutil.ignore_patterns("artifacts", "build", "_site", "__pycache__")


class Paper:
    """A project in a folder of its own, and what tests do with it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def build(self, preset: str = "tiny", slots: int = 2, unknown: Unknown = Unknown.REFUSE) -> Built:
        """Bring everything up to date; the project is read anew each time, as by a new process."""
        project = Project(self.root)
        return build(make_plan(project, load_study(self.root, preset)), slots, unknown=unknown)

    def executed(self, unknown: Unknown = Unknown.REFUSE) -> set[str]:
        """What a build executes."""
        return set(self.build(unknown=unknown).executed)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that occurs in a file."""
        path = self.root / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def artifacts(self) -> dict[str, bytes]:
        """Every artifact with its bytes."""
        folder = self.root / "artifacts"
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def built_stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny paper without chapters, built; tests take copies."""
    root = tmp_path_factory.mktemp("stages") / "paper"
    shutil.copytree(TINY, root, ignore=IGNORED)
    _without_chapters(root)
    built = Paper(root).build()
    assert built.failures == []
    return root


@pytest.fixture(scope="session")
def built_paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole tiny paper, built; tests take copies."""
    root = tmp_path_factory.mktemp("whole") / "paper"
    shutil.copytree(TINY, root, ignore=IGNORED)
    built = Paper(root).build()
    assert built.failures == []
    return root


@pytest.fixture
def stages(built_stages: Path, tmp_path: Path) -> Paper:
    """A copy of the tiny paper without chapters, built."""
    return Paper(Path(shutil.copytree(built_stages, tmp_path / "paper")))


@pytest.fixture
def whole(built_paper: Path, tmp_path: Path) -> Paper:
    """A copy of the whole tiny paper, built."""
    return Paper(Path(shutil.copytree(built_paper, tmp_path / "paper")))


@pytest.fixture
def fresh(tmp_path: Path) -> Paper:
    """A copy of the whole tiny paper of which nothing is built."""
    return Paper(Path(shutil.copytree(TINY, tmp_path / "fresh", ignore=IGNORED)))


@pytest.fixture
def fresh_stages(fresh: Paper) -> Paper:
    """A copy of the tiny paper without chapters of which nothing is built."""
    _without_chapters(fresh.root)
    return fresh


def _without_chapters(root: Path) -> None:
    """Take the notebooks off the book, and what the workflow and the claims say of them."""
    quarto = root / "_quarto.yml"
    lines = [line for line in quarto.read_text().splitlines() if not line.strip().endswith(".ipynb")]
    quarto.write_text("\n".join(lines) + "\n")
    workflow = root / "paper" / "workflow.yml"
    head, _, tail = workflow.read_text().partition("chapters:\n")
    workflow.write_text(head + tail[tail.index("main:") :])
    (root / "paper" / "claims.yml").unlink()
