"""What the sweeps over a run's checkpoints share: each is measured once, and stopping changes no byte.

A sweep keeps one file a checkpoint, written whole, with the finished row in its header. A row is finished when it was
made from the same parameters, benchmark, probe set, record parameters and checkpoint file; anything else that is found
is named and measured again, never mixed in.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from formation import artifacts
from formation.artifacts import Run
from formation.errors import ArtifactError
from formation.lock import only_one
from formation.progress import track
from formation.record.lines import AnyRow, Source, SweepRow
from formation.training import checkpoints
from formation.training.loop import is_complete


def checkpoint_digests(run: Run) -> dict[int, str]:
    """Digest of every scheduled checkpoint's file, by step; `ArtifactError` if training has not ended."""
    if not is_complete(run):
        there = checkpoints.steps(run)
        raise ArtifactError(
            f"{run.path(checkpoints.FOLDER)}: training is at step {there[-1] if there else 'none'} of "
            f"{run.params.training.steps}, expected all checkpoints; run: formation train --run {run.name}"
        )
    paths = {step: checkpoints.path(run, step) for step in checkpoints.schedule(run)}
    for path in paths.values():
        artifacts.record_read(path)
    return {step: artifacts.file_digest(path) for step, path in paths.items()}


@contextmanager
def only_sweep(run: Run, lock: str, folder: str) -> Iterator[None]:
    """Hold the lock of a kind of sweep, having deleted what a killed one left half-written in its folder."""
    with only_one(run, lock, "measured", ArtifactError):
        for file in run.path(folder).glob(".step_*.part"):
            file.unlink(missing_ok=True)
        yield


def finished_rows(
    run: Run,
    source: Source,
    digests: Mapping[int, str],
    path: Callable[[Run, int], Path],
    read: Callable[[Run, int], AnyRow],
    stale: Callable[[AnyRow], str] = lambda _: "",
) -> dict[int, AnyRow]:
    """Rows of the checkpoints finished from the same source, by step; what cannot be used is named, once a reason.

    `read` gives the row in the file at `path`, and `stale` says why a row of this very source cannot be used, empty
    where it can.
    """
    rows: dict[int, AnyRow] = {}
    reasons: dict[str, list[int]] = {}
    for step in digests:
        if not path(run, step).is_file():
            continue
        try:
            row = read(run, step)
            reason = _difference(row, run, step, source, digests[step]) or stale(row)
        except ArtifactError as error:
            reason = str(error)
        if reason:
            reasons.setdefault(reason, []).append(step)
        else:
            rows[step] = row
    for reason, steps in reasons.items():
        print(f"{run.name}: {len(steps)} checkpoint(s) from step {steps[0]} on are measured again: {reason}")
    return rows


def measure_rest(
    label: str, digests: Mapping[int, str], rows: dict[int, AnyRow], measure: Callable[[int], AnyRow]
) -> None:
    """Add to the finished rows those that `measure` makes of the other steps, one by one."""
    with one_thread(), track(label, len(digests), "checkpoints", start=len(rows)) as bar:
        for step in digests:
            if step not in rows:
                rows[step] = measure(step)
                bar.advance()


def _difference(row: SweepRow, run: Run, step: int, source: Source, checkpoint: str) -> str:
    """Why a whole file is not of this sweep, both sides named, empty if it is.

    The checkpoint's own digest is named only if nothing else is.
    """
    if (row.run, row.step, row.source, row.checkpoint) == (run.name, step, source, checkpoint):
        return ""
    then, now = row.source.model_dump(), source.model_dump()
    pairs = [f"{name} was {then[name][:12]}, now {now[name][:12]}" for name in then if then[name] != now[name]]
    if not pairs and row.checkpoint != checkpoint:
        return "the checkpoint's file has changed since"
    return ", ".join(pairs) or f"they are of run {row.run}"


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, so that the bytes do not depend on the machine's load or cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
