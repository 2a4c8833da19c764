"""The page `docs/benchmarks.md`: one table of what was measured beside whom, one of how it grows, and its figure."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measuring import Measured
from benchmarks.results import Results, Row, Series, Training

_HEAD = """\
# Benchmarks of the press

Written by `make bench`{quick}; each line is the median of its executions, with the shortest and the longest. Contenders
take turns, so that a machine that is slow for a while is slow for all of them; *CPU* is the time of all processes of a
command, which other work on the machine changes less. A ratio below 1 means that the press takes less.

{machine}
"""
_READING = """\
The papers of the no-op, growth and chapter lines are grown from `tests/projects/tiny_paper`: per run two stages and six
files, per chapter prose, a table, a figure and a claim. Their builds are made without waiting for kernels
(`benchmarks/settling.py`); what is timed is the real command afterwards. Snakemake and pytask look after the same tasks
and files; the press judges the claims and looks after the printed pages besides. pandoc and Typst, called plainly, are
a lower bound for printing: no numbers, no claims, no references over chapters, no search.
"""
_GROWTH = """\
## How it grows

*Slope* is CPU time per run or chapter by least squares; *bend* is the slope of the last stretch in units of the first:
about 1 is a straight line. A prose edit prints the pages of every run, so its slope is the time one printing takes.
"""
_TRAINING = """\
## Training

Steps on one thread, contenders taking turns in one process on the same batches, with the same AdamW, clip and sizes;
given our weights they give our logits. *Peak* is the share of this machine's own float32 matrix product (2048 × 2048)
that a step's matrix products reach, by CPU time; with bfloat16 it may pass 1. A ratio above 1 means that ours takes
less. Aim: 1.3 times the tokens a second of the better peer.
"""


def page(results: Results, figure: str, quick: bool = False) -> str:
    """The whole page; `figure` is the file of the growth figure beside it."""
    rows = [_row(row, results.rows[number - 1] if number else None) for number, row in enumerate(results.rows)]
    head = _HEAD.format(quick=" (quick: small sizes, few repeats)" if quick else "", machine=machine())
    columns = ["what", "aim", "wall", "CPU", "memory", "by", "ratio of wall (CPU)", "command"]
    parts = [head, _table(columns, rows), _READING]
    notes = [f"- {row.what}: {row.note}." for row in results.rows if row.note]
    notes += [f"- Not measured: {name}." for name in dict.fromkeys(results.missing)]
    parts += ["\n".join(notes) + "\n"] if notes else []
    if results.series:
        parts += [
            _GROWTH,
            _table(["what", "over", "CPU at each size", "memory", "slope", "bend"], [*map(_line, results.series)]),
        ]
        parts.append(f"![CPU time of a no-op build and of a prose edit over runs and chapters]({figure})\n")
    if results.training:
        columns = ["size", "by", "tokens/s", "step", "peak", "our tokens/s in its (by CPU)"]
        parts += [_TRAINING, _table(columns, [*map(_training, results.training)])]
        parts += [f"{size}: {note}.\n" for size, note in {row.size: row.note for row in results.training}.items()]
    return "\n".join(parts)


def machine() -> str:
    """This machine and moment in one line."""
    load = os.getloadavg()[0]
    cores = len(os.sched_getaffinity(0))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores of {_processor()}, Python {platform.python_version()}, "
        f"{platform.system()}, load {load:.1f} at the end, version {_version()}."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _version() -> str:
    asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _row(row: Row, above: Row | None) -> list[str]:
    low, high = row.measured.spread
    same = above is not None and above.what == row.what
    aim = (
        "" if row.limit is None else f"≤ {row.limit:g} s: {'held' if row.measured.wall <= row.limit else '**missed**'}"
    )
    ratio = "" if row.ratio is None else f"{row.ratio[0]:.2g} ({row.ratio[1]:.2g})"
    return [
        "" if same else row.what,
        aim,
        f"{_seconds(row.measured.wall)} ({_seconds(low)}–{_seconds(high)})",
        _seconds(row.measured.cpu),
        f"{row.measured.megabytes:.0f} MB",
        row.peer or "the press",
        ratio,
        f"`{_short(row.command)}`",
    ]


def _line(series: Series) -> list[str]:
    sizes = ", ".join(f"{size}: {_seconds(measured.cpu)}" for size, measured in series.points)
    memory = _peak([measured for _, measured in series.points])
    bend = "" if series.bend is None else f"{series.bend:.1f}"
    return [series.what, series.over, sizes, memory, f"{series.slope * 1000:.0f} ms", bend]


def _training(row: Training) -> list[str]:
    ratio = "" if row.ratio is None else f"{row.ratio[0]:.2f} ({row.ratio[1]:.2f})"
    speed = f"{row.tokens:,.0f} ({row.slowest:,.0f}–{row.fastest:,.0f})"
    return [row.size, row.by, speed, f"{row.milliseconds:.0f} ms", f"{row.peak_share:.2f}", ratio]


def _peak(found: list[Measured]) -> str:
    return f"{found[0].megabytes:.0f}–{found[-1].megabytes:.0f} MB"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def _short(command: str) -> str:
    line = " ".join(command.split()).replace("|", r"\|")
    return line if len(line) <= 90 else line[:89] + "…"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
