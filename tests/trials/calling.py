"""Commands called in this process, so that exit code, words and traces of each are seen exactly."""

import contextlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import formation.cli
import livingpaper.cli

CPU, WALL = 10.0, 200.0  # seconds a command may take of the processor, and on a machine with much else to do
_WRITTEN = ("artifacts", "results", "_site", "paper", "params", "chapters", "_quarto.yml", "index.qmd")


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int | None  # `None`: it did not end as a command does
    err: str
    trace: str = ""

    @property
    def lines(self) -> list[str]:
        """What it said was wrong."""
        return [line for line in self.err.splitlines() if line.startswith(("livingpaper: ", "formation: "))]

    def refused(self, *named: str) -> bool:
        """Whether it ended with code 2 and one line that names one of these."""
        return self.code == 2 and len(self.lines) == 1 and any(name in self.lines[0] for name in named)


class _TooLong(BaseException):
    pass


@contextlib.contextmanager
def limited(cpu: float = CPU, wall: float = WALL) -> Iterator[None]:
    """End what runs for longer than a command may."""

    def stop(*_: Any) -> None:
        raise _TooLong

    old = [signal.signal(one, stop) for one in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, cpu)
    signal.setitimer(signal.ITIMER_REAL, wall)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for one, handler in zip((signal.SIGPROF, signal.SIGALRM), old, strict=True):
            signal.signal(one, handler)


def press(root: Path, *words: str) -> Said:
    """A command of the press in a project."""
    return _called(livingpaper.cli.main, root, ("livingpaper", *words))


def laboratory(root: Path, *words: str) -> Said:
    """A command of the laboratory in a project."""
    return _called(formation.cli.main, root, ("formation", *words))


def guarded(work: Callable[[], object]) -> str:
    """The trace of what goes wrong in some work, or nothing."""
    try:
        with limited():
            work()
    except (_TooLong, Exception):
        return traceback.format_exc()
    return ""


def asked(question: Callable[[], str]) -> str:
    """The answer to a question, or the trace of what went wrong."""
    answers: list[str] = []
    return guarded(lambda: answers.append(question())) or answers[0]


def _called(main: Callable[[], None], root: Path, words: tuple[str, ...]) -> Said:
    err, out = io.StringIO(), io.StringIO()
    variables = {"LIVINGPAPER_PROJECT": str(root), "FORMATION_ARTIFACTS": str(root / "artifacts")}
    try:
        with (
            mock.patch.dict(os.environ, variables),
            mock.patch.object(sys, "argv", list(words)),
            contextlib.redirect_stderr(err),
            contextlib.redirect_stdout(out),
            limited(),
        ):
            main()
    except SystemExit as end:
        return Said(end.code if isinstance(end.code, int) else 0 if end.code is None else 1, err.getvalue())
    except (_TooLong, Exception):
        return Said(None, err.getvalue(), traceback.format_exc())
    return Said(0, err.getvalue())


def listing(root: Path) -> dict[str, tuple[int, int]]:
    """Size and time of everything in a project but what the press notes for itself."""
    found = {}
    for path in (below for name in _WRITTEN for below in (root / name, *(root / name).rglob("*"))):
        if path.is_file():
            about = path.stat()
            found[path.relative_to(root).as_posix()] = (about.st_size, about.st_mtime_ns)
    return found


def half_written(root: Path) -> list[str]:
    """Scratch files left anywhere in a project."""
    return [path.name for path in root.rglob("*.part*")]
