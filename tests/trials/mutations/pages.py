"""The tiny paper with its chapters and pages: what is printed anew, and whether that is what a clean build prints."""

import hashlib
import shutil
from pathlib import Path

from livingpaper.build import Built, build
from livingpaper.execute.aside import Unknown
from livingpaper.pageprints import PagePrinter
from livingpaper.params import load_study
from livingpaper.press import prepare
from livingpaper.project import Project
from livingpaper.tasks import make_plan

Files = dict[str, str]  # path relative to the project → digest
_NOT_PRINTED = ("artifacts", "build", "_site", "src", "elsewhere", "chapters")
_EXECUTED = ("build/chapters", "build/print")


def print_paper(root: Path, preset: str = "tiny") -> tuple[Built, set[str], list[str]]:
    """Build and print; what was built, whose printings were rendered, and what went wrong."""
    built = build(make_plan(Project(root), load_study(root, preset)), 2, unknown=Unknown.ANEW)
    prepared = prepare(built)
    rendered = PagePrinter(built, prepared, "embedded").render()
    return built, set(rendered), built.failures + prepared.errors


def printed_from(root: Path) -> Files:
    """Everything the pages of all runs can be made of: what people write, code apart, and what the press hands over."""
    found = [path for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0] not in _NOT_PRINTED]
    handed = [path for part in _EXECUTED for path in (root / part).rglob("*") if path.is_file()]
    return digests(root, [*(path for path in found if not path.name.startswith("_quarto-")), *handed])


def printed(root: Path) -> Files:
    """Every file of the site."""
    return digests(root, [path for path in (root / "_site").rglob("*") if path.is_file()])


def digests(root: Path, paths: list[Path]) -> Files:
    """Digests of files."""
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}


def clean(root: Path, place: Path) -> Files:
    """The site and the executed chapters of a build from nothing of the same sources."""
    left = shutil.ignore_patterns("artifacts", "build", "_site", "elsewhere", "__pycache__")
    shutil.copytree(root, place, ignore=left)
    for notes in root.glob("artifacts/runs/*/notes.json"):  # no stage writes them
        (place / notes.relative_to(root)).parent.mkdir(parents=True)
        shutil.copy(notes, place / notes.relative_to(root))
    _, _, wrong = print_paper(place)
    assert wrong == []
    out = standing(place)
    shutil.rmtree(place)
    return out


def standing(root: Path) -> Files:
    """The site and the executed chapters as they are."""
    chapters = [path for path in (root / "build/chapters").glob("*/*.ipynb") if not path.name.startswith(".")]
    return printed(root) | digests(root, chapters)
