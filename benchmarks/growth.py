"""How a no-op build and a prose edit grow with runs and with chapters."""

import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path

from benchmarks.growing import PRESET, grow
from benchmarks.measuring import Contender, Measured, interleaved
from benchmarks.places import NOTHING, PAGES_ONLY, build
from benchmarks.prose import edit_page
from benchmarks.results import Results, Row, Series
from benchmarks.settling import settle

LIMIT = 3.0  # seconds of a no-op build of the largest paper
Size = tuple[int, int]  # runs, chapters


def measure(
    folder: Path,
    results: Results,
    repeats: int,
    runs: tuple[int, ...] = (3, 10, 30, 100),
    chapters: tuple[int, ...] = (2, 8, 32),
    printed: int = 30,
    largest: Size = (100, 8),
) -> None:
    """Both, over `runs` at the fewest chapters and over `chapters` at the fewest runs.

    A paper of more than `printed` runs is only looked at: to print each of its runs takes minutes.
    """
    sizes = dict.fromkeys([*((n, chapters[0]) for n in runs), *((runs[0], n) for n in chapters), largest])
    for size in sizes:
        root = _root(folder, size)
        grow(root, *size)
        settle(root)
    idle = {size: build(_root(folder, size), PRESET, NOTHING) for size in sizes}
    found = _timed(idle, repeats)
    results.series += _series("no-op build", found, runs, chapters)
    what = f"no-op build, {largest[0]} runs × {largest[1]} chapters"
    results.rows.append(Row(what, idle[largest].shown, found[largest], LIMIT))
    shutil.rmtree(_root(folder, largest))
    few = [size for size in sizes if size[0] <= printed and size != largest]
    edited = {size: _editing(_root(folder, size)) for size in few}
    found = _timed(edited, 1)
    results.series += _series("prose edit of a page", found, tuple(n for n in runs if n <= printed), chapters)


def _timed(contenders: dict[Size, Contender], repeats: int) -> dict[Size, Measured]:
    named = {size: replace(contender, name=str(size)) for size, contender in contenders.items()}
    measured = interleaved(list(named.values()), repeats)
    return {size: measured[contender.name] for size, contender in named.items()}


def _series(what: str, found: dict[Size, Measured], runs: tuple[int, ...], chapters: tuple[int, ...]) -> list[Series]:
    by_runs = tuple((n, found[n, chapters[0]]) for n in runs)
    by_chapters = tuple((n, found[runs[0], n]) for n in chapters)
    return [
        Series(what, f"runs ({chapters[0]} chapters)", by_runs),
        Series(what, f"chapters ({runs[0]} runs)", by_chapters),
    ]


def _editing(root: Path) -> Contender:
    edits = count()
    return replace(build(root, PRESET, PAGES_ONLY), before=lambda: edit_page(root, next(edits)))


def _root(folder: Path, size: Size) -> Path:
    return folder / f"grown-{size[0]}x{size[1]}"
