"""Carries out stages: decide, set aside what must not be gone on from, run, check what was read and written."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from livingpaper.errors import StageFailed
from livingpaper.execute.aside import Unknown, refuse_unknown, set_aside, unfit_outputs
from livingpaper.execute.leftovers import sweep_outputs
from livingpaper.execute.outcomes import Outcome, Result
from livingpaper.execute.processes import KILLED, Ended, Job
from livingpaper.staleness.manifest import Begun, write_begun
from livingpaper.staleness.reads import recorded_reads
from livingpaper.staleness.verdict import Authority, Origin, State, Verdict
from livingpaper.tasks import Task

_TIGHT = 64 * 1024  # bytes free on a disk below which nobody can be sure to have had his say


@dataclass
class Attempt:
    """A running task: the verdict it runs on, and whether it repairs outputs that were once complete."""

    verdict: Verdict
    repairs: bool
    remarks: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why it runs, and what was set aside before."""
        return "; ".join([self.verdict.reason, *self.remarks])


class Workshop:
    """What stages and chapters have in common: logs, variables, the record of reads."""

    def __init__(self, authority: Authority, inherit: tuple[int, ...] = (), unknown: Unknown = Unknown.REFUSE) -> None:
        self.authority = authority
        self.project = authority.project
        self.unknown = unknown
        self._inherit = inherit

    def log(self, task: Task, suffix: str = "log") -> Path:
        """Where a task's log (or record of reads, or progress) lies."""
        return self.project.build / "logs" / task.scope / f"{task.name}.{suffix}"

    def job(self, task: Task, command: tuple[str, ...]) -> Job:
        """The job that runs `command` for a task, with a fresh record of reads."""
        for suffix in ("reads", "progress"):
            self.log(task, suffix).unlink(missing_ok=True)
        given = self.authority.plan.workflow.environment
        return Job(
            command=command,
            folder=str(self.project.root),
            environment={
                **{name: value.replace("{project}", str(self.project.root)) for name, value in given.items()},
                "LIVINGPAPER_PROJECT": str(self.project.root),
                "LIVINGPAPER_READS": str(self.log(task, "reads")),
                "LIVINGPAPER_PROGRESS": str(self.log(task, "progress")),
                "LIVINGPAPER_PUBLISHED": ",".join(self.authority.plan.homes.elsewhere) if task.source else "",
                "LIVINGPAPER_BUILDING": "1",
            },
            log=str(self.log(task)),
            threads=task.threads,
            inherit=self._inherit,
        )

    def begun(self, task: Task, verdict: Verdict) -> None:
        """Note that a task begins: from here until it is finished it has no manifest."""
        path = self.project.manifest(task.scope, task.name)
        write_begun(path, Begun(verdict.start, self.authority.seconds(task) or 0.0, verdict.expected))

    def reads(self, task: Task) -> list[str]:
        """What the task's processes recorded."""
        return recorded_reads(self.authority.plan.homes, task, self.log(task, "reads"))

    def last_words(self, task: Task) -> str:
        """The last line of a task's log, for messages; what a full disk left of it is not the whole story."""
        try:
            lines = self.log(task).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = ["it left no log"]
        said = next((line.strip()[:300] for line in reversed(lines) if line.strip()), "it said nothing")
        free = shutil.disk_usage(self.project.build).free
        return f"{said} (the disk is full: {free:,} bytes are free)" if free < _TIGHT else said


class StageCarrier:
    """Carries out the stages of a plan."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._authority = workshop.authority
        self._attempts: dict[str, Attempt] = {}

    def begin(self, task: Task) -> Result | Job:
        """The result of a fresh stage, or the job that a stale one needs."""
        verdict = self._authority.judge(task)
        if verdict.state is State.FRESH:
            return Result(Outcome.FRESH, verdict.reason)
        refuse_unknown(task, verdict, self._authority.outputs(task), self._workshop.unknown)
        repairs = verdict.origin is Origin.SAME and bool(verdict.expected)
        return self._start(task, Attempt(verdict, repairs))

    def end(self, task: Task, ended: Ended) -> Result | Job:
        """The result of a stage that ran, or the job that starts it anew if a repair did not lead to the end."""
        attempt = self._attempts.pop(task.id)
        unrepaired = attempt.repairs and not self._repaired(task, attempt, ended)
        if unrepaired and self._can_begin_anew(task, ended):
            return self._start(task, Attempt(attempt.verdict, False, attempt.remarks), anew=True)
        if ended.code:
            raise StageFailed(
                f"{task.spoken} failed (exit code {ended.code}): {self._workshop.last_words(task)} "
                f"[{self._workshop.project.relative(self._workshop.log(task))}]"
            )
        if unrepaired:
            raise StageFailed(
                f"{task.spoken} did not make again what was lost; make room to begin anew and build again"
            )
        reads = self._authority.confirm(task, attempt.verdict, self._workshop.reads(task))
        manifest = self._authority.finish(task, attempt.verdict, reads, ended.seconds)
        sweep_outputs(self._workshop.project, task, manifest.outputs)
        return Result(Outcome.DONE, attempt.reason, executed=True)

    def _start(self, task: Task, attempt: Attempt, anew: bool = False) -> Job:
        outputs = self._authority.outputs(task)
        unfit = unfit_outputs(task, attempt.verdict, outputs, self._workshop.unknown, anew)
        remark = set_aside(self._workshop.project, task, unfit)
        attempt.remarks += (remark,) if remark else ()
        self._workshop.begun(task, attempt.verdict)
        self._attempts[task.id] = attempt
        return self._workshop.job(task, task.command)

    def _repaired(self, task: Task, attempt: Attempt, ended: Ended) -> bool:
        """Whether every output is there again that once was."""
        return ended.code == 0 and set(attempt.verdict.expected) <= set(self._authority.outputs(task))

    def _can_begin_anew(self, task: Task, ended: Ended) -> bool:
        """Whether a repair that did not lead to the end says that what lies there is unfit, and there is room for more.

        A stage that was killed says nothing about its outputs. They are set aside, not deleted, so new ones need as
        much room again: without it the repair failed for want of room, or beginning anew would.
        """
        project = self._workshop.project
        taken = sum((project.root / name).stat().st_size for name in self._authority.outputs(task))
        place = project.artifacts if project.artifacts.is_dir() else project.root
        return ended.code < KILLED and shutil.disk_usage(place).free > taken
