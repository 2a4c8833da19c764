"""The whole way from parameters to evidence: every stale stage and chapter of a study is carried out.

Judging claims, collecting values and printing come after, in `livingpaper.paper`.
"""

from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

from livingpaper.execute.aside import Unknown
from livingpaper.execute.chapters import ChapterCarrier
from livingpaper.execute.cluster import Cluster
from livingpaper.execute.outcomes import Outcome, Result
from livingpaper.execute.processes import Ended, Job
from livingpaper.execute.progress import Progressing
from livingpaper.execute.scheduling import Board, Carrier, Slots, ranks, run_tasks
from livingpaper.execute.stages import StageCarrier, Workshop
from livingpaper.staleness.memo import Memo
from livingpaper.staleness.verdict import Authority
from livingpaper.tasks import Kind, Plan, Task


@dataclass(frozen=True)
class Built:
    """What became of each task of a plan."""

    plan: Plan
    authority: Authority
    results: Mapping[str, Result]

    @property
    def failures(self) -> list[str]:
        """What failed, in the words of its error."""
        return [result.reason for result in self.results.values() if result.outcome is Outcome.FAILED]

    @property
    def executed(self) -> list[str]:
        """Tasks that were carried out."""
        return [name for name, result in self.results.items() if result.executed]

    def behind(self, scope: str) -> str | None:
        """Why the stages of a run or study have no results of today's inputs, if so."""
        stages = (task.name for task in self.plan.tasks.values() if task.scope == scope and task.kind is Kind.STAGE)
        return next((wrong for name in stages if (wrong := self.trouble(scope, name))), None)

    def trouble(self, scope: str, name: str) -> str | None:
        """Why a task has no result of today's inputs, if so."""
        result = self.results.get(f"{scope}/{name}")
        return None if result is None or result.good else result.reason


class Carriers:
    """Hands each task to the carrier of its kind."""

    def __init__(self, workshop: Workshop) -> None:
        self._of: dict[Kind, Carrier] = {Kind.STAGE: StageCarrier(workshop), Kind.CHAPTER: ChapterCarrier(workshop)}

    def begin(self, task: Task) -> Result | Job:
        """The result of a task, or the job it needs first."""
        return self._of[task.kind].begin(task)

    def end(self, task: Task, ended: Ended) -> Result | Job:
        """The result of a task whose job ended, or the next job."""
        return self._of[task.kind].end(task, ended)


def open_authority(plan: Plan) -> Authority:
    """The authority on what is stale in a plan, with what it remembers from earlier builds."""
    return Authority(plan, Memo(plan.project.build / "memo.json"))


def build(
    plan: Plan,
    slots: int,
    lock: int | None = None,
    executor: Executor | None = None,
    unknown: Unknown = Unknown.REFUSE,
) -> Built:
    """Carry out what is stale, on `slots` local processes, on a given executor with as many, or on a cluster.

    `lock` is the descriptor of the build's lock, which local children hold too; `unknown` says what to do with outputs
    that no build made. Errors in the user's files are raised before anything runs.
    """
    authority = open_authority(plan)
    for task in plan.tasks.values():
        authority.inputs(task)
    inherit = (lock,) if lock is not None and executor is None else ()
    workshop = Workshop(authority, inherit, unknown)
    cluster = executor if isinstance(executor, Cluster) else None
    room: Slots = cluster.slots if cluster else slots
    progress = Progressing(workshop, plan.tasks, room, cluster.standing if cluster else None)
    board = Board(plan.tasks, plan.needs, ranks(plan.tasks, plan.needs, progress.estimates))
    try:
        with ThreadPoolExecutor(slots) if executor is None else nullcontext(executor) as pool:
            results = run_tasks(board, Carriers(workshop), progress, pool, room)
    finally:
        progress.close()
        authority.memo.save()
    return Built(plan, authority, {name: results[name] for name in plan.tasks})
