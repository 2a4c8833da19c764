"""`results/<run or preset>/publication.json`: what was published of a run or study, and what it was made from.

The folder mirrors `artifacts/`: `results/quick-s1/runs/quick-s1/analysis/…`. Every file bears its digest, every stage
that led to them the digests of its code, parameters and packages, so that anybody can tell whether today's code would
still make the same. Publications may come from strangers: nothing outside the folder is read, and nothing unlisted.
"""

import os
import stat
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from livingpaper.errors import PointerError, PublicationError
from livingpaper.files import inside
from livingpaper.jsonfile import parse_json
from livingpaper.params import PRESET_NAME, RUN_NAME
from livingpaper.project import Project
from livingpaper.staleness.memo import Memo
from livingpaper.validation import Strict, validate
from livingpaper.yamlfile import Document

FILE, SCHEMA = "publication.json", "publication/1"
LIMIT = 1_000_000  # bytes of a file in `results/`: it is tracked, and what is bigger is no summary

Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Line = Annotated[str, Field(max_length=200)]


class PublishedFile(Strict):
    """One file, by its path below the publication's folder."""

    sha256: Sha
    bytes: Annotated[int, Field(ge=0, le=LIMIT)]


class PublishedStage(Strict):
    """What a stage ran on (digests and values by kind of input), how long it took, and what it left."""

    inputs: dict[str, dict[str, str]]
    code: Sha  # of all modules in its closure
    outputs: Annotated[int, Field(ge=0)]  # files
    outputs_sha256: Sha  # of all their digests
    seconds: Seconds
    finished: Line


class Version(Strict):
    """The state of the project's sources: a commit, and whether files differed from it."""

    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")] | None
    modified: bool


class Publication(Strict):
    """What `publication.json` says."""

    schema_: Annotated[str, Field(alias="schema", pattern=rf"^{SCHEMA}$")]
    name: Annotated[str, Field(min_length=1)]
    preset: Annotated[str, Field(min_length=1)]
    published: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    version: Version
    machine: dict[str, Line]
    seconds: Seconds  # of all stages together, wall clock
    regenerate: Line  # the command that makes it again
    params: dict[str, Any]
    modules: dict[str, str]  # digest of every module any of the stages used
    reads: dict[str, str | None]  # what stages read and no stage of this paper wrote, or other runs' stages did
    stages: dict[str, PublishedStage]  # by task: `quick-s1/train`; none of a collection, which is made by hand
    files: dict[str, PublishedFile]

    @model_validator(mode="after")
    def _stays_in_its_folder(self) -> "Publication":
        match = RUN_NAME.fullmatch(self.name)
        if (match["preset"] if match else self.name) != self.preset or not PRESET_NAME.fullmatch(self.preset):
            raise ValueError(f"name = {self.name!r}: expected the preset ({self.preset!r}), or one of its runs")
        if self.is_run and not self.stages:
            raise ValueError("stages: expected at least one, for a run is made by stages")
        for name in self.files:
            try:
                inside(Path("the publication"), name)
            except PointerError as error:
                raise ValueError(f"files: {error}") from None
        return self

    @property
    def is_run(self) -> bool:
        """Whether it is of a run; else of a study."""
        return RUN_NAME.fullmatch(self.name) is not None


def folder(project: Project, name: str) -> Path:
    """Where the publication of a run or study lies."""
    return project.results / name


def published_names(project: Project) -> list[str]:
    """Runs and studies that have a publication; what a killed publishing left behind has none."""
    names = (path.parent.name for path in project.results.glob(f"*/{FILE}"))
    return sorted(name for name in names if PRESET_NAME.fullmatch(name))


def load_publication(project: Project, name: str) -> Publication | None:
    """The publication of a run or study, or `None`; one that is not usable is an error naming file and key."""
    path = folder(project, name) / FILE
    if not os.path.lexists(path):
        return None
    shown = project.relative(path)
    _check_plain(project, name, path)
    try:
        data = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PublicationError(f"{shown}: not readable JSON ({error}); {_mend(name)}") from None
    publication = validate(Publication, Document(shown, data, {}), PublicationError)
    if publication.name != name:
        raise PublicationError(f"{shown}: name = {publication.name!r}: expected {name!r}, as its folder; {_mend(name)}")
    return publication


def require(project: Project, name: str) -> Publication:
    """The publication of a run or study; an error if there is none."""
    found = load_publication(project, name)
    if found is None:
        raise PublicationError(f"{project.relative(folder(project, name) / FILE)}: is gone; {_mend(name)}")
    return found


def verify(project: Project, publication: Publication, memo: Memo) -> None:
    """Every file of a publication is there, as it was published, and no other; else an error naming it."""
    place = folder(project, publication.name)
    for name, about in publication.files.items():
        path = place / name
        _check_plain(project, publication.name, path)
        found = memo.digest(path)
        if found != about.sha256:
            what = "is gone" if found is None else "is not as it was published"
            raise PublicationError(f"{project.relative(path)}: {what}; {_mend(publication.name)}")
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        if name not in publication.files and name != FILE and (path.is_symlink() or not path.is_dir()):
            raise PublicationError(
                f"{project.relative(path)}: was not published with the rest; delete it, or {_mend(publication.name)}"
            )


def _check_plain(project: Project, name: str, path: Path) -> None:
    """A file of a publication is a plain file of bounded size in its folder, where it exists at all."""
    try:
        about = os.lstat(path)
    except OSError:
        return
    place = folder(project, name)
    real = path.parent.resolve().is_relative_to(place.resolve()) and not place.is_symlink()
    if not stat.S_ISREG(about.st_mode) or about.st_size > LIMIT or not real:
        raise PublicationError(
            f"{project.relative(path)}: expected a plain file of at most {LIMIT:,} bytes; {_mend(name)}"
        )


def _mend(name: str) -> str:
    return f"restore it (git checkout results/{name}), or run: livingpaper publish {name}"
