"""The `replay` command: denser checkpoints and a trace of single steps, in the run's `replay/` folder.

Files: `step_001010.safetensors`, of the form of a checkpoint (`checkpoint/1`), and `trace_<from>_<to>.jsonl`
(`replay-trace/1`). The rows of a trace that is not finished stand in `trace_<from>_<to>.part.jsonl`; they are on disk
before the checkpoint behind them, so that a replay that was stopped goes on from the newest one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.stage import load_for_run
from formation.errors import ArtifactError, TrainingError, shown
from formation.lock import only_one
from formation.training import checkpoints
from formation.training.checkpoints import Checkpoint
from formation.training.execution import Execution, choose_execution
from formation.training.replay import FOLDER, Taken, dense, replay, replayed_steps, require_window
from formation.training.state import Streams, TrainingState, training_streams
from formation.training.trace import SCHEMA, Trace

LOCK = "logs/replay.lock"


class Record(StrEnum):
    """What a trace tells of each step."""

    LOSSES = "losses"  # loss, gradient norm, rate, tokens
    GRADIENTS = "gradients"  # these, and the update beside the gradient, by group of parameters


def records(text: str) -> list[Record]:
    """What `--record` names, in words with commas between them; `TrainingError` for any other word."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in list(Record):
            raise TrainingError(f"--record {shown(text)}: {word!r} is none of: {', '.join(Record)}")
    return [Record(word) for word in words]


def replay_window(
    run: Run,
    first: int,
    last: int,
    every: int | None = None,
    record: Collection[Record] = (),
    streams: Streams | None = None,
) -> None:
    """Replay steps `first` + 1 … `last`; keep a checkpoint each `every` steps and a trace of what `record` names.

    What is there already is not made again; without `every` and `record` the steps are only compared with the run's
    checkpoints. Raises what `formation.training.replay.replay` does.
    """
    require_window(run, first, last)
    if every is not None and every < 1:
        raise TrainingError(f"--every {every}: expected 1 or more, the steps between two replayed checkpoints")
    due = _due(run, first, last, every)
    with only_one(run, LOCK, "replayed", TrainingError):
        _remove_leftovers(run)
        missing = [step for step in due if not _is_whole(run, step)]
        trace = _TraceFile(run, first, last, Record.GRADIENTS in record)
        rows = None if not record or trace.is_complete() else trace.rows_so_far()
        if (due or record) and not missing and rows is None:
            print(f"{run.name}: steps {first} to {last} have been replayed; nothing to do")
            return
        _go_on(run, missing, trace, rows, streams or training_streams(load_for_run(run)))


# --- what is there, and what is to be made ---------------------------------------------------------------------------


def _due(run: Run, first: int, last: int, every: int | None) -> list[int]:
    """Steps of the window that get a replayed checkpoint: each `every` from `first` on, and `last`.

    Those that have one of the run's own get none.
    """
    if every is None:
        return []
    return sorted({*range(first, last, every), last} - set(checkpoints.steps(run)))


def _is_whole(run: Run, step: int) -> bool:
    """Whether a step's replayed checkpoint is there and can be loaded; a damaged one is named."""
    if not checkpoints.path(dense(run), step).is_file():
        return False
    try:
        checkpoints.load_checkpoint(dense(run), step)
    except ArtifactError as error:
        print(f"{run.name}: replayed again: {str(error).rsplit('; ', 1)[0]}")
        return False
    return True


@dataclass(frozen=True)
class _TraceFile:
    """The trace of a window; one with `gradients` also serves where they are not asked for."""

    run: Run
    first: int
    last: int
    gradients: bool

    @property
    def path(self) -> Path:
        """The finished trace."""
        return self.run.path(f"{FOLDER}/trace_{self.first:06d}_{self.last:06d}.jsonl")

    @property
    def part(self) -> Path:
        """The rows of a trace that is not finished."""
        return self.path.with_suffix(".part.jsonl")

    def is_complete(self) -> bool:
        """Whether every row asked for is there; a damaged trace is named, and made again."""
        return len(self._rows(self.path)) == self.last - self.first

    def rows_so_far(self) -> list[dict[str, Any]]:
        """Rows from the window's beginning on that an earlier replay left."""
        return self._rows(self.part)

    def _rows(self, path: Path) -> list[dict[str, Any]]:
        if not path.is_file():
            return []
        try:
            rows = artifacts.read_jsonl(path, SCHEMA)
        except ArtifactError as error:
            print(f"{self.run.name}: traced again: {str(error).rsplit('; ', 1)[0]}")
            return []
        steps = list(range(self.first + 1, self.first + 1 + len(rows)))
        whole = [row["step"] for row in rows] == steps and all("groups" in row or not self.gradients for row in rows)
        return rows if whole else []


# --- making it -------------------------------------------------------------------------------------------------------


class _Keeper:
    """The watcher that writes what is missing: rows of the trace behind `traced`, and the checkpoints of `missing`."""

    def __init__(self, run: Run, missing: Collection[int], start: Checkpoint, file: _TraceFile, trace: Trace | None):
        self.run, self.missing, self.file, self.trace = run, missing, file, trace
        self.traced = file.last if trace is None else file.first + len(trace.rows)
        self.resumable = {*missing, *checkpoints.steps(run)}  # steps that a replay can begin from
        self.data_digest: str = start.about["data_digest"]
        self.how: Execution = choose_execution(run.params.training, start.about["execution"]["device"])

    def before(self, state: TrainingState) -> None:
        """Show the trace the steps it lacks."""
        if self.trace is not None and state.step >= self.traced:
            self.trace.before(state)

    def after(self, state: TrainingState, taken: Taken) -> None:
        """Add the step's row, and write its checkpoint where one is due."""
        if self.trace is not None and state.step > self.traced:
            self.trace.after(state, taken)
        if self.trace is not None and state.step in self.resumable:
            artifacts.write_jsonl(self.file.part, self.trace.rows)
        if state.step in self.missing:
            checkpoints.save_checkpoint(dense(self.run), state, self.how, self.data_digest)

    def finish(self) -> None:
        """Give the finished trace its name."""
        if self.trace is not None:
            artifacts.write_jsonl(self.file.path, self.trace.rows)
            self.file.part.unlink(missing_ok=True)


def _go_on(
    run: Run, missing: Sequence[int], file: _TraceFile, rows: list[dict[str, Any]] | None, streams: Streams
) -> None:
    """Replay from where something is missing; `rows` are those of the trace so far, None where none is to be made."""
    begin = file.first
    if missing or rows is not None:
        traced = file.last if rows is None else file.first + len(rows)
        begin = min([traced, *(step - 1 for step in missing), file.last - 1])
    start = _nearest(run, begin)
    keeper = _Keeper(run, missing, start, file, None if rows is None else Trace(file.gradients, rows))
    found = replay(run, begin, file.last, [keeper], streams, start)
    keeper.finish()
    met = ", ".join(map(str, found.compared))
    print(
        f"{run.name}: replayed steps {found.began} to {file.last}, {len(missing)} checkpoints written; "
        + (f"bit for bit as the run's own at {met}" if met else "no checkpoint of the run's own among them")
    )


def _nearest(run: Run, step: int) -> Checkpoint:
    """The newest state of the run that is no later than `step`, its own or a replayed one."""
    own = max(there for there in checkpoints.steps(run) if there <= step)
    for there in reversed(replayed_steps(run)):
        if own < there <= step and _is_whole(run, there):
            return checkpoints.load_checkpoint(dense(run), there)
    return checkpoints.load_checkpoint(run, own)


def _remove_leftovers(run: Run) -> None:
    """Delete what a killed replay left half-written."""
    for file in run.path(FOLDER).glob(".*.part"):
        file.unlink(missing_ok=True)
