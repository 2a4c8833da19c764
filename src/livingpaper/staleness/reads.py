"""What a task read, as its processes recorded it in the file named by `LIVINGPAPER_READS`."""

import json
import re
from pathlib import Path

from livingpaper import patterns
from livingpaper.errors import StageFailed
from livingpaper.project import MARKER, Project
from livingpaper.tasks import Task

_PUBLISHED = re.compile(r"results/[^/]+/(.+)")


def recorded_reads(project: Project, task: Task, log: Path) -> list[str]:
    """Files the task looked for, relative to the project, its own outputs left out.

    A file below `artifacts/` (or below a publication) that the workflow does not declare is an error: the order of
    tasks could not be right.
    """
    found: dict[str, None] = {}
    for number, line in enumerate(_lines(log), 1):
        try:
            path = json.loads(line)["path"]
        except (ValueError, KeyError, TypeError):
            raise StageFailed(
                f"{task.spoken}: line {number} of its recorded reads is not readable; build again"
            ) from None
        found[_name(project, Path(path))] = None
    reads = [name for name in found if not owns(task, name)]
    for name in reads:
        below = _below_artifacts(name)
        if below is not None and not any(patterns.matches(glob, below) for glob in task.reads):
            where = f"stages, {task.name}" if not task.source else f"chapters.own.{task.name}"
            raise StageFailed(f"{task.spoken} read {name}, which {MARKER} does not declare: add it to reads of {where}")
    return reads


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
