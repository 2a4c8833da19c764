"""Who runs when: tasks on any `concurrent.futures.Executor`, longest chain first, one failure stopping only what
needs it."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from types import FrameType
from typing import Protocol

from livingpaper.errors import ClusterError, PressError
from livingpaper.execute.outcomes import Outcome, Result
from livingpaper.execute.processes import Ended, Job, allow, end_all, run_job
from livingpaper.room import told
from livingpaper.tasks import Task

_POLL = 0.25  # seconds between looks at the progress of running tasks
Slots = int | Callable[[], int]  # jobs side by side; a function where workers come and go


class Carrier(Protocol):
    """Carries out tasks: `begin` and `end` give a result, or the job that has to run before there is one."""

    def begin(self, task: Task) -> Result | Job: ...
    def end(self, task: Task, ended: Ended) -> Result | Job: ...


class Reporter(Protocol):
    """Is told what happens, and asked now and then to show how far running tasks are."""

    def started(self, task: Task) -> None: ...
    def finished(self, task: Task, result: Result) -> None: ...
    def poll(self) -> None: ...


@dataclass
class Board:
    """All tasks of a build and where each stands."""

    tasks: Mapping[str, Task]
    needs: Mapping[str, frozenset[str]]
    rank: Mapping[str, float]  # estimated seconds to the end of the longest chain that begins with the task
    results: dict[str, Result] = field(default_factory=dict)
    running: dict["Future[Ended]", str] = field(default_factory=dict)
    ready: set[str] = field(default_factory=set)


def count(slots: Slots) -> int:
    """The slots there are now."""
    return slots if isinstance(slots, int) else slots()


def run_tasks(
    board: Board, carrier: Carrier, reporter: Reporter, executor: Executor, slots: Slots
) -> dict[str, Result]:
    """The result of every task on the board, carried out on `slots` slots of the executor.

    On Ctrl-C or SIGTERM the running children are ended, and `KeyboardInterrupt` is raised once they are.
    """
    sorter = TopologicalSorter(board.needs)
    sorter.prepare()
    try:
        with _terminable():
            while sorter.is_active():
                board.ready.update(sorter.get_ready())
                if not _begin_some(board, carrier, reporter, executor, count(slots), sorter):
                    _collect(board, carrier, reporter, executor, sorter)
    except BaseException:
        _stop(board, executor)
        raise
    return board.results


def ranks(
    tasks: Mapping[str, Task], needs: Mapping[str, frozenset[str]], seconds: Mapping[str, float]
) -> dict[str, float]:
    """Length in seconds of the longest chain that begins with each task."""
    after: dict[str, list[str]] = {name: [] for name in tasks}
    for name, needed in needs.items():
        for other in needed:
            after[other].append(name)
    out: dict[str, float] = {}
    for name in reversed(list(TopologicalSorter(needs).static_order())):
        out[name] = seconds[name] + max((out[later] for later in after[name]), default=0.0)
    return out


def _begin_some(
    board: Board, carrier: Carrier, reporter: Reporter, executor: Executor, slots: int, sorter: "TopologicalSorter[str]"
) -> bool:
    """Begin what is ready and fits; true if anything was settled at once, so that more may be ready."""
    settled = False
    for name in sorted(board.ready, key=lambda name: (-board.rank[name], name)):
        task = board.tasks[name]
        blocker = next((needed for needed in sorted(board.needs[name]) if not board.results[needed].good), None)
        if blocker is not None:
            result: Result | Job = Result(Outcome.SKIPPED, _why_skipped(board, blocker))
        elif not _fits(board, task, slots):
            continue
        else:
            result = _guarded(lambda task=task: carrier.begin(task))  # type: ignore[misc]
        board.ready.discard(name)
        settled |= _take(board, task, result, reporter, executor, sorter)
    return settled


def _take(
    board: Board,
    task: Task,
    result: Result | Job,
    reporter: Reporter,
    executor: Executor,
    sorter: "TopologicalSorter[str]",
) -> bool:
    """Submit a job, or settle the task with its result."""
    if isinstance(result, Job):
        board.running[executor.submit(run_job, result)] = task.id
        reporter.started(task)
        return False
    board.results[task.id] = result
    sorter.done(task.id)
    reporter.finished(task, result)
    return True


def _collect(
    board: Board, carrier: Carrier, reporter: Reporter, executor: Executor, sorter: "TopologicalSorter[str]"
) -> None:
    """Wait a moment for running jobs, and take in those that ended."""
    if not board.running:  # no slot for anything that is ready: the workers of a cluster are gone
        time.sleep(_POLL)
    done, _ = wait(board.running, timeout=_POLL, return_when=FIRST_COMPLETED)
    for future in done:
        task = board.tasks[board.running.pop(future)]
        result = _guarded(lambda task=task, future=future: carrier.end(task, future.result()))  # type: ignore[misc]
        _take(board, task, result, reporter, executor, sorter)
    reporter.poll()


def _guarded(step: Callable[[], Result | Job]) -> Result | Job:
    """The step's result; an error of the press or the system fails the task; only a lost cluster ends the build."""
    try:
        return step()
    except ClusterError:
        raise
    except PressError as error:
        return Result(Outcome.FAILED, str(error))
    except OSError as error:
        return Result(Outcome.FAILED, told(error))


def _fits(board: Board, task: Task, slots: int) -> bool:
    """Whether there is room for the task now; of tasks that write shared files, one of a kind at a time."""
    others = [board.tasks[name] for name in board.running.values()]
    if task.shares and any(other.name == task.name for other in others):
        return False
    taken = sum(min(other.threads, slots) for other in others)
    return slots > 0 and taken + min(task.threads, slots) <= slots


def _why_skipped(board: Board, blocker: str) -> str:
    """Names the failure at the root of a chain of skipped tasks."""
    result = board.results[blocker]
    return result.reason if result.outcome is Outcome.SKIPPED else f"{board.tasks[blocker].spoken} failed"


def _stop(board: Board, executor: Executor) -> None:
    """End every running job and wait until it is gone."""
    for future in board.running:
        future.cancel()
    end_all()
    executor.shutdown(wait=False, cancel_futures=True)
    wait([future for future in board.running if not future.cancelled()], timeout=10)
    allow()


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the build as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
