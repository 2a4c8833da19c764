"""Carries out what a preview may run; of the rest it says why it is not up to date, and its pages are stamped so."""

from enum import StrEnum

from livingpaper.build import Built, Carriers
from livingpaper.execute.chapters import ChapterCarrier
from livingpaper.execute.outcomes import Outcome, Result
from livingpaper.execute.processes import Ended, Job
from livingpaper.execute.stages import Workshop
from livingpaper.staleness.verdict import State
from livingpaper.tasks import Kind, Task


class Running(StrEnum):
    """What a preview runs when it is stale."""

    NOTHING = "nothing"
    CHAPTERS = "chapters"
    EVERYTHING = "everything"  # long stages too

    def runs(self, kind: Kind) -> bool:
        """Whether tasks of a kind are carried out."""
        return self is Running.EVERYTHING or (self is Running.CHAPTERS and kind is Kind.CHAPTER)


class Held:
    """The carriers of a build, held back from what they may not run."""

    def __init__(self, workshop: Workshop, running: Running) -> None:
        self._carriers = Carriers(workshop)
        self._authority = workshop.authority
        self._running = running

    def begin(self, task: Task) -> Result | Job:
        """The result of a task, or the job it needs first."""
        if not self._running.runs(task.kind):
            verdict = self._authority.judge(task)
            if verdict.state is State.STALE:
                return Result(Outcome.SKIPPED, f"{task.spoken} is not up to date: {verdict.reason}")
        return self._carriers.begin(task)

    def end(self, task: Task, ended: Ended) -> Result | Job:
        """The result of a task whose job ended, or the next job."""
        return self._carriers.end(task, ended)


def reword(built: Built) -> None:
    """Put new text around the cells of chapters that were skipped for something before them; they stay stamped."""
    carrier = ChapterCarrier(Workshop(built.authority))
    for name, result in built.results.items():
        task = built.plan.tasks[name]
        skipped = task.kind is Kind.CHAPTER and result.outcome is Outcome.SKIPPED
        if skipped and built.authority.judge(task).state is State.PROSE:
            carrier.begin(task)


def held_back(built: Built) -> list[str]:
    """What was not run although it is stale, each with why; what only waits for it is left out."""
    skipped = [(built.plan.tasks[name], result) for name, result in built.results.items()]
    return [
        result.reason
        for task, result in skipped
        if result.outcome is Outcome.SKIPPED and result.reason.startswith(f"{task.spoken} ")
    ]
