"""Times commands: wall and CPU time and peak memory of the whole process tree, contenders taking turns."""

import json
import os
import re
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

_LAUNCH = Path(__file__).with_name("launch.py")
_OURS = ("LIVINGPAPER", "FORMATION", "PYTHONPATH")  # variables that would lead a command to another project


class BenchmarkError(Exception):
    """A benchmark cannot be made; the message says which command failed, and how."""


@dataclass(frozen=True)
class Sample:
    """One execution: seconds by the clock, seconds of all its processes' CPU time, peak memory of the largest one."""

    wall: float
    cpu: float
    megabytes: float


@dataclass(frozen=True)
class Contender:
    """A command that is timed; `before` brings its folder into the state each execution begins from."""

    name: str
    command: Sequence[str | Path]
    folder: Path
    before: Callable[[], None] = lambda: None
    environment: dict[str, str] = field(default_factory=dict)
    says: str = ""  # what its output must match, or it did not do what is timed
    called: str = ""  # what the page shows instead of a command that is no line for a reader

    @property
    def shown(self) -> str:
        """The command as a reader would type it."""
        if self.called:
            return self.called
        words = [Path(self.command[0]).name, *map(str, self.command[1:])]
        return shlex.join(words)


@dataclass(frozen=True)
class Measured:
    """All executions of one contender."""

    samples: tuple[Sample, ...]

    @property
    def wall(self) -> float:
        """Median seconds by the clock."""
        return statistics.median(sample.wall for sample in self.samples)

    @property
    def cpu(self) -> float:
        """Median seconds of CPU time."""
        return statistics.median(sample.cpu for sample in self.samples)

    @property
    def megabytes(self) -> float:
        """Highest peak memory."""
        return max(sample.megabytes for sample in self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """Shortest and longest wall time."""
        walls = [sample.wall for sample in self.samples]
        return min(walls), max(walls)


def interleaved(contenders: Sequence[Contender], repeats: int, warm: bool = True) -> dict[str, Measured]:
    """Each contender `repeats` times, taking turns, so that what slows the machine for a while slows all of them.

    With `warm`, each runs once before anything counts.
    """
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for turn in range(repeats + warm):
        for contender in contenders:
            contender.before()
            sample = timed(contender)
            if turn >= warm:
                samples[contender.name].append(sample)
    return {name: Measured(tuple(found)) for name, found in samples.items()}


def timed(contender: Contender) -> Sample:
    """One execution; `BenchmarkError` names the command and its last line if it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    environment |= {"PYTHONDONTWRITEBYTECODE": "", **contender.environment}  # compiled modules, as users have them
    words = [str(word) for word in contender.command]
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        process = subprocess.run(
            [sys.executable, "-I", "-S", str(_LAUNCH), str(report), *words],
            cwd=contender.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        said = process.stdout.decode(errors="replace").strip() or "it said nothing"
        found = json.loads(report.read_text()) if report.is_file() else {}
    if process.returncode:
        raise BenchmarkError(f"{contender.shown} (exit code {process.returncode}): {said.splitlines()[-1][:300]}")
    if not re.search(contender.says, said):
        raise BenchmarkError(f"{contender.shown}: expected {contender.says!r}, but it said: {said[-300:]}")
    return Sample(**found)
