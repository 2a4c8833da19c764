"""Tasks: each stage for each run or study, and each chapter for each run, with who comes after whom."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from livingpaper import patterns
from livingpaper.errors import WorkflowError
from livingpaper.params import Study
from livingpaper.project import MARKER, Project
from livingpaper.published.homes import Homes
from livingpaper.workflow import Per, Stage, Workflow, load_workflow
from livingpaper.writers import Writers


class Kind(StrEnum):
    """What a task carries out."""

    STAGE = "stage"
    CHAPTER = "chapter"


@dataclass(frozen=True)
class Task:
    """One stage or chapter, for one run or study. `reads` and `writes` are globs relative to `artifacts/`."""

    name: str
    kind: Kind
    scope: str  # the run's name, or the study's
    says: str
    command: tuple[str, ...]
    module: str
    sections: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    study: Study = field(compare=False, repr=False)  # the one it belongs to
    threads: int = 1
    continues: bool = False
    publish: tuple[str, ...] = ()  # globs of its files that are published though no chapter reads them
    source: str = ""  # of a chapter: its notebook, relative to the project

    @property
    def id(self) -> str:
        """`<run or study>/<stage or chapter>`."""
        return f"{self.scope}/{self.name}"

    @property
    def spoken(self) -> str:
        """How messages call it."""
        return f"{self.kind} {self.name} of {self.scope}"

    @property
    def shares(self) -> bool:
        """Whether it writes where other runs write too, so that its like must wait for it."""
        return any(shared(glob) for glob in self.writes)


@dataclass(frozen=True)
class Plan:
    """Everything one build has to look at: the tasks in an order that works, and what each waits for.

    `guests` are studies whose published runs are printed beside those of `study`; `homes` says where evidence is read.
    """

    project: Project
    study: Study
    workflow: Workflow
    tasks: dict[str, Task]
    needs: dict[str, frozenset[str]]
    guests: tuple[Study, ...]
    homes: Homes

    @property
    def studies(self) -> tuple[Study, ...]:
        """Every study of which runs are printed, the paper's own first."""
        return (self.study, *self.guests)

    @property
    def arguments(self) -> tuple[str, ...]:
        """What `livingpaper build` has to be given for this plan."""
        computed = any(task.kind is Kind.STAGE for task in self.tasks.values())
        return ("--preset", self.study.preset, *(() if computed else ("--published",)))

    @cached_property
    def writers(self) -> Writers:
        """Who writes which artifact."""
        return Writers(self.tasks.values())

    @property
    def runs(self) -> tuple[str, ...]:
        """Every run that is printed."""
        return tuple(run for study in self.studies for run in study.runs)


def shared(glob: str) -> bool:
    """Whether a glob (or path) relative to `artifacts/` lies in no run's and no study's own folder."""
    return not glob.startswith(("runs/", "studies/"))


def make_plan(
    project: Project,
    study: Study,
    guests: Sequence[Study] = (),
    homes: Homes | None = None,
    compute: bool = True,
    workflow: Workflow | None = None,
) -> Plan:
    """The tasks of a study, and the chapters of its guests; without `compute` the study's stages are left out, too.

    A circle among the tasks is refused, naming its members.
    """
    workflow = workflow or load_workflow(project, study)
    found = [*_tasks(project, study, workflow, compute)]
    found += [task for guest in guests for task in _tasks(project, guest, workflow, False)]
    tasks = {task.id: task for task in found}
    writers = Writers(tasks.values())
    needs = {task.id: writers.before(task) for task in tasks.values()}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = " → ".join(error.args[1])
        raise WorkflowError(f"{MARKER}: stages wait for each other in a circle: {circle}") from None
    ordered = {name: tasks[name] for name in order}
    return Plan(project, study, workflow, ordered, needs, tuple(guests), homes or Homes(project))


def _tasks(project: Project, study: Study, workflow: Workflow, compute: bool) -> list[Task]:
    out = []
    for stage in workflow.stages if compute else ():
        scopes = study.runs if stage.per is Per.RUN else (study.preset,)
        out += [_stage_task(stage, scope, study) for scope in scopes]
    for run in study.runs:
        out += [_chapter_task(name, source, run, study, workflow) for name, source in project.chapters.items()]
    return out


def _stage_task(stage: Stage, scope: str, study: Study) -> Task:
    run = scope if stage.per is Per.RUN else ""
    home = f"runs/{scope}" if run else f"studies/{scope}"
    return Task(
        name=stage.name,
        kind=Kind.STAGE,
        scope=scope,
        says=stage.says,
        command=tuple(_fill(word, run, study.preset) for word in stage.command),
        module=stage.module,
        sections=tuple(stage.params),
        reads=_globs(stage.reads, home, study),
        writes=_globs(stage.writes, home, study),
        study=study,
        threads=stage.threads,
        publish=_globs(stage.publish, home, study),
        continues=stage.continues,
    )


def _chapter_task(name: str, source: str, run: str, study: Study, workflow: Workflow) -> Task:
    defaults, own = workflow.chapters.defaults, workflow.chapters.own.get(name)
    sections = own.params if own and own.params is not None else defaults.params
    return Task(
        name=name,
        kind=Kind.CHAPTER,
        scope=run,
        says=f"Chapter {name}.",
        command=("papermill", source),
        module="",
        sections=tuple(study.params if sections is None else sections),
        reads=_globs([*defaults.reads, *(own.reads if own else [])], f"runs/{run}", study),
        writes=(),
        study=study,
        threads=own.threads if own else defaults.threads,
        source=source,
    )


def _fill(word: str, run: str, preset: str) -> str:
    for name, value in {"run": run, "preset": preset, "study": preset}.items():
        word = word.replace("{" + name + "}", value)
    return word


def _globs(written: list[str], home: str, study: Study) -> tuple[str, ...]:
    found = (
        glob
        for pattern in written
        for glob in patterns.resolve(pattern, home, study.preset, (*study.runs, *study.unpublished))
    )
    return tuple(dict.fromkeys(found))
