"""`python -m benchmarks [--quick] [name …]`: measures, and writes the page."""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import basis, chapter, components, digesting, growth, noop, paper, peers, prose, startup, training
from benchmarks.figure import draw
from benchmarks.growing import PRESET, grow
from benchmarks.measuring import BenchmarkError
from benchmarks.places import BUILD, ROOT
from benchmarks.report import page
from benchmarks.results import Results
from benchmarks.settling import settle

FIGURE = "benchmarks-growth.svg"


def main(arguments: list[str]) -> int:
    """Measure what is asked for; all of it in full is written to `docs/`, anything else below `build/`."""
    known = benchmarks(quick=True)
    parser = argparse.ArgumentParser(prog="benchmarks", description="Benchmarks of the press beside their peers.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"one or more of: {', '.join(known)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="small sizes and few repeats; writes below build/")
    parser.add_argument("--no-install", action="store_true", help="take the peers that are there")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in known]:
        print(f"benchmarks: name {unknown[0]!r}: expected one of {', '.join(known)}", file=sys.stderr)
        return 2
    if not given.no_install:
        peers.install()
    whole = not given.quick and not given.names
    folder = ROOT / "docs" if whole else BUILD / "bench"
    try:
        results = measured(given.names or list(known), given.quick)
    except BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    write(results, folder, given.quick)
    missed = [row.what for row in results.rows if row.limit is not None and row.measured.wall > row.limit]
    missed += [] if given.quick else training.missed(results.training)
    print("\n".join(f"aim missed: {what}" for what in missed) or "every aim held", file=sys.stderr)
    print(f"written: {folder.relative_to(ROOT)}/benchmarks.md", file=sys.stderr)
    return 0


def benchmarks(quick: bool) -> dict[str, Callable[[Path, Results], None]]:
    """Every benchmark by its name, in the order of the page."""
    few, many = (1, 1) if quick else (3, 5)
    growing = {"runs": (1, 2), "chapters": (1, 2), "printed": 2, "largest": (2, 2)} if quick else {}
    return {
        "noop": lambda folder, results: noop.measure(folder, results, many),
        "paper": lambda folder, results: _paper(folder, results, few, quick),
        "chapter": lambda folder, results: chapter.measure(folder, results, few, 1 if quick else 4),
        "digesting": lambda folder, results: digesting.measure(folder, results, many, 16 if quick else 1024),
        "startup": lambda folder, results: startup.measure(folder, results, many),
        "training": lambda folder, results: training.measure(folder, results, 1 if quick else 9, 2 if quick else 20),
        "components": lambda folder, results: components.measure(
            folder, results, few, "quick" if quick else "reference"
        ),
        "basis": lambda folder, results: basis.measure(folder, results, few),
        "growth": lambda folder, results: growth.measure(folder, results, few, **growing),
    }


def measured(names: list[str], quick: bool) -> Results:
    """The results of some benchmarks, each in a scratch folder of its own."""
    results = Results()
    every = benchmarks(quick)
    BUILD.mkdir(exist_ok=True)
    log = BUILD / "bench.log"
    for number, name in enumerate(names, 1):
        began = time.monotonic()
        print(f"{number} of {len(names)}: {name} …", file=sys.stderr, flush=True)
        with TemporaryDirectory(prefix="bench-") as folder, open(log, "a") as file, redirect_stderr(file):
            every[name](Path(folder), results)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        write(results, BUILD / "bench", quick)  # what there is, should the rest be interrupted
    return results


def write(results: Results, folder: Path, quick: bool) -> None:
    """The page and its figure."""
    folder.mkdir(parents=True, exist_ok=True)
    if results.series:
        draw(results.series, folder / FIGURE)
    (folder / "benchmarks.md").write_text(page(results, FIGURE, quick))


def _paper(folder: Path, results: Results, repeats: int, quick: bool) -> None:
    """The no-op build and the prose edits of this paper; a quick run takes a grown one, which needs no training."""
    if quick:
        root = folder / "grown"
        grow(root, 1, 1)
        settle(root)
        prose.measure(root, PRESET, "grown paper of 1 run", results, repeats)
    else:
        root = paper.copy(folder)
        paper.measure(root, results, repeats, noop.LIMIT)
        prose.measure(root, paper.PRESET, "this paper (smoke, 3 runs)", results, repeats)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
