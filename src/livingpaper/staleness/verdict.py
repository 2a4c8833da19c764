"""Whether a task is stale, and why. Nothing else decides this.

A task is fresh if it has a manifest and nothing it depends on differs from what stands there: its command, the
sections of the parameters it reads, the code in the closure of its imports (comments and docstrings apart), the pins of
the packages that code imports, the kind of machine, the names that its patterns match, the content of each artifact it
looked for (found or not), and its own outputs. Timestamps never count.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from livingpaper import patterns
from livingpaper.errors import StageFailed
from livingpaper.files import digest
from livingpaper.project import MARKER
from livingpaper.staleness.differences import (
    PROSE,
    changed_input,
    changed_read,
    damage,
    damaged_outputs,
    executed,
    own_inputs,
    unwritten,
)
from livingpaper.staleness.imports import CodeIndex
from livingpaper.staleness.inputs import gather_inputs
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
from livingpaper.staleness.reads import home_of, owns
from livingpaper.tasks import Kind, Plan, Task


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
    by_reads: bool = False  # only what it read differs; tasks before it may yet make that the same again


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
        own, damaged = self._own_difference(task, manifest, inputs, outputs)
        reason = own or self._difference_of_reads(manifest, inputs)
        if reason is None:
            return Verdict(State.FRESH, "nothing it depends on changed", inputs)
        if reason == PROSE:
            return Verdict(State.PROSE, reason, inputs)
        contents = self._contents(task)
        start = digest([executed(inputs), contents])
        before = manifest or read_begun(path)
        origin = Origin.UNKNOWN if before is None else Origin.SAME if before.start == start else Origin.OTHER
        if manifest is not None and self._changed_read(manifest):
            origin = Origin.OTHER  # also where it was no declared artifact
        if isinstance(before, Begun):
            reason = "it failed or was interrupted" + ("" if origin is Origin.SAME else ", and something changed since")
        expected = _expected(before) if origin is Origin.SAME else ()
        return Verdict(State.STALE, reason, inputs, start, contents, origin, tuple(damaged), expected, own is None)

    def seconds(self, task: Task) -> float | None:
        """How long the task took when it last ran, if known."""
        path = self.project.manifest(task.scope, task.name)
        before = read_manifest(path) or read_begun(path)
        return before.seconds if before and before.seconds else None

    def inputs(self, task: Task) -> Inputs:
        """Everything known before a task runs that its results depend on, artifacts apart."""
        names = {glob: digest(self._matched(task, glob)) for glob in task.reads if patterns.wild(glob)}
        return {**gather_inputs(self.plan, task, self.code, self.lock, self.memo), "names": names}

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
        missing = unwritten(task, outputs)
        if missing:
            raise StageFailed(f"{task.spoken}: wrote no artifacts/{missing}, which {MARKER} says it writes")
        return outputs

    def _matched(self, task: Task, glob: str) -> list[str]:
        """Files, relative to the project, that a glob of what the task reads matches now, its own outputs left out."""
        home = home_of(self.plan.homes, task, glob)
        names = [self.project.relative(home / name) for name in patterns.expand(home, glob)]
        return [name for name in names if not owns(task, name)]

    def _contents(self, task: Task) -> dict[str, str | None]:
        """Digest of every declared file, the missing ones among those named outright included."""
        out: dict[str, str | None] = {}
        for glob in task.reads:
            named = [] if patterns.wild(glob) or "{" in glob else [home_of(self.plan.homes, task, glob) / glob]
            names = self._matched(task, glob) or [self.project.relative(path) for path in named]
            out |= {name: self.memo.digest(self.project.root / name) for name in names}
        return out

    def _own_difference(
        self, task: Task, manifest: Manifest | None, inputs: Inputs, outputs: dict[str, str]
    ) -> tuple[str | None, list[str]]:
        """The first reason of its own why the task is stale, if any, and its damaged outputs."""
        if manifest is None:
            return "it has not run yet", []
        damaged = damaged_outputs(manifest.outputs, outputs)
        reason = changed_input(own_inputs(manifest.inputs), own_inputs(inputs))
        if reason is None and damaged:
            reason = damage(damaged[0], manifest.outputs, outputs)
        if reason is None and (missing := unwritten(task, outputs)):
            reason = f"it wrote no artifacts/{missing}"
        return reason, damaged

    def _difference_of_reads(self, manifest: Manifest | None, inputs: Inputs) -> str | None:
        """The first difference in what the task read: in content, or in the names its patterns match; then in prose."""
        if manifest is None:
            return None
        reason = self._changed_read(manifest) or changed_input(executed(manifest.inputs), executed(inputs))
        return reason or (PROSE if manifest.inputs.get("cells") != inputs["cells"] else None)

    def _changed_read(self, manifest: Manifest) -> str | None:
        now = {name: self.memo.digest(self.project.root / name) for name in manifest.reads}
        changed = next((name for name, before in manifest.reads.items() if now[name] != before), None)
        return None if changed is None else changed_read(changed, manifest.reads[changed], now[changed])


def _expected(before: Manifest | Begun | None) -> tuple[str, ...]:
    return tuple(before.outputs) if isinstance(before, Manifest) else before.expected if before else ()
