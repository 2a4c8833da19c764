"""The `checkpoint-sweep` stage: every checkpoint measured, finished ones never again, one row each.

A checkpoint is finished when its file in `analysis/reads/` is whole and was made from the same parameters, benchmark,
probe set, record parameters and checkpoint file; anything else found there is named and measured again, never mixed
in. `checkpoint_metrics.jsonl` and its summary are assembled when all are finished, so they are complete or not there.
"""

from collections.abc import Mapping
from pathlib import Path

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.stage import load_for_run
from formation.benchmark.streams import SplitName
from formation.record.frames import Frame, TwinFrame, frames, twin_frames
from formation.record.lines import Source
from formation.record.measure import measure
from formation.record.outcomes import TwinKey
from formation.record.probe_set import load_probe_set
from formation.record.reads import FOLDER as READS_FOLDER
from formation.record.reads import METRICS, load_outcomes, read_row, reads_path, write_reads
from formation.record.resumable import checkpoint_digests, finished_rows, measure_rest, only_sweep
from formation.record.rows import Row, as_json
from formation.record.sources import source_of
from formation.record.summarise import split_rows, twin_rows
from formation.record.summary import write_summary
from formation.training import checkpoints

LOCK = "logs/checkpoint_sweep.lock"


def checkpoint_sweep(run: Run) -> Path:
    """Measure every checkpoint of the run; return the path of `checkpoint_metrics.jsonl`.

    Raises `ArtifactError` or `TrainingError` where the benchmark, the probe set or a checkpoint cannot be used.
    """
    dataset, probe = load_for_run(run), load_probe_set(run)
    source = source_of(run, probe)
    digests = checkpoint_digests(run)
    with only_sweep(run, LOCK, READS_FOLDER):
        finished = finished_rows(run, source, digests, reads_path, read_row)
        split_frames, twins = frames(dataset, run.params.record), twin_frames(dataset, probe, run.params.record)
        measure_rest(
            f"{run.name} sweep",
            digests,
            finished,
            lambda step: _measure(run, step, source, digests[step], split_frames, twins),
        )
    path, rows = run.path(METRICS), [finished[step] for step in digests]
    artifacts.write_jsonl(path, map(as_json, rows))
    print(write_summary(run, rows, load_outcomes(run, rows[-1:])[0], split_frames, twins))
    return path


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
