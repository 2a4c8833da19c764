"""Tasks: each stage for each run or study, and each chapter for each run, with who comes after whom."""

from dataclasses import dataclass
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter

from livingpaper import patterns
from livingpaper.errors import WorkflowError
from livingpaper.params import Study
from livingpaper.project import MARKER, Project
from livingpaper.workflow import Per, Stage, Workflow, load_workflow


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
    threads: int = 1
    continues: bool = False
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
    """Everything one build has to look at: the tasks in an order that works, and what each waits for."""

    project: Project
    study: Study
    workflow: Workflow
    tasks: dict[str, Task]
    needs: dict[str, frozenset[str]]


def shared(glob: str) -> bool:
    """Whether a glob (or path) relative to `artifacts/` lies in no run's and no study's own folder."""
    return not glob.startswith(("runs/", "studies/"))


def make_plan(project: Project, study: Study) -> Plan:
    """The tasks of a study; a circle among them is refused, naming its members."""
    workflow = load_workflow(project, study)
    tasks = {task.id: task for task in _tasks(project, study, workflow)}
    needs = {task.id: _needed(task, tasks) for task in tasks.values()}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = " → ".join(error.args[1])
        raise WorkflowError(f"{MARKER}: stages wait for each other in a circle: {circle}") from None
    return Plan(project, study, workflow, {name: tasks[name] for name in order}, needs)


def _tasks(project: Project, study: Study, workflow: Workflow) -> list[Task]:
    out = []
    for stage in workflow.stages:
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
        threads=stage.threads,
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
        threads=own.threads if own else defaults.threads,
        source=source,
    )


def _fill(word: str, run: str, preset: str) -> str:
    for name, value in {"run": run, "preset": preset, "study": preset}.items():
        word = word.replace("{" + name + "}", value)
    return word


def _globs(written: list[str], home: str, study: Study) -> tuple[str, ...]:
    found = (glob for pattern in written for glob in patterns.resolve(pattern, home, study.preset, study.runs))
    return tuple(dict.fromkeys(found))


def _needed(task: Task, tasks: dict[str, Task]) -> frozenset[str]:
    """Tasks that may write what `task` reads."""
    return frozenset(
        other.id
        for other in tasks.values()
        if other.id != task.id
        and any(
            patterns.can_meet(read, written)
            for written in other.writes
            if other.scope == task.scope or not shared(written)  # each run makes sure of its own shared files
            for read in task.reads
        )
    )
