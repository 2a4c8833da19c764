"""Any window of a run again, bit for bit: watched step by step, and checked against every checkpoint it meets.

A replay begins at the nearest checkpoint and takes the steps the training took, by the same function. What is asked for
on the way is recorded by watchers (`formation.training.dense` has those of the `replay` command). Nothing the training
wrote is ever changed: replayed checkpoints lie in a folder of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.stage import load_for_run
from formation.errors import ArtifactError, TrainingError
from formation.model import Transformer
from formation.progress import track
from formation.training import checkpoints
from formation.training.checkpoints import Checkpoint
from formation.training.execution import Execution, choose_execution, deterministic
from formation.training.order import batch_indices
from formation.training.state import StepReport, Streams, TrainingState, order_seed, take_step, training_streams

FOLDER = "replay"


@dataclass(frozen=True)
class Taken:
    """One step of a replay: its report, its batch, and the clipped gradients the optimizer was given, by parameter.

    The gradients are the model's own and hold until the next step; copy what is to be kept.
    """

    report: StepReport
    indices: Int[np.ndarray, "batch"]
    tokens: Int[Tensor, "batch pos"]
    gradients: Mapping[str, Tensor]


class Watcher(Protocol):
    """Looks at a replay's steps; it must leave the state as it finds it."""

    def before(self, state: TrainingState) -> None:
        """Called before each step of the window, with the state it begins from."""

    def after(self, state: TrainingState, taken: Taken) -> None:
        """Called after each step of the window, with the state it led to."""


@dataclass(frozen=True)
class Replay:
    """A finished replay: the state after its last step, where it began, and the checkpoints it was found equal to."""

    state: TrainingState
    began: int
    compared: tuple[int, ...]


def replay(
    run: Run,
    first: int,
    last: int,
    watch: Sequence[Watcher] = (),
    streams: Streams | None = None,
    start: Checkpoint | None = None,
) -> Replay:
    """Take the run's steps `first` + 1 … `last` again, each under the eyes of `watch`.

    It begins from `start`, a state of the run no later than `first`, else from the run's nearest checkpoint; `streams`
    are those of the run's training split unless given. Wherever the run has a checkpoint, the state must equal it bit
    by bit. Raises `TrainingError` where it does not, for a window outside the run, and where this machine or these
    streams are not those of the training; `ArtifactError` where no checkpoint can be begun from.
    """
    require_window(run, first, last)
    start = start or checkpoints.load_checkpoint(run, max(s for s in checkpoints.steps(run) if s <= first))
    streams = streams or training_streams(load_for_run(run))
    how = choose_execution(run.params.training, start.about["execution"]["device"])
    _require_same_origin(run, start, how, streams)
    state, compared = checkpoints.restore(run, start, how), []
    there = set(checkpoints.steps(run))
    with deterministic(how), track(f"replay {run.name}", last - start.step, "steps") as bar:
        while state.step < last:
            report = _take(run, state, streams, how, watch if state.step >= first else ())
            if state.step in there:
                _require_equal(run, state, how)
                compared.append(state.step)
            bar.advance(note=f"loss {report.loss:.3f}")
    return Replay(state, start.step, tuple(compared))


def require_window(run: Run, first: int, last: int) -> None:
    """Refuse a window that the run's checkpoints do not span."""
    there = checkpoints.steps(run)
    if not there:
        raise ArtifactError(
            f"{run.path(checkpoints.FOLDER)}: run {run.name} has no checkpoints to replay from; "
            f"run: formation train --run {run.name}"
        )
    if not there[0] <= first < last <= there[-1]:
        raise TrainingError(
            f"window {first} to {last} of run {run.name}: expected {there[0]} <= --from < --to <= {there[-1]}, the "
            f"run's first and newest checkpoints; training.steps is {run.params.training.steps}, and what is missing "
            f"is made by: formation train --run {run.name}"
        )


def _take(run: Run, state: TrainingState, streams: Streams, how: Execution, watch: Sequence[Watcher]) -> StepReport:
    """One step, watched."""
    for watcher in watch:
        watcher.before(state)
    report = take_step(state, streams, run.params.training, run.seed, how)
    if watch:
        training = run.params.training
        indices = batch_indices(order_seed(training, run.seed), state.step, training.batch, len(streams.tokens))
        gradients = {name: p.grad for name, p in state.model.named_parameters() if p.grad is not None}
        taken = Taken(report, indices, streams.batch(indices), gradients)
        for watcher in watch:
            watcher.after(state, taken)
    return report


def _require_same_origin(run: Run, start: Checkpoint, how: Execution, streams: Streams) -> None:
    """Refuse other streams or another execution; nothing is to be moved away for the sake of a replay."""
    try:
        checkpoints.require_same_origin(run, start, how, streams.digest())
    except TrainingError as error:
        difference = str(error).rsplit("; ", 1)[0]
        raise TrainingError(
            f"{difference}; a replay would not give the same bytes: replay where and as the run was trained"
        ) from None


def _require_equal(run: Run, state: TrainingState, how: Execution) -> None:
    """Refuse to go on from a state that is not the run's checkpoint of its step."""
    stored = checkpoints.restore(run, checkpoints.load_checkpoint(run, state.step), how)
    name = first_difference(state, stored)
    if name is not None:
        raise TrainingError(
            f"{checkpoints.path(run, state.step)}: step {state.step}: {name} is not what the replay came to, bit for "
            f"bit; this checkpoint, or the one the replay began from, is not the training's own: move it away and "
            f"run: formation train --run {run.name}"
        )


def first_difference(ours: TrainingState, theirs: TrainingState) -> str | None:
    """Name of the first part in which two states of one run differ in any bit; nothing if they are equal."""
    if ours.tokens_seen != theirs.tokens_seen:
        return "tokens_seen"
    if not torch.equal(ours.generator.get_state(), theirs.generator.get_state()):
        return "generator"
    for (name, mine), other in zip(ours.model.named_parameters(), theirs.model.parameters(), strict=True):
        if not _same_bits(mine.detach(), other.detach()):
            return f"model.{name}"
        moments = theirs.optimizer.state[other]
        for kind, moment in moments.items():
            if not _same_bits(ours.optimizer.state[mine][kind], moment):
                return f"{kind}.{name}"
    return None


def _same_bits(ours: Tensor, theirs: Tensor) -> bool:
    """Equality that tells 0 from −0 and takes NaN for itself."""
    return torch.equal(ours.view(torch.int32), theirs.view(torch.int32))


# --- replayed checkpoints --------------------------------------------------------------------------------------------


def load_replayed(run: Run, step: int) -> Transformer:
    """The run's model after any step, in float32 on the CPU: from its checkpoint, or from a replayed one.

    Raises `ArtifactError` naming the command that makes it where there is neither.
    """
    there = checkpoints.steps(run)
    if step in there or not there or not there[0] < step < there[-1]:
        return checkpoints.load_model(run, step)  # where there is none, it names those that exist
    if step in replayed_steps(run):
        return checkpoints.load_model(dense(run), step)
    artifacts.record_read(checkpoints.path(dense(run), step))
    below = max(s for s in there if s < step)
    raise ArtifactError(
        f"{checkpoints.path(dense(run), step)}: no checkpoint of step {step}, neither the run's nor a replayed one; "
        f"run: formation replay --run {run.name} --from {below} --to {step} --every {step - below}"
    )


def replayed_steps(run: Run) -> list[int]:
    """Steps of the run's replayed checkpoints, in ascending order."""
    return checkpoints.steps(dense(run))


@dataclass(frozen=True)
class _Dense(Run):
    """A run seen with its replayed checkpoints in the place of its own: one form of file, kept apart."""

    def path(self, relative: str) -> Path:
        """A file of the replay folder, for one of the checkpoints folder."""
        return super().path(FOLDER + relative.removeprefix(checkpoints.FOLDER))


def dense(run: Run) -> Run:
    """The run with its replayed checkpoints in the place of its own, for the functions of `checkpoints`."""
    return _Dense(run.name, run.preset, run.seed, run.params, run.folder, run.root)
