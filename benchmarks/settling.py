"""Brings a grown paper into the state after a build, without waiting for hundreds of kernels.

The press itself judges, checks and writes every manifest; only what its jobs do is quicker: a stage runs in a forked
process, and a chapter is executed once and its outputs are handed to the other runs under their names. Nothing of this
is timed; what is timed afterwards is the real command on what lies there.
"""

import json
import os
import runpy
import shutil
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.growing import PRESET
from benchmarks.measuring import BenchmarkError
from livingpaper import render
from livingpaper.build import build
from livingpaper.execute.processes import Ended, Job, run_job
from livingpaper.pageprints import PagePrinter
from livingpaper.params import load_study
from livingpaper.press import prepare
from livingpaper.printing import Printing
from livingpaper.project import Project
from livingpaper.tasks import make_plan

RENDERER = "embedded"  # the one every machine has


def settle(root: Path, printed: bool = True) -> None:
    """Bring everything up to date; with `printed` only the first printing is made, the others get a copy of it."""
    project = Project(root)
    built = build(make_plan(project, load_study(root, PRESET)), 1, executor=StandIn())
    prepared = prepare(built)
    if printed:
        with patch.object(render, "render", _copying(render.render)):
            PagePrinter(built, prepared, RENDERER).render()
    if wrong := [*built.failures, *prepared.errors]:
        raise BenchmarkError(f"the grown paper does not build: {wrong[0]}")


class StandIn(Executor):
    """Carries out the jobs of a grown paper at once, leaving what they would have left."""

    def __init__(self) -> None:
        self._executed: dict[str, tuple[str, dict[str, Any], str]] = {}  # by chapter: run, notebook, record of reads

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """The future of a job that is done already."""
        future: Future[Any] = Future()
        job: Job = args[0]
        chapter = "livingpaper.execute.chapter" in job.command
        future.set_result(self._chapter(job) if chapter else _forked(job))
        return future

    def _chapter(self, job: Job) -> Ended:
        prepared, executed = map(Path, job.command[-2:])
        name, run = prepared.name.split(".")[1], prepared.parent.name
        log = Path(job.environment["LIVINGPAPER_READS"])
        if name not in self._executed:
            ended = run_job(job)
            if ended.code == 0:
                self._executed[name] = (run, json.loads(executed.read_text()), log.read_text())
            return ended
        first, notebook, reads = self._executed[name]
        outputs = json.dumps([cell.get("outputs") for cell in notebook["cells"]]).replace(first, run)
        made = json.loads(prepared.read_text())
        for cell, had, given in zip(made["cells"], notebook["cells"], json.loads(outputs), strict=True):
            if cell["cell_type"] == "code":
                cell |= {"outputs": given, "execution_count": had["execution_count"]}
        made["metadata"] |= {"language_info": notebook["metadata"]["language_info"]}
        executed.write_text(json.dumps(made))
        crossing = len({line.partition("/runs/")[2].partition("/")[0] for line in reads.splitlines()}) > 1
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(reads if crossing else reads.replace(first, run))
        return Ended(0, 1.0)


def _forked(job: Job) -> Ended:
    """A stage's `python -m module arguments` in a copy of this process, which has its imports already."""
    Path(job.log).parent.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1), os.dup2(log, 2)
            os.environ.update(job.environment)
            os.chdir(job.folder)
            sys.path.insert(0, str(Path(job.folder) / "src"))
            sys.argv = [job.command[2], *job.command[3:]]
            runpy.run_module(job.command[2], run_name="__main__", alter_sys=True)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return Ended(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0.1)


def _copying(really: Callable[..., None]) -> Callable[..., None]:
    """A renderer that makes the first printing, and gives the other runs a copy of it."""
    first: list[Path] = []

    def copy(root: Path, printing: Printing, renderer: str) -> None:
        if not first:
            really(root, printing, renderer)
            first.append(root / printing.output)
        else:
            shutil.copytree(first[0], root / printing.output, ignore=shutil.ignore_patterns("runs"))

    return copy
