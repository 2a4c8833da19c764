"""`formation screen`: everything a factor's comparison lacks, run after run, then the comparison.

Each run goes through the stages that date behaviour, in order. A stage that was finished is not done again: trainings
and sweeps resume where they stopped, so a screen may be interrupted at any time and started again. `artifacts/` is
written as single commands would write it; a build of the paper leaves these runs alone.
"""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from formation import presets
from formation.artifacts import Run, create_run, open_run, read_json
from formation.benchmark.stage import generate_for_run, load_for_run
from formation.errors import ArtifactError, FormationError
from formation.progress import track
from formation.record.evidence import FILE as EVIDENCE
from formation.record.evidence import SCHEMA as EVIDENCE_SCHEMA
from formation.record.probe_set import generate_probe_set
from formation.record.sweep import checkpoint_sweep
from formation.record.windows import analyze_birth_windows
from formation.replication.factors import compare_factor
from formation.replication.levels import load_factor
from formation.training.loop import train


def screen(factor: str, jobs: int = 1, root: Path | None = None) -> Path:
    """Run what is missing of a factor's runs, `jobs` at a time, compare, and return the path of the screen."""
    if not 1 <= jobs <= 256:
        raise FormationError(f"--jobs {jobs}: expected 1 to 256")
    root = root or presets.project_root()
    runs = missing_runs(factor, root)
    if jobs == 1:
        for number, name in enumerate(runs, 1):
            print(f"screen {factor}: run {number} of {len(runs)}: {name}", flush=True)
            run_stages(name, root)
    elif runs:
        _side_by_side(factor, runs, jobs, root)
    return compare_factor(factor, root)


def missing_runs(factor: str, root: Path) -> list[str]:
    """Runs of a factor and its baseline without evidence of today's parameters; all first seeds come first.

    So a screen that is interrupted has runs of every level.
    """
    levels = load_factor(factor, root).all
    runs = sorted((place, number, run) for number, level in enumerate(levels) for place, run in enumerate(level.runs))
    return [run for _, _, run in runs if not has_evidence(open_run(run, root))]


def has_evidence(run: Run) -> bool:
    """Whether a run was analysed here, with the parameters it has now."""
    try:
        data = read_json(run.path(EVIDENCE), EVIDENCE_SCHEMA)
    except ArtifactError:
        return False
    return bool(data["source"]["params"] == run.params.identity(run.seed))


def run_stages(name: str, root: Path) -> None:
    """Every stage of one run that the dates of its behaviour need."""
    run = create_run(name, root)
    try:
        load_for_run(run)
    except ArtifactError:
        generate_for_run(run)
    train(run)
    generate_probe_set(run)
    checkpoint_sweep(run)
    analyze_birth_windows(run)


def _side_by_side(factor: str, runs: Sequence[str], jobs: int, root: Path) -> None:
    """Run several at once, each in a process of its own; the first that fails ends the screen when the others end."""
    fresh = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    with (
        ProcessPoolExecutor(jobs, mp_context=fresh, initializer=_silence) as pool,
        track(f"screen {factor}", len(runs), "runs") as bar,
    ):
        waiting = {pool.submit(run_stages, run, root): run for run in runs}
        for done in as_completed(waiting):
            try:
                done.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            bar.advance(note=waiting[done])


def _silence() -> None:
    """Say nothing: the bars of several runs would run into each other."""
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (as long as the process lives)
