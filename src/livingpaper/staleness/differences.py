"""What differs between two states of a task, in words for `livingpaper explain` and the build's log."""

from collections.abc import Iterable, Mapping

from livingpaper import patterns
from livingpaper.staleness.manifest import Inputs
from livingpaper.tasks import Task

PROSE = "only the text around its cells changed"
_SPOKEN = {
    "command": "its command changed",
    "environment": "variable {name} of its environment changed",
    "params": "parameters in section {name} changed",
    "runs": "the runs of the study changed: {name}",
    "homes": "the evidence of {name} was read from {old} and is now read from {new}",
    "cells": "its code cells changed",
    "code": "module {name} changed",
    "data": "src/{name}, a file beside the modules it imports, changed",
    "packages": "package {name} went from {old} to {new}",
    "machine": "the {name} changed from {old} to {new}",
    "names": "the files that artifacts/{name} matches changed",
}


def changed_input(old: Inputs, new: Inputs) -> str | None:
    """The first difference between two sets of inputs."""
    for kind, sentence in _SPOKEN.items():
        before, now = old.get(kind, {}), new.get(kind, {})
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) == now.get(name):
                continue
            if kind == "code" and name not in before:
                sentence = "module {name} is now among its imports"
            elif kind == "code" and name not in now:
                sentence = "module {name} is no longer imported"
            absent = "artifacts" if kind == "homes" else "absent"
            return sentence.format(name=name, old=before.get(name, absent), new=now.get(name, absent))
    return None


def changed_read(name: str, before: str | None, now: str | None) -> str:
    """How a file that a task looked for differs from what it was."""
    what = "appeared" if before is None else "is gone" if now is None else "changed"
    return f"{name}, which it {'looked for' if before is None else 'read'}, {what}"


def damaged_outputs(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Outputs that are not what a task left: edited, gone, or appeared among its own."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def damage(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """How an output is damaged."""
    what = "is gone" if name not in now else "appeared beside it" if name not in before else "is not as it left it"
    return f"its output {name} {what}"


def unwritten(task: Task, outputs: Iterable[str]) -> str | None:
    """The first pattern of what the task writes that none of its outputs matches."""
    below = [name.removeprefix("artifacts/") for name in outputs]
    return next((glob for glob in task.writes if not any(patterns.matches(glob, name) for name in below)), None)


def executed(inputs: Inputs) -> Inputs:
    """Inputs without the text around a chapter's cells, which nothing executes."""
    cells = {name: value for name, value in inputs.get("cells", {}).items() if name != "prose"}
    return {**inputs, "cells": cells}


def own_inputs(inputs: Inputs) -> Inputs:
    """What of those no other task can change."""
    return {**executed(inputs), "names": {}}
