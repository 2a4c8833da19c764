"""What the press adds to the execution of a chapter: beside papermill, jupyter-cache and nbclient, same notebooks."""

import json
import os
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

from benchmarks import peers
from benchmarks.growing import PRESET, grow
from benchmarks.measuring import Contender, interleaved
from benchmarks.places import PROGRAMS, build, program
from benchmarks.results import Results, beside
from benchmarks.settling import settle


def measure(folder: Path, results: Results, repeats: int, chapters: int = 4) -> None:
    """A build in which the code of every chapter was edited, one process at a time."""
    root = folder / "chapters"
    run = grow(root, 1, chapters)[0]
    settle(root, printed=False)
    edits = count()
    own = build(root, PRESET, rf"\b{chapters} of \d+ stages and chapters executed", "--no-render", "--jobs", "1")
    own = replace(own, before=lambda: _edit(root, next(edits)))
    names = [f"chapters/part-{number:02d}.ipynb" for number in range(1, chapters + 1)]
    environment = {"PYTHONPATH": str(root / "src"), "LIVINGPAPER_PROJECT": str(root), "JUPYTER_PLATFORM_DIRS": "1"}
    environment["PATH"] = f"{PROGRAMS}:{os.environ['PATH']}"
    each = f'papermill "$name" out.ipynb -p run {run} -p params {PRESET} || exit 1'
    papermill = f"for name in {' '.join(names)}; do {each}; done"
    # each as its own manual calls it
    others = {
        peers.spoken("papermill"): _peer(root, environment, "papermill", ["sh", "-c", papermill]),
        peers.spoken("jupyter-execute", "nbclient"): _peer(
            root, environment, "nbclient", [program("jupyter-execute"), *names]
        ),
        peers.spoken("jcache", "jupyter-cache"): _peer(
            root, environment, "jcache", [sys.executable, "-c", _JCACHE, root, *names]
        ),
    }
    measured = interleaved([own, *others.values()], repeats)
    rows = beside(f"{chapters} chapters executed", own, measured, others)
    extra = (measured[own.name].cpu - measured["papermill"].cpu) / chapters
    wall = (measured[own.name].wall - measured["papermill"].wall) / chapters
    note = f"beside papermill {wall:+.2f} s by the clock and {extra:+.2f} s of CPU time per chapter"
    results.rows += [replace(rows[0], note=note), *rows[1:]]


# what `jcache project add` and `jcache project execute --executor local-serial` do, in one process
_JCACHE = """\
import sys, tempfile
from pathlib import Path
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor
root, *names = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    cache = get_cache(folder)
    for name in names:
        cache.add_nb_to_project(str(Path(root) / name))
    done = load_executor("local-serial", cache).run_and_cache(force=True)
    assert len(done.succeeded) == len(names), done
"""


def _peer(root: Path, environment: dict[str, str], name: str, command: list[object]) -> Contender:
    called = "jcache project execute" if name == "jcache" else ""
    return Contender(name, [str(word) for word in command], root, environment=environment, called=called)


def _edit(root: Path, number: int) -> None:
    """A line of code more in every chapter, another each time: nothing can come from a cache."""
    for path in (root / "chapters").glob("*.ipynb"):
        notebook = json.loads(path.read_text())
        cell = notebook["cells"][2]
        kept = [line for line in cell["source"] if not line.startswith("turn = ")]
        cell["source"] = [f"turn = {number}\n", *kept]
        path.write_text(json.dumps(notebook, indent=1) + "\n")
