"""Whether a task is stale, and why. Nothing else decides this.

A task is fresh if it has a manifest and nothing it depends on differs from what stands there: its command, the
sections of the parameters it reads, the code in the closure of its imports (comments and docstrings apart), the pins of
the packages that code imports, the kind of machine, the names that its patterns match, the content of each artifact it
looked for (found or not), and its own outputs. Timestamps never count.
"""

import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from livingpaper import patterns
from livingpaper.errors import StageFailed, WorkflowError
from livingpaper.files import digest
from livingpaper.project import MARKER
from livingpaper.staleness.cells import read_cells
from livingpaper.staleness.imports import CodeIndex
from livingpaper.staleness.manifest import (
    Begun,
    Inputs,
    Manifest,
    clear_begun,
    read_begun,
    read_manifest,
    write_manifest,
)
from livingpaper.staleness.memo import Memo
from livingpaper.staleness.packages import Lock
from livingpaper.staleness.reads import owns
from livingpaper.tasks import Kind, Plan, Task
from livingpaper.validation import nearest


class State(StrEnum):
    """What has to be done about a task."""

    FRESH = "fresh"
    PROSE = "prose"  # only the text around a chapter's cells changed: nothing is executed
    STALE = "stale"


class Origin(StrEnum):
    """Where the outputs that lie there come from, as far as is known."""

    SAME = "same"  # from these very inputs: finished, or interrupted
    OTHER = "other"  # from other code, parameters or artifacts
    UNKNOWN = "unknown"  # made outside a build


@dataclass(frozen=True)
class Verdict:
    """The state of a task before it runs."""

    state: State
    reason: str
    inputs: Inputs
    start: str = ""  # digest of all it can depend on; empty if fresh
    contents: dict[str, str | None] | None = None  # declared files as they are now; `None` if fresh
    origin: Origin = Origin.UNKNOWN
    damaged: tuple[str, ...] = ()  # outputs that are not what the manifest says
    expected: tuple[str, ...] = ()  # outputs it had when these same inputs last came to an end


class Authority:
    """Judges the tasks of one plan against the files as they are now."""

    def __init__(self, plan: Plan, memo: Memo) -> None:
        self.plan = plan
        self.project = plan.project
        self.memo = memo
        self.code = CodeIndex(plan.project.root / "src", memo)
        self.lock = Lock(plan.project.root, memo)

    def judge(self, task: Task) -> Verdict:
        """The verdict on a task."""
        path = self.project.manifest(task.scope, task.name)
        manifest, inputs = read_manifest(path), self.inputs(task)
        outputs = self.outputs(task)
        reason, damaged = self._difference(task, manifest, inputs, outputs)
        if reason is None:
            return Verdict(State.FRESH, "nothing it depends on changed", inputs)
        if reason == _PROSE:
            return Verdict(State.PROSE, reason, inputs)
        contents = self._contents(task)
        start = digest([_executed(inputs), contents])
        before = manifest or read_begun(path)
        origin = Origin.UNKNOWN if before is None else Origin.SAME if before.start == start else Origin.OTHER
        if isinstance(before, Begun):
            reason = "it failed or was interrupted" + ("" if origin is Origin.SAME else ", and something changed since")
        expected = _expected(before) if origin is Origin.SAME else ()
        return Verdict(State.STALE, reason, inputs, start, contents, origin, tuple(damaged), expected)

    def seconds(self, task: Task) -> float | None:
        """How long the task took when it last ran, if known."""
        path = self.project.manifest(task.scope, task.name)
        before = read_manifest(path) or read_begun(path)
        return before.seconds if before and before.seconds else None

    def inputs(self, task: Task) -> Inputs:
        """Everything known before a task runs that its results depend on, artifacts apart."""
        roots, cells = [task.module], {}
        if task.kind is Kind.CHAPTER:
            notebook = read_cells(self.project.root / task.source, task.source, self.memo)
            roots, cells = self.code.imported_by(notebook.reading), {"code": notebook.code, "prose": notebook.prose}
        elif self.code.file(task.module) is None:
            known = sorted(self.code.packages)
            raise WorkflowError(
                f"{MARKER}: stage {task.name}: module {task.module!r} is not below src/; "
                f"packages there: {', '.join(known)}{nearest(task.module.split('.')[0], known)}"
            )
        closure = self.code.closure(roots)
        study = self.plan.study
        crossing = task.scope == study.preset or any(_other_run(glob, task.scope) for glob in task.reads)
        return {
            "command": {"command": " ".join(task.command)},
            "environment": dict(self.plan.workflow.environment),
            "params": study.sections(task.sections),
            "runs": dict.fromkeys(study.runs, "") if crossing else {},
            "cells": cells,
            "code": closure.modules,
            "packages": self.lock.entries(closure.outside),
            "machine": {
                "processor": platform.machine(),
                "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            },
            "names": {glob: digest(self._matched(task, glob)) for glob in task.reads if patterns.wild(glob)},
        }

    def outputs(self, task: Task) -> dict[str, str]:
        """Digest of each output that exists, by path relative to the project."""
        if task.kind is Kind.CHAPTER:
            paths = [self.project.relative(self.project.executed(task.scope, task.name))]
        else:
            paths = [
                f"artifacts/{name}" for glob in task.writes for name in patterns.expand(self.project.artifacts, glob)
            ]
        found = {path: self.memo.digest(self.project.root / path) for path in paths}
        return {path: value for path, value in found.items() if value is not None}

    def finish(self, task: Task, verdict: Verdict, reads: dict[str, str | None], seconds: float) -> Manifest:
        """Write the manifest of a task that came to its end, with the reads that `confirm` gave."""
        manifest = Manifest(
            inputs=verdict.inputs,
            start=verdict.start,
            reads=reads,
            outputs=self._complete_outputs(task),
            because=verdict.reason,
            seconds=round(seconds, 2),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        path = self.project.manifest(task.scope, task.name)
        write_manifest(path, manifest)
        clear_begun(path)
        return manifest

    def reword(self, task: Task, verdict: Verdict) -> None:
        """Renew the manifest of a chapter whose text changed around its cells."""
        path = self.project.manifest(task.scope, task.name)
        manifest = read_manifest(path)
        if manifest is not None:
            write_manifest(path, replace(manifest, inputs=verdict.inputs, outputs=self.outputs(task)))

    def confirm(self, task: Task, verdict: Verdict, reads: list[str]) -> dict[str, str | None]:
        """Digest of what was read; of everything declared, if the task recorded nothing at all.

        A file that changed while the task ran is an error: nobody knows which of its states was read.
        """
        before = verdict.contents or {}
        if not reads:
            return dict(before)
        now = {name: self.memo.digest(self.project.root / name) for name in reads}
        changed = next((name for name in now if name in before and before[name] != now[name]), None)
        if changed:
            raise StageFailed(f"{task.spoken}: {changed} changed while it was being read; build again")
        return now

    def _complete_outputs(self, task: Task) -> dict[str, str]:
        outputs = self.outputs(task)
        missing = _unwritten(task, outputs)
        if missing:
            raise StageFailed(f"{task.spoken}: wrote no artifacts/{missing}, which {MARKER} says it writes")
        return outputs

    def _matched(self, task: Task, glob: str) -> list[str]:
        names = patterns.expand(self.project.artifacts, glob)
        return [name for name in names if not owns(task, f"artifacts/{name}")]

    def _contents(self, task: Task) -> dict[str, str | None]:
        """Digest of every declared file, the missing ones among those named outright included."""
        out: dict[str, str | None] = {}
        for glob in task.reads:
            names = self._matched(task, glob) or ([] if patterns.wild(glob) or "{" in glob else [glob])
            out |= {f"artifacts/{name}": self.memo.digest(self.project.artifacts / name) for name in names}
        return out

    def _difference(
        self, task: Task, manifest: Manifest | None, inputs: Inputs, outputs: dict[str, str]
    ) -> tuple[str | None, list[str]]:
        """The first reason why the task is stale, if any, and its damaged outputs."""
        if manifest is None:
            return "it has not run yet", []
        damaged = sorted(
            name for name in manifest.outputs.keys() | outputs.keys() if manifest.outputs.get(name) != outputs.get(name)
        )
        reason = changed_input(_executed(manifest.inputs), _executed(inputs)) or self._changed_read(manifest)
        if reason is None and damaged:
            reason = _damage(damaged[0], manifest.outputs, outputs)
        if reason is None and (missing := _unwritten(task, outputs)):
            reason = f"it wrote no artifacts/{missing}"
        if reason is None and manifest.inputs.get("cells") != inputs["cells"]:
            reason = _PROSE
        return reason, damaged

    def _changed_read(self, manifest: Manifest) -> str | None:
        for name, before in manifest.reads.items():
            now = self.memo.digest(self.project.root / name)
            if now != before:
                what = "appeared" if before is None else "is gone" if now is None else "changed"
                return f"{name}, which it {'looked for' if before is None else 'read'}, {what}"
        return None


_PROSE = "only the text around its cells changed"
_SPOKEN = {
    "command": "its command changed",
    "environment": "variable {name} of its environment changed",
    "params": "parameters in section {name} changed",
    "runs": "the runs of the study changed: {name}",
    "cells": "its code cells changed",
    "code": "module {name} changed",
    "packages": "package {name} went from {old} to {new}",
    "machine": "the {name} changed from {old} to {new}",
    "names": "the files that artifacts/{name} matches changed",
}


def changed_input(old: Inputs, new: Inputs) -> str | None:
    """The first difference between two sets of inputs, in words."""
    for kind, sentence in _SPOKEN.items():
        before, now = old.get(kind, {}), new.get(kind, {})
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) == now.get(name):
                continue
            if kind == "code" and (name not in before or name not in now):
                sentence = (
                    "module {name} is now among its imports" if name in now else "module {name} is no longer imported"
                )
            return sentence.format(name=name, old=before.get(name, "absent"), new=now.get(name, "absent"))
    return None


def _executed(inputs: Inputs) -> Inputs:
    """Inputs without the text around a chapter's cells, which nothing executes."""
    cells = {name: value for name, value in inputs.get("cells", {}).items() if name != "prose"}
    return {**inputs, "cells": cells}


def _unwritten(task: Task, outputs: Iterable[str]) -> str | None:
    """The first pattern of what the task writes that none of its outputs matches."""
    below = [name.removeprefix("artifacts/") for name in outputs]
    return next((glob for glob in task.writes if not any(patterns.matches(glob, name) for name in below)), None)


def _expected(before: Manifest | Begun | None) -> tuple[str, ...]:
    return tuple(before.outputs) if isinstance(before, Manifest) else before.expected if before else ()


def _damage(name: str, before: dict[str, str], now: dict[str, str]) -> str:
    what = "is gone" if name not in now else "appeared beside it" if name not in before else "is not as it left it"
    return f"its output {name} {what}"


def _other_run(glob: str, scope: str) -> bool:
    return glob.startswith("runs/") and not glob.startswith(f"runs/{scope}/")
