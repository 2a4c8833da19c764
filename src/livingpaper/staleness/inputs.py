"""Everything known before a task runs that its results depend on: command, parameters, code, packages, machine."""

import platform
import sys

from livingpaper.errors import WorkflowError
from livingpaper.project import MARKER
from livingpaper.staleness.cells import read_cells
from livingpaper.staleness.imports import CodeIndex
from livingpaper.staleness.manifest import Inputs
from livingpaper.staleness.memo import Memo
from livingpaper.staleness.packages import Lock
from livingpaper.tasks import Kind, Plan, Task
from livingpaper.validation import nearest


def gather_inputs(plan: Plan, task: Task, code: CodeIndex, lock: Lock, memo: Memo) -> Inputs:
    """The inputs of a task that are no artifacts, by kind and name; an unusable module or notebook is an error."""
    roots, cells = _roots(plan, task, code, memo)
    closure = code.closure(roots)
    study = task.study
    crossing = task.scope == study.preset or any(_other_run(glob, task.scope) for glob in task.reads)
    return {
        "command": {"command": " ".join(task.command)},
        "environment": dict(plan.workflow.environment),
        "params": study.sections(task.sections),
        "runs": dict.fromkeys(study.runs, "") if crossing else {},
        "homes": plan.homes.told(task.reads, task.scope) if task.kind is Kind.CHAPTER else {},
        "cells": cells,
        "code": closure.modules,
        "data": closure.data,
        "packages": lock.entries(closure.outside),
        "machine": {"processor": platform.machine(), "python": f"{sys.version_info.major}.{sys.version_info.minor}"},
    }


def _roots(plan: Plan, task: Task, code: CodeIndex, memo: Memo) -> tuple[list[str], dict[str, str]]:
    """The modules a task's code begins with, and for a chapter the digests of its cells."""
    if task.kind is Kind.CHAPTER:
        notebook = read_cells(plan.project.root / task.source, task.source, memo)
        return code.imported_by(notebook.reading), {"code": notebook.code, "prose": notebook.prose}
    if code.file(task.module) is None:
        known = sorted(code.packages)
        raise WorkflowError(
            f"{MARKER}: stage {task.name}: module {task.module!r} is not below src/; "
            f"packages there: {', '.join(known)}{nearest(task.module.split('.')[0], known)}"
        )
    return [task.module], {}


def _other_run(glob: str, scope: str) -> bool:
    return glob.startswith("runs/") and not glob.startswith(f"runs/{scope}/")
