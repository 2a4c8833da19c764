"""`paper/workflow.yml`: the one place where the stages of the paper are written down.

Who runs after whom follows from who reads what another writes. What is stale is decided in `livingpaper.staleness`.
"""

import re
import shlex
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from livingpaper import patterns
from livingpaper.errors import PointerError, WorkflowError
from livingpaper.params import PRESET_NAME, Study, presets
from livingpaper.pointers import parse_pointer
from livingpaper.project import MARKER, Project
from livingpaper.validation import Strict, nearest, validate
from livingpaper.yamlfile import Document, read_yaml

_FIELD = re.compile(r"\{(\w+)\}")


class Per(StrEnum):
    """What a stage is done once for."""

    RUN = "run"
    STUDY = "study"


def _split(command: Any) -> Any:
    return shlex.split(command) if isinstance(command, str) else command


def _known_fields(allowed: set[str]) -> Any:
    def check(text: str) -> str:
        unknown = [name for name in _FIELD.findall(text) if name not in allowed]
        if unknown:
            raise ValueError(
                f"unknown field {{{unknown[0]}}}; allowed: {', '.join(f'{{{n}}}' for n in sorted(allowed))}"
            )
        return text

    return AfterValidator(check)


def _pointer(text: str) -> str:
    try:
        parse_pointer(text)
    except PointerError as error:
        raise ValueError(str(error)) from None
    return text


Pattern = Annotated[str, AfterValidator(patterns.check)]
Word = Annotated[str, _known_fields({"run", "preset", "study"})]
Command = Annotated[list[Word], BeforeValidator(_split), Field(min_length=1)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]
ModuleName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")]


Patterns = Annotated[list[Pattern], Field(default_factory=list)]
Names = Annotated[list[str], Field(default_factory=list)]


class Stage(Strict):
    """One stage: a command, done for each run or once for the study."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
    says: Annotated[str, Field(min_length=1)]  # one sentence on what it does, shown in the paper
    per: Annotated[Per, Field(strict=False)]
    command: Command
    module: ModuleName  # the root of the code that decides its results
    params: Names  # sections of the parameters it reads
    reads: Patterns
    writes: Annotated[list[Pattern], Field(min_length=1)]
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    publish: Patterns  # of its files, those published though no chapter reads them
    continues: bool = False  # it goes on from outputs it finds: those of other code or parameters are set aside first

    @model_validator(mode="after")
    def _study_has_no_run(self) -> "Stage":
        if self.per is Per.STUDY:
            if any("{run}" in word for word in self.command):
                raise ValueError("command: a stage per study has no {run}; use {preset}")
            if any(pattern.startswith("run:") for pattern in [*self.reads, *self.writes]):
                raise ValueError("a stage per study has no run: of its own; use runs:")
        if any(pattern.startswith("runs:") for pattern in self.writes):
            raise ValueError("writes: a stage writes into its own folder; use the file's path without runs:")
        return self


class ChapterReads(Strict):
    """What a chapter may read, beside what all chapters may, and the sections of the parameters it shows."""

    reads: Patterns
    params: list[str] | None = None  # null: all sections
    threads: Annotated[int, Field(ge=1, le=256)] = 1


class Chapters(Strict):
    """What all chapters may read, and what single chapters read beside it."""

    defaults: ChapterReads = Field(default_factory=lambda: ChapterReads.model_validate({}))
    own: dict[str, ChapterReads] = Field(default_factory=dict)


class MainRun(Strict):
    """Where it is written which run the main book prints."""

    run: Annotated[str, AfterValidator(_pointer)]

    @field_validator("run")
    @classmethod
    def _of_the_study(cls, text: str) -> str:
        if not text.startswith("study:"):
            raise ValueError("expected an artifact of the study, such as study:reference_selection.json#/run")
        return text


class Collection(Strict):
    """A folder of `artifacts/studies/` that belongs to no preset: made by hand, read where a chapter declares it."""

    name: Annotated[str, Field(pattern=rf"^{PRESET_NAME.pattern}$", max_length=80)]
    says: Annotated[str, Field(min_length=1)]
    regenerate: Annotated[str, Field(min_length=1, max_length=200)]  # the command that makes it again
    publish: Annotated[list[Pattern], Field(min_length=1)]  # of its files


class Workflow(Strict):
    """The whole file."""

    stages: Annotated[list[Stage], Field(min_length=1)]
    chapters: Chapters = Field(default_factory=Chapters)
    main: MainRun | None = None  # null: the first run of the study
    # published runs of other studies that are printed beside this one's, by name (`*` stands for anything)
    guests: list[Annotated[str, Field(pattern=r"^[a-z0-9_*?-]+$")]] = Field(default_factory=list)
    collections: list[Collection] = Field(default_factory=list)
    # variables of every stage and chapter
    environment: dict[Variable, Annotated[str, _known_fields({"project"})]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_differ(self) -> "Workflow":
        names = [stage.name for stage in self.stages]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"two stages are called {twice!r}")
        return self


def load_collections(project: Project) -> list[Collection]:
    """The collections of the project's workflow."""
    return validate(Workflow, read_yaml(project.root / MARKER, MARKER, WorkflowError), WorkflowError).collections


def load_workflow(project: Project, study: Study) -> Workflow:
    """The project's workflow, checked against its parameters, its book and itself."""
    document = read_yaml(project.root / MARKER, MARKER, WorkflowError)
    workflow = validate(Workflow, document, WorkflowError)
    for number, collection in enumerate(workflow.collections):
        if collection.name in presets(project.root):
            place = document.place(("collections", number, "name"))
            raise WorkflowError(f"{place}: collections.{number}.name = {collection.name!r}: is a preset; rename it")
    for number, stage in enumerate(workflow.stages):
        _check_sections(document, ("stages", number, "params"), stage.params, study)
    own = workflow.chapters.own
    for name, chapter in [("defaults", workflow.chapters.defaults), *own.items()]:
        path = ("chapters", "defaults") if name == "defaults" else ("chapters", "own", name)
        _check_sections(document, (*path, "params"), chapter.params or [], study)
    for name in own:
        if name not in project.chapters:
            known = ", ".join(project.chapters)
            raise WorkflowError(
                f"{document.place(('chapters', 'own', name))}: chapters.own.{name}: no such chapter in _quarto.yml; "
                f"there are: {known}{nearest(name, project.chapters)}"
            )
    clash = next((stage.name for stage in workflow.stages if stage.name in project.chapters), None)
    if clash:
        raise WorkflowError(f"{MARKER}: stage {clash!r} has the name of a chapter; rename one")
    _check_one_writer(document, workflow, study)
    return workflow


def _check_sections(document: Document, path: tuple[int | str, ...], names: list[str], study: Study) -> None:
    for position, name in enumerate(names):
        if name not in study.params:
            key = ".".join(map(str, path))
            raise WorkflowError(
                f"{document.place((*path, position))}: {key}: no section {name!r} in the parameters; "
                f"there are: {', '.join(study.params)}{nearest(name, study.params)}"
            )


def _check_one_writer(document: Document, workflow: Workflow, study: Study) -> None:
    """Two stages must not write the same file, except a shared one."""
    seen: list[tuple[str, str]] = []
    for number, stage in enumerate(workflow.stages):
        home = "runs/any" if stage.per is Per.RUN else f"studies/{study.preset}"
        own = [
            glob
            for pattern in stage.writes
            if not pattern.startswith("shared:")
            for glob in patterns.resolve(pattern, home, study.preset, study.runs)
        ]
        for glob in own:
            other = next((name for name, written in seen if patterns.can_meet(glob, written)), None)
            if other:
                raise WorkflowError(
                    f"{document.place(('stages', number, 'writes'))}: stages.{number}.writes: {glob!r} may be written "
                    f"by stage {other!r} too; give each file one writer"
                )
        seen += [(stage.name, glob) for glob in own]
