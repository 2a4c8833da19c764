"""Outputs that must not be gone on from are moved out of the way, into `build/set-aside/`; nothing is deleted."""

import shutil
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from livingpaper.errors import StageFailed
from livingpaper.project import Project
from livingpaper.staleness.verdict import Origin, Verdict
from livingpaper.tasks import Task, shared


class Unknown(StrEnum):
    """What to do with outputs that no build made, of a stage that would go on from them."""

    REFUSE = "refuse"  # fail the stage and ask
    ADOPT = "adopt"  # go on from them
    ANEW = "anew"  # set them aside


def refuse_unknown(task: Task, verdict: Verdict, outputs: Iterable[str], unknown: Unknown) -> None:
    """Fail a stage that would go on from files of which nobody knows what code made them, unless somebody decided."""
    found = sorted(outputs)
    if task.continues and verdict.origin is Origin.UNKNOWN and found and unknown is Unknown.REFUSE:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise StageFailed(
            f"{task.spoken}: {found[0]}{more} were made outside of any build, by code nobody knows; build with "
            "--unknown adopt to go on from them, or with --unknown anew to set them aside and begin anew"
        )


def unfit_outputs(
    task: Task, verdict: Verdict, outputs: Iterable[str], unknown: Unknown, anew: bool = False
) -> list[str]:
    """Outputs to set aside before the task runs: damaged ones, and all of another origin if it continues.

    With `anew` all are: going on from them was tried and did not lead to the end. Sound files shared with other runs
    stay in any case.
    """
    existing = list(outputs)
    foreign = {Origin.OTHER} | ({Origin.UNKNOWN} if unknown is Unknown.ANEW else set())
    all_of_them = anew or (task.continues and verdict.origin in foreign)
    own = [name for name in existing if all_of_them and not shared(name.removeprefix("artifacts/"))]
    return sorted({*own, *(name for name in existing if name in verdict.damaged)})


def set_aside(project: Project, task: Task, names: Iterable[str]) -> str:
    """Move files of a task away; a remark on how many and where to, empty if there were none."""
    present = [name for name in names if (project.root / name).is_file()]
    if not present:
        return ""
    base = project.build / "set-aside" / task.scope / task.name / datetime.now().strftime("%Y%m%d-%H%M%S")
    free = (base.with_name(f"{base.name}-{number}") for number in range(1, 10_000))
    place = next(path for path in free if not path.exists())
    for name in present:
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(project.root / name, target)
    return f"{len(present)} file{'s' * (len(present) > 1)} set aside in {project.relative(place)}"
