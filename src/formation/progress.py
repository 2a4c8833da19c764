"""Progress with time left, for a terminal, a log file and the press.

`track` is the one progress bar of the laboratory. On a terminal it draws a bar; elsewhere it prints a line every few
seconds; and where the press set `LIVINGPAPER_PROGRESS` it also writes `{"done", "total", "unit"}` there for the build.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_EVERY = 5.0  # seconds between lines in a log
_SLOW = 0.5  # units a second: below this, the seconds that one takes are told
_REPORT_EVERY = 0.5  # seconds between reports to the press


class Tracker:
    """Counts finished units of work; call `advance` after each."""

    def __init__(self, label: str, total: int, unit: str, start: int = 0) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = self._start = start
        self._began = self._lined = time.monotonic()
        self._reported = 0.0
        self._path = os.environ.get("LIVINGPAPER_PROGRESS")
        self._bar: Progress | None = None
        if sys.stderr.isatty() and not self._path:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                transient=True,
            )
            self._task = self._bar.add_task(label, total=total, completed=start, rate="")
            self._bar.start()

    def rate(self) -> float:
        """Units per second since the tracker began."""
        return (self.done - self._start) / max(time.monotonic() - self._began, 1e-9)

    def advance(self, by: int = 1, note: str = "") -> None:
        """Count `by` more units; `note` is shown behind the rate."""
        self.done += by
        now = time.monotonic()
        rate = self.rate()
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, rate=f"{self._pace(rate)} {note}")
        elif now - self._lined >= _LINE_EVERY:
            self._lined = now
            left = (self.total - self.done) / max(rate, 1e-9)
            line = f"{self.label}: {self.done}/{self.total} {self.unit}, {self._pace(rate)}, {left:.0f} s left"
            print(f"{line} {note}".rstrip(), file=sys.stderr, flush=True)
        if self._path and (now - self._reported >= _REPORT_EVERY or self.done >= self.total):
            self._reported = now
            _report(self._path, {"label": self.label, "done": self.done, "total": self.total, "unit": self.unit})

    def _pace(self, rate: float) -> str:
        """Units a second, or what one takes where that is long."""
        return f"{rate:.1f} {self.unit}/s" if rate >= _SLOW or not rate else f"{1 / rate:.0f} s each"

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.stop()


def _report(path: str, state: dict[str, object]) -> None:
    """Replace the press's progress file in one step; a progress file that cannot be written never stops the work."""
    scratch = f"{path}.{os.getpid()}"
    try:
        with open(scratch, "w", encoding="utf-8") as file:
            json.dump(state, file)
        os.replace(scratch, path)
    except OSError:
        with suppress(OSError):
            os.unlink(scratch)


@contextmanager
def track(label: str, total: int, unit: str, start: int = 0) -> Iterator[Tracker]:
    """Yield a `Tracker` of `total` units, `start` of them already done."""
    tracker = Tracker(label, total, unit, start)
    try:
        yield tracker
    finally:
        tracker.close()
