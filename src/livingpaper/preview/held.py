"""Builds what a preview may run; of the rest it says why it is not up to date, and its pages are stamped so."""

from dataclasses import replace
from enum import StrEnum

from livingpaper.build import Built, build, open_authority
from livingpaper.execute.chapters import ChapterCarrier
from livingpaper.execute.outcomes import Outcome, Result
from livingpaper.execute.stages import Workshop
from livingpaper.staleness.verdict import State
from livingpaper.tasks import Kind, Plan


class Running(StrEnum):
    """What a preview runs when it is stale."""

    NOTHING = "nothing"
    CHAPTERS = "chapters"
    EVERYTHING = "everything"  # long stages too

    def runs(self, kind: Kind) -> bool:
        """Whether tasks of a kind are carried out."""
        return self is Running.EVERYTHING or (self is Running.CHAPTERS and kind is Kind.CHAPTER)


def build_some(plan: Plan, jobs: int, lock: int, running: Running) -> tuple[Built, list[str]]:
    """Carry out what may be run and rests on nothing stale; and sentences on what is stale and was not run."""
    held, reasons = _hold_back(plan, running)
    tasks = {name: task for name, task in plan.tasks.items() if name not in held}
    needs = {name: plan.needs[name] for name in tasks}
    some = build(replace(plan, tasks=tasks, needs=needs), jobs, lock)
    results = {**some.results, **held}
    built = Built(plan, some.authority, {name: results[name] for name in plan.tasks})
    _reword(built)
    return built, reasons


def _hold_back(plan: Plan, running: Running) -> tuple[dict[str, Result], list[str]]:
    """Tasks that are not run now: what is stale and may not be, and all that needs it; with the reasons, once each."""
    held: dict[str, Result] = {}
    reasons: list[str] = []
    authority = open_authority(plan)
    for name, task in plan.tasks.items():  # in an order that works
        blocker = next((needed for needed in sorted(plan.needs[name]) if needed in held), None)
        if blocker is not None:
            held[name] = held[blocker]
        elif not running.runs(task.kind):
            verdict = authority.judge(task)
            if verdict.state is State.STALE:
                reasons.append(f"{task.spoken} is not up to date: {verdict.reason}")
                held[name] = Result(Outcome.SKIPPED, reasons[-1])
    authority.memo.save()
    return held, reasons


def _reword(built: Built) -> None:
    """Put new text around the cells of chapters that were held back for something before them; they stay stamped."""
    carrier = ChapterCarrier(Workshop(built.authority))
    for name, task in built.plan.tasks.items():
        held = task.kind is Kind.CHAPTER and built.results[name].outcome is Outcome.SKIPPED
        if held and built.authority.judge(task).state is State.PROSE:
            carrier.begin(task)
