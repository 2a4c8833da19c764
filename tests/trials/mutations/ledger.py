"""What executions there have to be, and what the files have to say: the definitions behind every number of this suite.

An **execution is needless** if nothing that the task depends on differs from what it was when the files that stand
there were made: its command and environment, the parameters it declares, the meaning of the code it imports, the pins
of the packages that code imports, the content of the artifacts it read, and its own outputs. Who depends on what is
found out by `facts.Reader` and by the hand-written table of reads below, not by the press.

A **result is stale** if something of that differs and the task was not carried out all the same, or if after a build
any byte differs from what the laboratory gives by itself, in an empty folder, from the same sources (`truth`).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from livingpaper.build import Built
from livingpaper.execute.outcomes import Outcome
from tests.trials.mutations.facts import Facts, Reader

NOT_RUN = ["not run"]
Digests = dict[str, str | None]  # path relative to the project → digest, `None` where there is no file


@dataclass(frozen=True)
class Record:
    """The execution that made what stands there: what it depended on, what it read, what it left."""

    facts: Facts
    reads: Digests
    outputs: Digests


class Ledger:
    """Follows one copy of the tiny paper through its builds."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.root = reader.root
        self.records: dict[str, Record] = {}

    def note(self) -> dict[str, Digests]:
        """The outputs of all tasks as they are before a build."""
        return {task: self._outputs(task) for task in self.reader.tasks()}

    def forget(self, task: str) -> None:
        """Nobody knows any more how the task's outputs were made: another execution is never needless."""
        self.records.pop(task, None)

    def differences(self, task: str) -> tuple[list[str], list[str]]:
        """What differs now from the execution that made what stands there: of the task's own, and of what it read."""
        record = self.records.get(task)
        if record is None:
            return NOT_RUN, []
        facts = self.reader.tasks()[task].facts
        own = _changed(record.facts, facts) + _changed(record.outputs, self._outputs(task))
        return own, _changed(record.reads, self._reads(task))

    def settle(self, built: Built, before: dict[str, Digests]) -> list[str]:
        """What was wrong with a build, in words; afterwards the ledger knows the new executions."""
        wrong, tasks = [], self.reader.tasks()
        for task, now in tasks.items():
            record, result = self.records.get(task), built.results[task]
            reads = self._reads(task)
            same = record is not None and (record.facts, record.reads, record.outputs) == (
                now.facts,
                reads,
                before[task],
            )
            if result.outcome is Outcome.SKIPPED:
                continue
            if result.outcome is Outcome.FAILED:
                wrong += [f"{task} failed though nothing changed: {result.reason}"] if same else []
                self.forget(task)
                continue
            if result.executed and same:
                wrong.append(f"{task} was executed needlessly: {result.reason}")
            if result.outcome is Outcome.FRESH and not same:
                wrong.append(f"{task} was left stale: {self.differences(task)}")
            if not same or now.chapter:  # a chapter's text may have been renewed without an execution
                self.records[task] = Record(now.facts, reads, self._outputs(task))
        if set(tasks) != set(built.results):
            wrong.append(f"the plan has other tasks: {sorted(set(tasks) ^ set(built.results))}")
        return wrong

    def compare(self, truth: dict[str, bytes]) -> list[str]:
        """Artifacts of the study that are not what the laboratory gives by itself."""
        standing = {name: (self.root / "artifacts" / name) for name in truth}
        wrong = [name for name, path in standing.items() if not path.is_file() or path.read_bytes() != truth[name]]
        extra = {path for task in self.reader.tasks() for path in self._outputs(task) if path.startswith("artifacts/")}
        wrong += sorted(path for path in extra if path.removeprefix("artifacts/") not in truth)
        return [f"{name} is not what the laboratory gives" for name in wrong]

    def _outputs(self, task: str) -> Digests:
        scope, name = task.split("/")
        return {
            "throw": lambda: self._digests(sorted(self._run(scope).glob("throws/part_*.json"))),
            "measure": lambda: self._digests(self._run(scope) / part for part in ("evidence.json", "summary.json")),
            "choose": lambda: self._digests([self.root / f"artifacts/studies/{scope}/chosen.json"]),
        }.get(name, lambda: self._digests([self.root / f"build/chapters/{scope}/{name}.ipynb"]))()

    def _reads(self, task: str) -> Digests:
        """What the laboratory's code looks for, as anybody can read there."""
        scope, name = task.split("/")
        run, runs = self._run(scope), self.reader.runs()
        parts = range(self.reader.params()["dice"]["parts"])
        return {
            "throw": dict,
            "measure": lambda: self._looked_for(run / "throws" / f"part_{part}.json" for part in parts),
            "choose": lambda: self._looked_for(self._run(one) / "summary.json" for one in runs),
            "mean": lambda: self._looked_for([run / "summary.json"]),
            "spread": lambda: self._looked_for(run / part for part in ("summary.json", "evidence.json", "notes.json")),
        }[name]()

    def _run(self, run: str) -> Path:
        return self.root / "artifacts" / "runs" / run

    def _digests(self, paths: Iterable[Path]) -> Digests:
        return {name: value for name, value in self._looked_for(paths).items() if value is not None}

    def _looked_for(self, paths: Iterable[Path]) -> Digests:
        return {path.relative_to(self.root).as_posix(): _digest(path) for path in paths}


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _changed(before: Mapping[str, str | None], now: Mapping[str, str | None]) -> list[str]:
    names = before.keys() | now.keys()
    return sorted(name for name in names if before.get(name, "absent") != now.get(name, "absent"))


def shown(problems: Iterable[str]) -> str:
    """Problems for a failing test's message, nothing if there are none."""
    return "\n".join(problems)
