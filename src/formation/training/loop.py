"""The `train` stage of a run: from parameters and streams to checkpoints, a learning curve and `training.json`.

Whatever stops it, running it again goes on from the newest checkpoint and ends in the bytes an undisturbed training
would have written. Times go to `logs/`, outside the record.
"""

import resource
import time
from dataclasses import dataclass, field

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.stage import load_for_run
from formation.errors import ArtifactError
from formation.lock import only_training_of
from formation.progress import track
from formation.training import checkpoints, curve
from formation.training.execution import Execution, choose_execution, deterministic
from formation.training.state import Streams, TrainingState, architecture, initial_state, take_step, training_streams

RECORD, SCHEMA = "training.json", "training/1"
TIMING, TIMING_SCHEMA = "logs/training_timing.json", "training-timing/1"


def train(run: Run, device: str = "cpu") -> None:
    """Train the run's model on its benchmark's training split, or finish a training that was stopped."""
    if not _is_done(run):
        train_on(run, training_streams(load_for_run(run)), device)


def train_on(run: Run, streams: Streams, device: str = "cpu") -> None:
    """`train` on streams given by the caller."""
    how = choose_execution(run.params.training, device)
    with only_training_of(run), deterministic(how):
        if _is_done(run):  # by another process, since we last looked
            return
        _remove_leftovers(run)
        digest = streams.digest()
        state = _resumed(run, how, digest) or initial_state(run.params, run.seed, how)
        clock = _Clock(first_step=state.step)
        _take_steps(run, state, streams, how, digest)
        _write_record(run, state, how, digest)
        _write_timing(run, state, clock)


def is_complete(run: Run) -> bool:
    """Whether the run's training has ended and every scheduled checkpoint is there."""
    return run.path(RECORD).is_file() and set(checkpoints.schedule(run)) <= set(checkpoints.steps(run))


def _is_done(run: Run) -> bool:
    done = is_complete(run)
    if done:
        print(f"{run.name}: training is complete ({run.params.training.steps} steps); nothing to do")
    return done


def _take_steps(run: Run, state: TrainingState, streams: Streams, how: Execution, digest: str) -> None:
    """Take the steps that are left, with a row of the curve and a checkpoint where they are due."""
    training, due = run.params.training, set(checkpoints.schedule(run))
    with (
        curve.curve_from(run.path(curve.FILE), state.step, training.log_every) as rows,
        track(f"train {run.name}", training.steps, "steps", start=state.step) as tracker,
    ):
        if state.step == 0:
            checkpoints.save_checkpoint(run, state, how, digest)
        while state.step < training.steps:
            report = take_step(state, streams, training, run.seed, how)
            rows.add(report)
            if state.step in due:
                rows.flush()  # a checkpoint must never be ahead of the curve it resumes
                checkpoints.save_checkpoint(run, state, how, digest)
            tracker.advance(note=f"loss {report.loss:.3f}")


def _resumed(run: Run, how: Execution, digest: str) -> TrainingState | None:
    """The newest state to go on from: no scheduled checkpoint before it is missing, and its curve is whole."""
    there = set(checkpoints.steps(run))
    rows = len(curve.whole_lines(run.path(curve.FILE), run.params.training.log_every))
    candidates = []
    for step in checkpoints.schedule(run):
        if step not in there or curve.logged_rows(step, run.params.training.log_every) > rows:
            break
        candidates.append(step)
    for step in reversed(candidates):
        try:
            checkpoint = checkpoints.load_checkpoint(run, step)
        except ArtifactError as error:
            print(f"{run.name}: not resumed from step {step}: {error}")
            continue
        checkpoints.require_same_origin(run, checkpoint, how, digest)
        print(f"{run.name}: resumed from step {step}")
        return checkpoints.restore(run, checkpoint, how)
    return None


def _remove_leftovers(run: Run) -> None:
    """Delete what a killed training left half-written, and the record of one whose checkpoints are no longer whole."""
    run.path(RECORD).unlink(missing_ok=True)
    for folder, names in (
        (run.path(checkpoints.FOLDER), ".step_*.part"),
        (run.folder, f".{curve.FILE}.*.part"),
        (run.folder, f".{RECORD}.*.part"),
    ):
        for file in folder.glob(names):
            file.unlink(missing_ok=True)


def _write_record(run: Run, state: TrainingState, how: Execution, digest: str) -> None:
    """Write `training.json`, the last file of a training: what was trained, how, and on what."""
    record = {
        "schema": SCHEMA,
        "run": run.name,
        "steps": state.step,
        "checkpoints": len(checkpoints.schedule(run)),
        "parameters": sum(parameter.numel() for parameter in state.model.parameters()),
        "tokens_seen": state.tokens_seen,
        "params_digest": run.params.identity(run.seed),
        "data_digest": digest,
        "architecture": architecture(run.params),
        **how.as_dict(),
    }
    artifacts.write_json(run.path(RECORD), record)


@dataclass(frozen=True)
class _Clock:
    """When this process began to train, and at which step."""

    first_step: int
    wall: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=time.process_time)


def _write_timing(run: Run, state: TrainingState, clock: _Clock) -> None:
    """Write what this process took: seconds, steps a second, peak memory in MiB; never part of the record."""
    wall, cpu = time.perf_counter() - clock.wall, time.process_time() - clock.cpu
    taken = state.step - clock.first_step
    timing = {
        "schema": TIMING_SCHEMA,
        "first_step": clock.first_step,
        "last_step": state.step,
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "steps_per_second": taken / wall,
        "cpu_seconds_per_step": cpu / max(taken, 1),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    artifacts.write_json(run.path(TIMING), timing)
    print(f"{run.name}: {taken} steps in {wall:.1f} s ({taken / wall:.1f} steps/s, {cpu:.1f} CPU-s)")
