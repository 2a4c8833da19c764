"""What a killed build leaves half-written is removed; nothing of it ever counted as an output."""

import re
import shutil
from pathlib import Path, PurePosixPath

from livingpaper import patterns
from livingpaper.project import Project
from livingpaper.tasks import Task

_PART = re.compile(r"\.(?P<name>.+?)(?:\.\w{8})?\.part")  # of an atomic write to `name`
_SCRATCH = (
    "chapters/*/.*.ipynb",  # of a chapter being executed
    "chapters/*/.*.error",
    "logs/*/*.progress.*",
    "jupyter/runtime/*",  # connections and sockets of kernels
    "print/runs-*",
)


def sweep_build(project: Project) -> None:
    """Remove what an earlier build left half-written below `build/`; to be called by who holds its lock."""
    for folder in ("manifests", "chapters", "print"):
        for path in (project.build / folder).rglob(".*.part"):
            path.unlink(missing_ok=True)
    for pattern in (".*.part", *_SCRATCH):
        for path in project.build.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def sweep_outputs(project: Project, task: Task, outputs: dict[str, str]) -> None:
    """Remove what killed executions of a task left half-written beside its outputs.

    To be called once it came to its end: then nothing else is writing them.
    """
    for folder in {PurePosixPath(name).parent for name in outputs}:
        for path in (project.root / folder).glob(".*.part"):
            if _would_be(path, folder, task):
                path.unlink(missing_ok=True)


def _would_be(path: Path, folder: PurePosixPath, task: Task) -> bool:
    """Whether a half-written file would have become an output of the task."""
    match = _PART.fullmatch(path.name)
    if match is None:
        return False
    names = {match["name"], path.name.removeprefix(".").removesuffix(".part")}
    below = folder.relative_to("artifacts")
    return any(patterns.matches(glob, str(below / name)) for glob in task.writes for name in names)
