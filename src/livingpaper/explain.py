"""`livingpaper explain`: one sentence for each stage, chapter or printing on why it would rerun, or why not."""

from collections.abc import Iterator, Mapping, Sized
from pathlib import Path, PurePosixPath

from livingpaper import patterns
from livingpaper.build import Built, open_authority
from livingpaper.errors import ProjectError
from livingpaper.execute.lock import build_lock
from livingpaper.pageprints import PRINT, PagePrinter
from livingpaper.press import prepare
from livingpaper.staleness.manifest import Manifest, read_manifest
from livingpaper.staleness.verdict import Authority, State, Verdict
from livingpaper.tasks import Plan, Task
from livingpaper.validation import nearest


def explain(plan: Plan, target: str, renderer: str = "auto") -> list[str]:
    """The sentences on everything a target names: a stage, chapter, run, task, artifact, page or file of the site."""
    name = _plain(plan, target)
    tasks = [task for task in plan.tasks.values() if _named(plan, task, name)]
    authority = open_authority(plan)
    verdicts = {task.id: authority.judge(task) for task in plan.tasks.values()}
    authority.memo.save()
    if tasks:
        return [explain_task(authority, task, verdicts) for task in tasks]
    if _is_page(plan, name):
        return list(_explain_pages(plan, authority, name, verdicts, renderer))
    known = [*dict.fromkeys(task.name for task in plan.tasks.values()), *plan.study.runs, *plan.project.pages]
    raise ProjectError(
        f"explain {target!r}: no stage, chapter, run, artifact or page of that name; there are: {', '.join(known)}"
        f"{nearest(target, known)}"
    )


def explain_task(authority: Authority, task: Task, verdicts: Mapping[str, Verdict]) -> str:
    """One sentence on a task."""
    verdict = verdicts[task.id]
    manifest = read_manifest(authority.project.manifest(task.scope, task.name))
    if verdict.state is State.PROSE:
        return f"{task.spoken} would not be executed: {verdict.reason}, which is put in without running anything."
    before = _stale_before(authority.plan, task, verdicts)
    if verdict.state is State.STALE and not (verdict.by_reads and before is not None):
        return f"{task.spoken} would rerun: {verdict.reason}."
    if before is not None:
        return (
            f"{task.spoken} may rerun: it comes after {before.spoken}, which would rerun because "
            f"{verdicts[before.id].reason}; it does if what it read is then different."
        )
    return f"{task.spoken} would not rerun: {_unchanged(task, manifest)}."


def _unchanged(task: Task, manifest: Manifest | None) -> str:
    if manifest is None:
        return "nothing it depends on changed"
    sections = ", ".join(task.sections) or "none"
    when = f"when it ran at {manifest.finished} because {manifest.because}"
    return (
        f"its command, its parameters ({sections}), {_count(manifest.inputs.get('code', {}), 'module')}, "
        f"{_count(manifest.inputs.get('packages', {}), 'package')}, {_count(manifest.reads, 'file')} it looked for and "
        f"{_count(manifest.outputs, 'output')} are as they were {when}"
    )


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _stale_before(plan: Plan, task: Task, verdicts: Mapping[str, Verdict]) -> Task | None:
    """The first stale task that a task waits for, directly or not."""
    waiting, seen = [*plan.needs[task.id]], set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            if verdicts[name].state is State.STALE:
                return plan.tasks[name]
            waiting += plan.needs[name]
    return None


def _explain_pages(
    plan: Plan, authority: Authority, name: str, verdicts: Mapping[str, Verdict], renderer: str
) -> Iterator[str]:
    """A sentence for each printing that holds the page."""
    stale = next((plan.tasks[task] for task, verdict in verdicts.items() if verdict.state is State.STALE), None)
    if stale is not None:
        yield f"{name} may be printed anew: {stale.spoken} would rerun because {verdicts[stale.id].reason}."
        return
    worded = next((plan.tasks[task] for task, verdict in verdicts.items() if verdict.state is State.PROSE), None)
    if worded is not None:
        yield f"{name} would be printed anew: of {worded.source} {verdicts[worded.id].reason}."
        return
    with build_lock(plan.project.build):
        built = Built(plan, authority, {})
        prepared = prepare(built)
        printer = PagePrinter(built, prepared, renderer)
        for printing in prepared.printings:
            if not _of_printing(name, printing.output, [one.output for one in prepared.printings]):
                continue
            reason = printer.why(printing)
            manifest = read_manifest(plan.project.manifest(printing.run, PRINT))
            if reason is None and manifest is not None:
                when = f"when it was printed at {manifest.finished} because {manifest.because}"
                files = f"its {len(manifest.reads)} files are as they were {when}"
                yield f"{name} of {printing.run} would not be printed anew: {files}."
            else:
                yield f"{name} of {printing.run} would be printed anew: {reason}."


def _of_printing(name: str, output: Path, others: list[Path]) -> bool:
    """Whether a page belongs to a printing: a source page to all, a file of the site to the innermost folder."""
    holders = [other for other in others if PurePosixPath(name).is_relative_to(other.as_posix())]
    return not holders or max(holders, key=lambda other: len(other.parts)) == output


def _plain(plan: Plan, target: str) -> str:
    """A target as the project calls it: an existing path is made relative to the project."""
    path = Path(target)
    if path.exists() and path.resolve().is_relative_to(plan.project.root):
        return path.resolve().relative_to(plan.project.root).as_posix()
    return target.rstrip("/")


def _named(plan: Plan, task: Task, name: str) -> bool:
    own = (task.id, task.name, task.scope, task.source)
    if name in own:
        return True
    if name.startswith("artifacts/"):
        return any(patterns.matches(glob, name.removeprefix("artifacts/")) for glob in task.writes)
    executed = plan.project.relative(plan.project.executed(task.scope, task.name))
    return bool(task.source) and name == executed


def _is_page(plan: Plan, name: str) -> bool:
    inside_site = PurePosixPath(name).is_relative_to(plan.project.book.output)
    return inside_site or name in plan.project.pages
