"""The project: the folder with `_quarto.yml` and `paper/workflow.yml`, its layout, and the pages of its book."""

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from livingpaper.book import Book, read_book
from livingpaper.errors import ProjectError
from livingpaper.files import read_json, write_json

MARKER = "paper/workflow.yml"
CHAPTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Project:
    """One project by its root folder."""

    root: Path

    @property
    def artifacts(self) -> Path:
        """Folder of everything computed."""
        return self.root / "artifacts"

    @property
    def results(self) -> Path:
        """Folder of published evidence."""
        return self.root / "results"

    @property
    def build(self) -> Path:
        """Folder of everything the press makes on its way to the site."""
        return self.root / "build"

    @cached_property
    def book(self) -> Book:
        """What `_quarto.yml` says."""
        return read_book(self.root)

    @property
    def site(self) -> Path:
        """Folder of the printed site."""
        return self.root / self.book.output

    def claim_site(self) -> None:
        """Refuse to print into a folder that holds files of no printing: what a site does not need is removed there."""
        mark = self.build / "print" / "site.json"
        held = {path.name for path in self.site.iterdir()} if self.site.is_dir() else set()
        foreign = held - {"runs"} and not (self.site / "index.html").is_file()
        if foreign and read_json(mark) != self.book.output:  # else a first printing was interrupted
            raise ProjectError(
                f"_quarto.yml: project.output-dir is {self.book.output!r}, which holds files and no index.html: "
                "no printing made them; empty it, or name a folder for the site alone, such as _site"
            )
        write_json(mark, self.book.output)

    def manifest(self, scope: str, name: str) -> Path:
        """Where the manifest of a stage or chapter of a run or study lies."""
        return self.build / "manifests" / scope / f"{name}.json"

    def executed(self, run: str, chapter: str) -> Path:
        """Where the executed notebook of a chapter lies."""
        return self.build / "chapters" / run / f"{chapter}.ipynb"

    def failed(self, run: str, chapter: str) -> Path:
        """Where a chapter that raised is kept, executed up to its error."""
        return self.executed(run, f"{chapter}.failed")

    def relative(self, path: Path) -> str:
        """A path as it is called in manifests and messages: relative to the project where it lies in it."""
        text, root = path.as_posix(), self.root.as_posix()
        return text.removeprefix(f"{root}/") or text

    @property
    def pages(self) -> tuple[str, ...]:
        """Source files of the book in reading order, relative to the project."""
        return tuple(entry.source for entry in self.book.entries)

    @cached_property
    def chapters(self) -> dict[str, str]:
        """Notebooks of the book by name: `formation-windows` → `chapters/formation-windows.ipynb`."""
        out: dict[str, str] = {}
        for page in self.book.notebooks:
            name = Path(page).stem
            if not CHAPTER_NAME.fullmatch(name):
                raise ProjectError(f"_quarto.yml: chapter {page!r}: expected a name of letters, digits, '-' and '_'")
            if name in out:
                raise ProjectError(f"_quarto.yml: chapters {out[name]!r} and {page!r} have the same name; rename one")
            out[name] = page
        return out


def find_project(start: Path | None = None) -> Project:
    """The project that `LIVINGPAPER_PROJECT` names, else the nearest folder upwards that is one."""
    given = os.environ.get("LIVINGPAPER_PROJECT")
    here = Path(given or start or Path.cwd()).resolve()
    for folder in (here,) if given else (here, *here.parents):
        if (folder / "_quarto.yml").is_file() and (folder / MARKER).is_file():
            return Project(folder)
    raise ProjectError(
        f"{here}: no project here{'' if given else ' or above'} (no _quarto.yml with {MARKER}): "
        "change into the project's folder, or set LIVINGPAPER_PROJECT"
    )
