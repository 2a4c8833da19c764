"""Carries out chapters: decide, look into the cache, else execute in a process of its own, and put in place."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from livingpaper.errors import StageFailed
from livingpaper.execute.outcomes import RAISED, Outcome, Result
from livingpaper.execute.processes import Ended, Job
from livingpaper.execute.stages import Workshop
from livingpaper.files import read_json
from livingpaper.staleness.verdict import State, Verdict
from livingpaper.tasks import Task


@dataclass(frozen=True)
class _Running:
    verdict: Verdict
    prepared: Any  # the notebook with its parameters, before execution


class ChapterCarrier:
    """Carries out the chapters of a plan."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._authority = workshop.authority
        self._project = workshop.project
        self._running: dict[str, _Running] = {}

    def begin(self, task: Task) -> Result | Job:
        """The result of a chapter that is fresh, reworded or in the cache, or the job that executes it."""
        verdict = self._authority.judge(task)
        if verdict.state is State.FRESH:
            return Result(Outcome.FRESH, verdict.reason)
        from livingpaper import notebooks
        from livingpaper.execute import cache

        source = notebooks.source(self._project.root / task.source)
        preset = task.study.preset
        if verdict.state is State.PROSE:
            return self._reword(task, verdict, notebooks.inject(source, task.scope, preset, ""))
        prepared = notebooks.inject(source, task.scope, preset, verdict.start)
        found = cache.find(self._project.build / "cache", prepared, self._now)
        if found is not None:
            return self._finish(task, verdict, found[0], list(found[1]), self._authority.seconds(task) or 0.0)
        notebooks.write(self._scratch(task, "prepared"), prepared)
        self._workshop.begun(task, verdict)
        self._running[task.id] = _Running(verdict, prepared)
        return self._job(task)

    def end(self, task: Task, ended: Ended) -> Result:
        """The result of a chapter that was executed."""
        from livingpaper import notebooks
        from livingpaper.execute import cache

        running = self._running.pop(task.id)
        executed = self._scratch(task, "executed")
        self._scratch(task, "prepared").unlink(missing_ok=True)
        if ended.code:
            raise StageFailed(self._why(task, ended, executed))
        notebook = notebooks.without_volatile(notebooks.read(executed), running.prepared)
        executed.unlink()
        reads = self._workshop.reads(task)
        confirmed = self._authority.confirm(task, running.verdict, reads)
        cache.keep(self._project.build / "cache", notebook, confirmed, f"{task.scope}/{task.source}")
        return replace(self._finish(task, running.verdict, notebook, reads, ended.seconds), executed=True)

    def _now(self, name: str) -> str | None:
        """Digest of a file of the project as it is now."""
        return self._authority.memo.digest(self._project.root / name)

    def _job(self, task: Task) -> Job:
        files = (str(self._scratch(task, part)) for part in ("prepared", "executed"))
        job = self._workshop.job(task, ("python", "-m", "livingpaper.execute.chapter", *files))
        return replace(job, environment={**job.environment, **self._jupyter()})

    def _finish(self, task: Task, verdict: Verdict, notebook: Any, reads: list[str], seconds: float) -> Result:
        """Put the executed chapter in its place, then its manifest."""
        from livingpaper import notebooks

        confirmed = self._authority.confirm(task, verdict, reads)
        notebooks.write(self._project.executed(task.scope, task.name), notebooks.without_digest(notebook))
        self._authority.finish(task, verdict, confirmed, seconds)
        self._project.failed(task.scope, task.name).unlink(missing_ok=True)
        return Result(Outcome.DONE, verdict.reason)

    def _reword(self, task: Task, verdict: Verdict, injected: Any) -> Result:
        """Put the outputs of the executed chapter under the new text."""
        from livingpaper import notebooks

        path = self._project.executed(task.scope, task.name)
        reworded = notebooks.with_outputs(notebooks.without_digest(injected), notebooks.read(path))
        if reworded is None:
            raise StageFailed(f"{task.spoken}: {self._project.relative(path)} is not what it says; delete it and build")
        notebooks.write(path, reworded)
        self._authority.reword(task, verdict)
        return Result(Outcome.DONE, verdict.reason)

    def _why(self, task: Task, ended: Ended, executed: Path) -> str:
        """What to say of a chapter that failed; its notebook up to the error is kept for display."""
        log = self._project.relative(self._workshop.log(task))
        about = read_json(executed.with_suffix(".error"))
        if ended.code != RAISED or not isinstance(about, dict):
            return f"{task.spoken} ended with exit code {ended.code}: {self._workshop.last_words(task)} [{log}]"
        executed.with_suffix(".error").unlink()
        executed.replace(self._project.failed(task.scope, task.name))
        return f"{task.spoken}: cell {about['cell']} raised {about['name']}: {about['message']} [{log}]"

    def _scratch(self, task: Task, part: str) -> Path:
        place = self._project.executed(task.scope, task.name)
        return place.with_name(f".{task.name}.{part}.ipynb")

    def _jupyter(self) -> dict[str, str]:
        """Variables that keep a user's own IPython and Jupyter settings out of the paper."""
        home = self._project.build / "jupyter"
        (home / "runtime").mkdir(parents=True, exist_ok=True)
        return {"IPYTHONDIR": str(home), "JUPYTER_RUNTIME_DIR": str(home / "runtime"), "JUPYTER_PLATFORM_DIRS": "1"}
