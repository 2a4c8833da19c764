"""Whether today's code would still make what was published: stage by stage, by the same digests that decide staleness.

Compared is every stage that writes a published file, and every stage before it, of whatever run: command, parameters,
code (comments apart), data beside it, packages, and files the stages read that no stage writes. The machine does not
count: that a run was computed elsewhere is why it was published.
"""

import sys
from dataclasses import dataclass
from enum import StrEnum

from livingpaper.errors import PressError
from livingpaper.files import digest
from livingpaper.params import load_study
from livingpaper.project import Project
from livingpaper.published.publication import Publication, PublishedStage
from livingpaper.published.studies import with_run
from livingpaper.staleness.differences import changed_input, changed_read
from livingpaper.staleness.manifest import Inputs
from livingpaper.staleness.memo import Memo
from livingpaper.staleness.verdict import Authority
from livingpaper.tasks import Plan, make_plan

COUNTS = ("command", "environment", "params", "runs", "data", "packages")  # beside the code
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


class Comparison:
    """Publications of one project against its sources as they are now; each preset is planned once."""

    def __init__(self, project: Project, memo: Memo) -> None:
        self._project = project
        self._memo = memo
        self._authorities: dict[tuple[str, str], Authority] = {}

    def standing(self, publication: Publication) -> Standing:
        """How a publication stands to today's sources."""
        made_with = publication.machine.get("python", "?")
        if made_with != PYTHON:
            return Standing(State.UNKNOWN, f"it was made with Python {made_with}, this is {PYTHON}")
        try:
            reason = self._difference(publication)
        except PressError as error:
            reason = str(error)
        return Standing(State.CURRENT) if reason is None else Standing(State.EARLIER, reason)

    def _difference(self, publication: Publication) -> str | None:
        """The first difference between what it was made from and what it would be made from today."""
        authority = self._authority(publication)
        plan = authority.plan
        for file in publication.files:
            if not plan.writers.of(file):
                return f"no stage writes {file} any more"
        needed = before(plan, [task.id for file in publication.files for task in plan.writers.of(file)])
        for name in [*publication.stages, *(name for name in needed if name not in publication.stages)]:
            stage, task = publication.stages.get(name), plan.tasks.get(name)
            if task is None:
                return f"stage {name} is no longer part of the workflow"
            if stage is None:
                return f"stage {name} was not part of it"
            reason = _stage_difference(publication, stage, authority.inputs(task))
            if reason is not None:
                return f"{reason} (stage {task.name})"
        now = {name: self._memo.digest(self._project.root / name) for name in publication.reads if _is_source(name)}
        other = next((name for name, digest_ in now.items() if digest_ != publication.reads[name]), None)
        return changed_read(other, publication.reads[other], now[other]) if other else None

    def _authority(self, publication: Publication) -> Authority:
        """The authority on today's study of a publication's preset, with its run even if no seed names it any more."""
        study = load_study(self._project.root, publication.preset)
        if publication.is_run:
            study = with_run(study, publication.name)
        key = (publication.preset, "" if len(study.runs) == len(study.params["seeds"]) else publication.name)
        if key not in self._authorities:
            self._authorities[key] = Authority(make_plan(self._project, study), self._memo)
        return self._authorities[key]


def before(plan: Plan, names: list[str]) -> list[str]:
    """Some tasks and all that come before them, in the plan's order."""
    waiting, found = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += plan.needs[name]
    return [name for name in plan.tasks if name in found]


def _stage_difference(publication: Publication, stage: PublishedStage, now: Inputs) -> str | None:
    """The first difference between what a stage ran on and what it would run on today."""
    reason = changed_input(counted(stage.inputs), counted(now))
    if reason is not None or stage.code == digest(now["code"]):
        return reason
    known = {name: value for name, value in publication.modules.items() if name in now["code"]}
    return changed_input({"code": known}, {"code": now["code"]}) or "its imports changed"


def counted(inputs: Inputs) -> Inputs:
    """The inputs that decide whether the same would be made, code apart."""
    return {kind: inputs.get(kind, {}) for kind in COUNTS}


def _is_source(name: str) -> bool:
    """Whether a recorded read is a file of the project, and no artifact."""
    return not name.startswith("artifacts/")
