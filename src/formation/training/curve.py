"""The learning curve, `learning_curve.jsonl`: what single steps saw, appended as they happen, cut back on resume."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from io import FileIO
from pathlib import Path

from formation import artifacts
from formation.errors import TrainingError
from formation.room import no_room
from formation.training.state import StepReport

FILE, SCHEMA = "learning_curve.jsonl", "learning-curve/1"


class LearningCurve:
    """Appends rows; `flush` puts them on disk, to be called before the checkpoint that follows them."""

    def __init__(self, path: Path, every: int, file: FileIO) -> None:
        self.path, self.every, self._file = path, every, file

    def add(self, report: StepReport) -> None:
        """Append the step's row, if it is one of those logged."""
        if is_logged(report.step, self.every):
            line = artifacts.json_line({"schema": SCHEMA, **asdict(report)}, self.path).encode()
            with self._named_errors(len(line)):
                while line:  # a disk that is filling up takes the beginning and says so by its length alone
                    line = line[self._file.write(line) or 0 :]

    def flush(self) -> None:
        """Make the rows so far outlive a crash."""
        with self._named_errors(0):
            os.fsync(self._file.fileno())

    @contextmanager
    def _named_errors(self, needed: int) -> Iterator[None]:
        """Turn what the disk refuses into one line; a row half-written is cut off on resume."""
        try:
            yield
        except OSError as error:
            reason = no_room(error, self.path, needed) or f"{self.path}: cannot be written: {error.strerror}"
            raise TrainingError(
                f"{reason}; make room and run the same command again, it goes on from the last checkpoint"
            ) from None


@contextmanager
def curve_from(path: Path, step: int, every: int) -> Iterator[LearningCurve]:
    """Yield the curve, cut back to the rows up to `step` and open for those behind it."""
    lines = whole_lines(path, every)[: logged_rows(step, every)]
    artifacts.write_bytes(path, b"".join(lines))
    with open(path, "ab", buffering=0) as file:
        yield LearningCurve(path, every, file)


def whole_lines(path: Path, every: int) -> list[bytes]:
    """Leading lines of the file that are whole rows of the steps expected there; a damaged line ends the list."""
    lines: list[bytes] = []
    if path.is_file():
        for line in path.read_bytes().splitlines(keepends=True):
            if _step_of(line) != _logged_step(len(lines), every):
                break
            lines.append(line)
    return lines


def logged_rows(step: int, every: int) -> int:
    """Number of rows of the steps 1 … `step`."""
    return step // every + (1 if step >= 1 and every > 1 else 0)


def is_logged(step: int, every: int) -> bool:
    """Whether a step has a row: the first, and every `every`-th."""
    return step == 1 or step % every == 0


def _logged_step(row: int, every: int) -> int:
    """The step of row `row`, counted from 0."""
    return row + 1 if every == 1 else max(1, row * every)


def _step_of(line: bytes) -> int | None:
    """The step of a whole row; nothing for a half-written or foreign line."""
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return row.get("step") if isinstance(row, dict) and row.get("schema") == SCHEMA else None
