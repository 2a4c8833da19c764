"""Whether today's code would still make what was published: stage by stage, by the same digests that decide staleness.

Only what makes results counts: command, parameters, code (comments apart), packages. The machine does not: that a run
was computed elsewhere is why it was published.
"""

import sys
from dataclasses import dataclass
from enum import StrEnum

from livingpaper.errors import ParamsError, WorkflowError
from livingpaper.files import digest
from livingpaper.params import Study, load_study, split_run
from livingpaper.project import Project
from livingpaper.published.publication import Publication, PublishedStage
from livingpaper.staleness.differences import changed_input
from livingpaper.staleness.manifest import Inputs
from livingpaper.staleness.memo import Memo
from livingpaper.staleness.verdict import Authority
from livingpaper.tasks import make_plan

COUNTS = ("command", "environment", "params", "runs", "packages")  # beside the code
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class State(StrEnum):
    """How published evidence stands to today's code."""

    CURRENT = "current"
    EARLIER = "made by an earlier version"
    UNKNOWN = "cannot be compared"


@dataclass(frozen=True)
class Standing:
    """The state, and in words what differs."""

    state: State
    reason: str = ""

    @property
    def sentence(self) -> str:
        """One sentence for the reader."""
        if self.state is State.CURRENT:
            return "Today’s code would still produce it."
        if self.state is State.EARLIER:
            return f"Made by an earlier version: {self.reason}."
        return f"Whether today’s code would still produce it cannot be told: {self.reason}."


def standing(project: Project, publication: Publication, memo: Memo) -> Standing:
    """How a publication stands to the sources as they are now."""
    made_with = publication.machine.get("python", "?")
    if made_with != PYTHON:
        return Standing(State.UNKNOWN, f"it was made with Python {made_with}, this is {PYTHON}")
    try:
        plan = make_plan(project, _study(project, publication))
        authority = Authority(plan, memo)
        for name, stage in publication.stages.items():
            task = plan.tasks.get(f"{publication.name}/{name}")
            if task is None:
                return Standing(State.EARLIER, f"stage {name} is no longer part of the workflow")
            reason = _difference(publication, stage, authority.inputs(task))
            if reason is not None:
                return Standing(State.EARLIER, f"{reason} (stage {name})")
    except (ParamsError, WorkflowError) as error:
        return Standing(State.EARLIER, str(error))
    return Standing(State.CURRENT)


def _study(project: Project, publication: Publication) -> Study:
    """The study as its preset says today, with a published run even if its seed is no longer listed."""
    if not publication.is_run:
        return load_study(project.root, publication.preset)
    preset, _ = split_run(project.root, publication.name)
    study = load_study(project.root, preset)
    runs = study.runs if publication.name in study.runs else (*study.runs, publication.name)
    return Study(preset, study.params, runs)


def _difference(publication: Publication, stage: PublishedStage, now: Inputs) -> str | None:
    """The first difference between what a stage ran on and what it would run on today."""
    reason = changed_input(counted(stage.inputs), counted(now))
    if reason is not None or stage.code == digest(now["code"]):
        return reason
    before = {name: value for name, value in publication.modules.items() if name in now["code"]}
    return changed_input({"code": before}, {"code": now["code"]}) or "its imports changed"


def counted(inputs: Inputs) -> Inputs:
    """The inputs that decide whether the same would be made, code apart."""
    return {kind: inputs.get(kind, {}) for kind in COUNTS}
