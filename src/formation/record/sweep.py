"""The `checkpoint-sweep` stage: every checkpoint measured, finished ones never again, one row each.

A checkpoint is finished when its file in `analysis/reads/` is whole and was made from the same parameters, benchmark,
probe set, record parameters and checkpoint file; anything else found there is named and measured again, never mixed
in. `checkpoint_metrics.jsonl` and its summary are assembled when all are finished, so they are complete or not there.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.stage import load_for_run
from formation.benchmark.streams import SplitName
from formation.errors import ArtifactError
from formation.lock import only_one
from formation.progress import track
from formation.record.frames import Frame, TwinFrame, frames, twin_frames
from formation.record.measure import measure
from formation.record.outcomes import TwinKey
from formation.record.probe_set import load_probe_set
from formation.record.reads import FOLDER as READS_FOLDER
from formation.record.reads import METRICS, load_outcomes, read_row, reads_path, write_reads
from formation.record.rows import Row, Source, as_json
from formation.record.sources import source_of
from formation.record.summarise import split_rows, twin_rows
from formation.record.summary import write_summary
from formation.training import checkpoints
from formation.training.loop import is_complete

LOCK = "logs/checkpoint_sweep.lock"


class Finished(Protocol):
    """What a row of any sweep says of where it came from."""

    run: str
    source: Source
    checkpoint: str


def checkpoint_sweep(run: Run) -> Path:
    """Measure every checkpoint of the run; return the path of `checkpoint_metrics.jsonl`.

    Raises `ArtifactError` or `TrainingError` where the benchmark, the probe set or a checkpoint cannot be used.
    """
    dataset, probe = load_for_run(run), load_probe_set(run)
    source = source_of(run, probe)
    digests = checkpoint_digests(run)
    steps = list(digests)
    with only_one(run, LOCK, "measured", ArtifactError):
        remove_leftovers(run.path(READS_FOLDER))
        finished = _finished(run, source, digests)
        split_frames, twins = frames(dataset, run.params.record), twin_frames(dataset, probe, run.params.record)
        with one_thread(), track(f"{run.name} sweep", len(steps), "checkpoints", start=len(finished)) as bar:
            for step in steps:
                if step not in finished:
                    finished[step] = _measure(run, step, source, digests[step], split_frames, twins)
                    bar.advance()
    rows = [finished[step] for step in steps]
    path = run.path(METRICS)
    artifacts.write_jsonl(path, map(as_json, rows))
    print(write_summary(run, rows, load_outcomes(run, rows[-1:])[0], split_frames, twins))
    return path


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


def _finished(run: Run, source: Source, digests: Mapping[int, str]) -> dict[int, Row]:
    """Rows of the checkpoints finished from the same source, by step; what cannot be used is named, once a reason."""
    rows: dict[int, Row] = {}
    reasons: dict[str, list[int]] = {}
    for step, checkpoint in digests.items():
        if not reads_path(run, step).is_file():
            continue
        try:
            row = read_row(run, step)
        except ArtifactError as error:
            reasons.setdefault(str(error), []).append(step)
            continue
        if (row.run, row.step, row.source, row.checkpoint) == (run.name, step, source, checkpoint):
            rows[step] = row
        else:
            reasons.setdefault(differences(row, source, checkpoint), []).append(step)
    for reason, steps in reasons.items():
        print(f"{run.name}: {len(steps)} checkpoint(s) from step {steps[0]} on are measured again: {reason}")
    return rows


def _measure(
    run: Run,
    step: int,
    source: Source,
    checkpoint: str,
    split_frames: Mapping[SplitName, Frame],
    twins: Mapping[TwinKey, TwinFrame],
) -> Row:
    """Measure one checkpoint, write it, and return its row as it reads back: then resuming cannot change a byte."""
    outcomes = measure(checkpoints.load_model(run, step), split_frames, twins, run.params.record.batch)
    row = Row(
        run=run.name,
        step=step,
        source=source,
        checkpoint=checkpoint,
        splits=split_rows(outcomes, split_frames),
        twins=twin_rows(outcomes, twins),
    )
    write_reads(run, outcomes, row)
    return read_row(run, step)


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed sweep left half-written; the caller holds the sweep's lock."""
    for file in folder.glob(".step_*.part"):
        file.unlink(missing_ok=True)


def differences(row: Finished, source: Source, checkpoint: str) -> str:
    """Why a whole file is not of this sweep, both sides named; the checkpoint's own digest only if nothing else is."""
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
