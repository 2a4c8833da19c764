"""This very paper, built once with the smoke preset in a copy of the checkout."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ["_quarto.yml", "index.qmd", "requirements.lock", "pyproject.toml"]
FOLDERS = ["paper", "params", "chapters", "src", "docs"]
OURS = ("LIVINGPAPER", "FORMATION")  # variables that would lead back to the checkout


@dataclass(frozen=True)
class Paper:
    """A built paper: its folder, and what the press said."""

    root: Path
    log: str
    code: int

    @property
    def site(self) -> Path:
        """Where it was printed."""
        return self.root / "_site"

    def run(self, command: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """A console script of this environment, run on this copy of the project."""
        scripts = Path(sys.executable).parent
        environment = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        environment |= {"PYTHONPATH": str(self.root / "src"), "PATH": f"{scripts}:{os.environ['PATH']}"}
        return subprocess.run(
            [str(scripts / command), *arguments],
            cwd=cwd or self.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )


@pytest.fixture(scope="session")
def smoke_paper(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """The whole paper on the smoke preset: three runs trained, measured, judged and printed."""
    root = tmp_path_factory.mktemp("smoke") / "paper"
    root.mkdir()
    for file in FILES:
        shutil.copy(ROOT / file, root / file)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    built = Paper(root, "", 0).run("livingpaper", "build", "--preset", "smoke", "--renderer", "embedded")
    return Paper(root, built.stdout + built.stderr, built.returncode)
