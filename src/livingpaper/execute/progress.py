"""Progress of the whole build with time left: a live display on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livingpaper.execute.outcomes import Outcome, Result
from livingpaper.execute.scheduling import Slots, count
from livingpaper.execute.stages import Workshop
from livingpaper.files import read_json
from livingpaper.tasks import Task

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LINE_EVERY = 30.0  # seconds between status lines in a log
_GUESS = 5.0  # seconds a task is taken to last that never ran


@dataclass
class _Running:
    task: Task
    began: float
    row: "TaskID | None" = None


class Progressing:
    """Tells how the build stands; silent while nothing has to be executed."""

    def __init__(
        self, workshop: Workshop, tasks: dict[str, Task], slots: Slots, crew: Callable[[], str] | None = None
    ) -> None:
        self._workshop = workshop
        self._slots = slots
        self._crew = crew  # says who works, where that may change
        self._crewed = ""
        self._left = dict(tasks)
        self._total = len(tasks)
        self._estimates = {name: workshop.authority.seconds(task) or _GUESS for name, task in tasks.items()}
        self._running: dict[str, _Running] = {}
        self._lined = time.monotonic()
        self._display: Progress | None = None
        self._row: TaskID | None = None

    @property
    def estimates(self) -> dict[str, float]:
        """Seconds each task is expected to take."""
        return self._estimates

    def started(self, task: Task) -> None:
        """A task began to run."""
        running = self._running[task.id] = _Running(task, time.monotonic())
        display = self._open()
        self._tell_crew()
        if display is None:
            _say(f"{task.id}: began")
        else:
            running.row = display.add_task(task.id, total=None, left="", unit="")

    def finished(self, task: Task, result: Result) -> None:
        """A task has its result."""
        self._left.pop(task.id, None)
        running = self._running.pop(task.id, None)
        if running and running.row is not None and self._display is not None:
            self._display.remove_task(running.row)
        took = f" in {time.monotonic() - running.began:.1f} s" if running else ""
        sentences = {
            Outcome.DONE: f"{task.id}: done{took} ({result.reason})",
            Outcome.FAILED: f"{task.id}: FAILED: {result.reason}",
            Outcome.SKIPPED: f"{task.id}: skipped: {result.reason}",
        }
        if result.outcome in sentences:
            self._say(sentences[result.outcome])

    def poll(self) -> None:
        """Show how far running tasks are."""
        left = f"about {_spoken(self.seconds_left())} left" if self._running else ""
        if self._running:
            self._tell_crew()
        if self._display is not None and self._row is not None:
            self._display.update(self._row, completed=self._total - len(self._left), left=left)
            for running in self._running.values():
                about = self._about(running.task)
                if about and running.row is not None:
                    self._display.update(running.row, total=about["total"], completed=about["done"], unit=about["unit"])
        elif self._running and time.monotonic() - self._lined >= _LINE_EVERY:
            self._lined = time.monotonic()
            doing = ", ".join(f"{name}{self._share(running.task)}" for name, running in self._running.items())
            _say(f"{self._total - len(self._left)} of {self._total} done, {left}; running: {doing}")

    def seconds_left(self) -> float:
        """Wall seconds until everything is done, by how long tasks took before and how far the running ones are."""
        work = sum(self._estimates[name] for name in self._left if name not in self._running)
        longest = 0.0
        for name, running in self._running.items():
            elapsed = time.monotonic() - running.began
            about = self._about(running.task)
            share = about["done"] / about["total"] if about and about["total"] else 0.0
            rest = elapsed * (1 - share) / share if share > 0.02 else max(self._estimates[name] - elapsed, 1.0)
            longest = max(longest, rest)
            work += rest
        return max(longest, work / max(count(self._slots), 1))

    def close(self) -> None:
        """Take the display off the terminal."""
        if self._display is not None:
            self._display.stop()

    def _open(self) -> "Progress | None":
        if self._display is None and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (
                "{task.description}",
                BarColumn(),
                MofNCompleteColumn(),
                "{task.fields[unit]}",
                "{task.fields[left]}",
            )
            rows = [TextColumn(column, markup=False) if isinstance(column, str) else column for column in columns]
            self._display = Progress(*rows, console=Console(stderr=True), transient=True)
            self._row = self._display.add_task("build", total=self._total, left="", unit="tasks")
            self._display.start()
        return self._display

    def _say(self, line: str) -> None:
        if self._display is None:
            _say(line)
        else:
            self._display.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _tell_crew(self) -> None:
        """Say who works, first and whenever it is somebody else."""
        if self._crew is not None and self._crewed != (now := self._crew()):
            self._crewed = now
            self._say(f"cluster: {now}")

    def _share(self, task: Task) -> str:
        about = self._about(task)
        return f" {about['done']}/{about['total']} {about['unit']}" if about else ""

    def _about(self, task: Task) -> dict[str, Any] | None:
        """What the task last reported of itself, if it is usable."""
        data = read_json(self._workshop.log(task, "progress"))
        if not isinstance(data, dict):
            return None
        done, total, unit = data.get("done"), data.get("total"), data.get("unit")
        if not isinstance(done, int | float) or not isinstance(total, int | float) or total <= 0:
            return None
        return {"done": min(done, total), "total": total, "unit": str(unit or "")[:20]}


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
