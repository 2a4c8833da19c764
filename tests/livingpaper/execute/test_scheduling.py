"""Order, slots, failures: with pretended tasks, so that each rule is seen by itself."""

import threading
from collections.abc import Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livingpaper.errors import StageFailed
from livingpaper.execute import scheduling
from livingpaper.execute.outcomes import Outcome, Result
from livingpaper.execute.processes import Ended, Job
from livingpaper.execute.scheduling import Board, ranks, run_tasks
from livingpaper.params import Study
from livingpaper.tasks import Kind, Task

STUDY = Study("r", {}, ("r",))


def task(name: str, threads: int = 1, writes: tuple[str, ...] = ()) -> Task:
    return Task(name, Kind.STAGE, "r", "", ("true",), "m", (), (), writes, STUDY, threads)


class Pretending:
    """A carrier of tasks that fail, are fresh, or run; it sees how many run at once."""

    def __init__(self, fails: set[str] = frozenset(), fresh: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.fails, self.fresh = fails, fresh
        self.begun: list[str] = []
        self.open: set[str] = set()
        self.most = 0
        self.together: list[set[str]] = []

    def begin(self, task: Task) -> Result | Job:
        self.begun.append(task.name)
        if task.name in self.fresh:
            return Result(Outcome.FRESH, "")
        self.open.add(task.name)
        self.together.append(set(self.open))
        return Job((task.name,), "", {}, "")

    def end(self, task: Task, ended: Ended) -> Result | Job:
        self.open.discard(task.name)
        if task.name in self.fails:
            raise StageFailed(f"{task.name} broke")
        return Result(Outcome.DONE, "", executed=True)


class Silent:
    def started(self, task: Task) -> None: ...
    def finished(self, task: Task, result: Result) -> None: ...
    def poll(self) -> None: ...


class Immediate(Executor):
    """An executor of another kind, that is no thread pool: everything is done when it is submitted."""

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        future: Future[Ended] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "run_job", lambda job: Ended(0, 0.0))


def run(
    needs: Mapping[str, set[str]],
    carrier: Pretending,
    slots: int = 2,
    tasks: tuple[Task, ...] = (),
    seconds: float = 1.0,
) -> dict[str, Result]:
    given = {one.name: one for one in tasks}
    known = {f"r/{name}": given.get(name) or task(name) for name in needs}
    wants = {f"r/{name}": frozenset(f"r/{other}" for other in others) for name, others in needs.items()}
    board = Board(known, wants, ranks(known, wants, dict.fromkeys(known, seconds)))
    with ThreadPoolExecutor(slots) as pool:
        results = run_tasks(board, carrier, Silent(), pool, slots)
    return {name.removeprefix("r/"): result for name, result in results.items()}


def test_everything_runs_after_what_it_needs() -> None:
    carrier = Pretending()
    results = run({"d": {"b", "c"}, "b": {"a"}, "c": {"a"}, "a": set()}, carrier)
    assert {result.outcome for result in results.values()} == {Outcome.DONE}
    assert carrier.begun[0] == "a"
    assert carrier.begun[-1] == "d"


def test_a_failure_stops_only_what_needs_it_and_is_named() -> None:
    carrier = Pretending(fails={"b"})
    results = run({"a": set(), "b": set(), "c": {"b"}, "d": {"c"}, "e": {"a"}}, carrier)
    assert results["b"] == Result(Outcome.FAILED, "b broke")
    assert results["c"] == Result(Outcome.SKIPPED, "stage b of r failed")
    assert results["d"] == Result(Outcome.SKIPPED, "stage b of r failed")
    assert results["e"].outcome is Outcome.DONE
    assert set(carrier.begun) == {"a", "b", "e"}


def test_the_longest_chain_begins_first() -> None:
    carrier = Pretending()
    run({"short": set(), "long": set(), "long2": {"long"}, "long3": {"long2"}}, carrier, slots=1)
    assert carrier.begun.index("long") < carrier.begun.index("short")


def test_known_times_decide_over_the_number_of_steps() -> None:
    tasks = {name: task(name) for name in ("a", "b", "c")}
    found = ranks(tasks, {"a": frozenset(), "b": frozenset({"a"}), "c": frozenset()}, {"a": 1, "b": 1, "c": 60})
    assert found == {"a": 2, "b": 1, "c": 60}


def test_no_more_threads_than_slots() -> None:
    carrier = Pretending()
    run({"a": set(), "b": set(), "c": set()}, carrier, slots=3, tasks=(task("a", threads=2), task("b", threads=2)))
    assert not any({"a", "b"} <= together for together in carrier.together)


def test_a_task_of_more_threads_than_there_are_slots_runs_alone() -> None:
    carrier = Pretending()
    results = run({"a": set(), "b": set()}, carrier, slots=2, tasks=(task("a", threads=8),))
    assert results["a"].outcome is Outcome.DONE
    assert {"a", "b"} not in carrier.together


def test_of_tasks_that_write_shared_files_one_of_a_kind_runs_at_a_time() -> None:
    shared = ("benchmarks/**",)
    one, two = (Task("data", Kind.STAGE, run, "", ("x",), "m", (), (), shared, STUDY) for run in ("r1", "r2"))
    together = 0
    open_now: set[str] = set()

    class Watching(Pretending):
        def begin(self, task: Task) -> Result | Job:
            nonlocal together
            open_now.add(task.scope)
            together = max(together, len(open_now))
            return super().begin(task)

        def end(self, task: Task, ended: Ended) -> Result | Job:
            open_now.discard(task.scope)
            return super().end(task, ended)

    board = Board({one.id: one, two.id: two}, {one.id: frozenset(), two.id: frozenset()}, {one.id: 1.0, two.id: 1.0})
    with ThreadPoolExecutor(2) as pool:
        run_tasks(board, Watching(), Silent(), pool, 2)
    assert together == 1


def test_fresh_tasks_need_no_slot_and_no_executor() -> None:
    names = {"a": set(), "b": {"a"}, "c": {"b"}}
    known = {f"r/{name}": task(name) for name in names}
    needs = {f"r/{name}": frozenset(f"r/{other}" for other in others) for name, others in names.items()}
    board = Board(known, needs, dict.fromkeys(known, 1.0))
    results = run_tasks(board, Pretending(fresh={"a", "b", "c"}), Silent(), Executor(), 1)
    assert {result.outcome for result in results.values()} == {Outcome.FRESH}


def test_any_executor_will_do() -> None:
    known = {"r/a": task("a"), "r/b": task("b")}
    board = Board(known, {"r/a": frozenset(), "r/b": frozenset({"r/a"})}, dict.fromkeys(known, 1.0))
    assert all(result.executed for result in run_tasks(board, Pretending(), Silent(), Immediate(), 1).values())


def test_an_interrupt_ends_the_children_and_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(scheduling, "run_job", lambda job: Ended(143, 0.0) if ended.wait(10) else Ended(0, 0.0))
    monkeypatch.setattr(scheduling, "end_all", ended.set)

    class Interrupting(Silent):
        def poll(self) -> None:
            raise KeyboardInterrupt

    board = Board({"r/a": task("a")}, {"r/a": frozenset()}, {"r/a": 1.0})
    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        run_tasks(board, Pretending(), Interrupting(), pool, 1)
    assert ended.is_set()


@settings(max_examples=40)
@given(st.data())
def test_in_any_graph_each_task_has_one_result_and_failures_reach_exactly_their_descendants(
    data: st.DataObject,
) -> None:
    count = data.draw(st.integers(1, 7))
    names = [f"t{number}" for number in range(count)]
    needs = {
        name: data.draw(st.sets(st.sampled_from(names[:index]))) if index else set() for index, name in enumerate(names)
    }
    fails = data.draw(st.sets(st.sampled_from(names), max_size=2))
    results = run(needs, Pretending(fails=fails), slots=data.draw(st.integers(1, 3)))
    broken: set[str] = set()
    for name in names:
        if needs[name] & broken:
            broken.add(name)
            assert results[name].outcome is Outcome.SKIPPED
        elif name in fails:
            broken.add(name)
            assert results[name].outcome is Outcome.FAILED
        else:
            assert results[name].outcome is Outcome.DONE
