"""Outputs that must not be gone on from are moved out of the way, into `build/set-aside/`; nothing is deleted."""

import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from livingpaper.project import Project
from livingpaper.staleness.verdict import Origin, Verdict
from livingpaper.tasks import Task, shared


def unfit_outputs(task: Task, verdict: Verdict, outputs: Iterable[str], anew: bool = False) -> list[str]:
    """Outputs to set aside before the task runs: damaged ones, and all of another origin if it continues.

    With `anew` all are: going on from them was tried and did not lead to the end. Sound files shared with other runs
    stay in any case.
    """
    existing = list(outputs)
    all_of_them = anew or (task.continues and verdict.origin is Origin.OTHER)
    own = [name for name in existing if all_of_them and not shared(name.removeprefix("artifacts/"))]
    return sorted({*own, *(name for name in existing if name in verdict.damaged)})


def set_aside(project: Project, task: Task, names: Iterable[str]) -> Path | None:
    """Move files of a task away; the folder they are kept in, or `None` if there were none."""
    present = [name for name in names if (project.root / name).is_file()]
    if not present:
        return None
    base = project.build / "set-aside" / task.scope / task.name / datetime.now().strftime("%Y%m%d-%H%M%S")
    place = next(path for number in range(1, 10_000) if not (path := base.with_name(f"{base.name}-{number}")).exists())
    for name in present:
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(project.root / name, target)
    return place
