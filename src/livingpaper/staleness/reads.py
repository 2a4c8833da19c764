"""What a task read, as its processes recorded it in the file named by `LIVINGPAPER_READS`."""

import json
import re
from pathlib import Path

from livingpaper import patterns
from livingpaper.errors import StageFailed
from livingpaper.project import MARKER, Project
from livingpaper.published.homes import Homes
from livingpaper.tasks import Kind, Task

_PUBLISHED = re.compile(r"results/[^/]+/(.+)")


def recorded_reads(homes: Homes, task: Task, log: Path) -> list[str]:
    """Files the task looked for, relative to the project, its own outputs left out.

    A file below `artifacts/` (or below a publication) that the workflow does not declare is an error: the order of
    tasks could not be right. So is one of another home than that in which the task has to look: the page would tell
    of other evidence than it shows. So is a section of the parameters: the task would not be stale when it changes.
    """
    found: dict[str, None] = {}
    for number, line in enumerate(_lines(log), 1):
        try:
            entry = json.loads(line)
            if "section" in entry:
                _refuse_undeclared(task, str(entry["section"]))
            else:
                found[_name(homes.project, Path(entry["path"]))] = None
        except (ValueError, KeyError, TypeError):
            raise StageFailed(
                f"{task.spoken}: line {number} of its recorded reads is not readable; build again"
            ) from None
    reads = [name for name in found if not owns(task, name)]
    for name in reads:
        _refuse_undeclared_file(homes, task, name)
    return reads


def _refuse_undeclared_file(homes: Homes, task: Task, name: str) -> None:
    below = _below_artifacts(name)
    if below is None:
        return
    matched = [glob for glob in task.reads if patterns.matches(glob, below)]
    if not matched:
        raise StageFailed(
            f"{task.spoken} read {name}, which {MARKER} does not declare: add it to reads of {_place(task)}"
        )
    places = {homes.project.relative(home_of(homes, task, glob) / below) for glob in matched}
    if name not in places:
        raise StageFailed(
            f"{task.spoken} read {name}, but its evidence lies in {', '.join(sorted(places))}: let its code look where "
            "LIVINGPAPER_PUBLISHED says"
        )


def home_of(homes: Homes, task: Task, glob: str) -> Path:
    """The folder in which a glob that a task reads is looked up; only chapters read published evidence."""
    return homes.of(glob, task.scope) if task.kind is Kind.CHAPTER else homes.project.artifacts


def _refuse_undeclared(task: Task, section: str) -> None:
    if section not in task.sections:
        raise StageFailed(
            f"{task.spoken} read section {section} of the parameters, which {MARKER} does not declare: "
            f"add it to params of {_place(task)}"
        )


def _place(task: Task) -> str:
    return f"chapters.own.{task.name}" if task.source else f"stages, {task.name}"


def owns(task: Task, name: str) -> bool:
    """Whether a file, relative to the project, is one that the task writes itself."""
    below = _below_artifacts(name)
    return below is not None and any(patterns.matches(glob, below) for glob in task.writes)


def _below_artifacts(name: str) -> str | None:
    """A file's path below `artifacts/`, or below the publication that mirrors it; `None` if it is no artifact."""
    if name.startswith("artifacts/"):
        return name.removeprefix("artifacts/")
    published = _PUBLISHED.fullmatch(name)
    return published[1] if published and published[1] != "publication.json" else None


def _lines(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _name(project: Project, path: Path) -> str:
    """The recorded (resolved) path as the project calls it, also where `artifacts/` is a link to another disk."""
    real = project.artifacts.resolve()
    if path.is_relative_to(real):
        return "artifacts/" + path.relative_to(real).as_posix()
    return project.relative(path)
