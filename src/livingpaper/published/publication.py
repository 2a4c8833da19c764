"""`results/<run or preset>/publication.json`: what was published of a run or study, and what it was made from.

The folder mirrors `artifacts/`: `results/quick-s1/runs/quick-s1/analysis/…`. Every file bears its digest, every stage
that led to them the digests of its code, parameters and packages, so that anybody can tell whether today's code would
still make the same.
"""

from collections.abc import Iterator
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


class PublishedFile(Strict):
    """One file, by its path below the publication's folder."""

    sha256: Sha
    bytes: Annotated[int, Field(ge=0)]


class PublishedStage(Strict):
    """What a stage ran on (digests and values by kind of input), how long it took, and what it left."""

    inputs: dict[str, dict[str, str]]
    code: Sha  # of all modules in its closure
    outputs: Annotated[int, Field(ge=0)]  # files
    outputs_sha256: Sha  # of all their digests
    seconds: float
    finished: str


class Version(Strict):
    """The state of the project's sources: a commit, and whether files differed from it."""

    commit: str | None
    modified: bool


class Publication(Strict):
    """What `publication.json` says."""

    schema_: Annotated[str, Field(alias="schema", pattern=rf"^{SCHEMA}$")]
    name: Annotated[str, Field(min_length=1)]
    preset: Annotated[str, Field(min_length=1)]
    published: str  # ISO date
    version: Version
    machine: dict[str, str]
    seconds: float  # of all stages together, wall clock
    regenerate: str  # the command that makes it again
    params: dict[str, Any]
    modules: dict[str, str]  # digest of every module any of the stages used
    stages: dict[str, PublishedStage]
    files: dict[str, PublishedFile]

    @model_validator(mode="after")
    def _stays_in_its_folder(self) -> "Publication":
        match = RUN_NAME.fullmatch(self.name)
        if (match["preset"] if match else self.name) != self.preset or not PRESET_NAME.fullmatch(self.preset):
            raise ValueError(f"name = {self.name!r}: expected the preset ({self.preset!r}), or one of its runs")
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


def load_publication(project: Project, name: str) -> Publication | None:
    """The publication of a run or study, or `None`; one that is not usable is an error naming file and key."""
    path = folder(project, name) / FILE
    shown = project.relative(path)
    try:
        data = parse_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise PublicationError(f"{shown}: not readable JSON ({error}); {_mend(name)}") from None
    publication = validate(Publication, Document(shown, data, {}), PublicationError)
    if publication.name != name:
        raise PublicationError(f"{shown}: name = {publication.name!r}: expected {name!r}, as its folder; {_mend(name)}")
    return publication


def publications(project: Project) -> Iterator[Publication]:
    """Every publication of the project, by name."""
    names = sorted(path.parent.name for path in project.results.glob(f"*/{FILE}"))
    for name in names:
        publication = load_publication(project, name)
        if publication is not None:
            yield publication


def verify(project: Project, publication: Publication, memo: Memo) -> None:
    """Every file of a publication is there and as it was published; else an error naming it."""
    for name, about in publication.files.items():
        path = folder(project, publication.name) / name
        found = memo.digest(path)
        if found != about.sha256:
            what = "is gone" if found is None else "is not as it was published"
            raise PublicationError(f"{project.relative(path)}: {what}; {_mend(publication.name)}")


def _mend(name: str) -> str:
    return f"restore it (git checkout results/{name}), or run: livingpaper publish {name}"
