"""A build with nothing to do, beside Snakemake and pytask with the same tasks on the same files."""

from pathlib import Path
from shutil import copytree

from benchmarks import peers
from benchmarks.growing import PRESET, grow
from benchmarks.measuring import Contender, interleaved, timed
from benchmarks.places import NOTHING, build
from benchmarks.results import Results, beside
from benchmarks.settling import settle

LIMIT = 1.0  # seconds
_SNAKEFILE = """\
RUNS, CHAPTERS = {runs}, {chapters}

rule all:
    input:
        expand("build/chapters/{{run}}/{{chapter}}.ipynb", run=RUNS, chapter=CHAPTERS),
        "artifacts/studies/grown/chosen.json",

rule throw:
    input: "src/tinylab/throw.py", "src/tinylab/door.py", "params/base.yml"
    output: expand("artifacts/runs/{{{{run}}}}/throws/part_{{part}}.json", part=range(4))
    shell: "python -m tinylab.throw {{wildcards.run}}"

rule measure:
    input: rules.throw.output, "src/tinylab/measure.py", "src/tinylab/door.py", "src/tinylab/statistics.py"
    output: "artifacts/runs/{{run}}/evidence.json", "artifacts/runs/{{run}}/summary.json"
    shell: "python -m tinylab.measure {{wildcards.run}}"

rule choose:
    input: expand("artifacts/runs/{{run}}/summary.json", run=RUNS), "src/tinylab/choose.py"
    output: "artifacts/studies/grown/chosen.json"
    shell: "python -m tinylab.choose grown"

rule chapter:
    input: "chapters/{{chapter}}.ipynb", "artifacts/runs/{{run}}/summary.json", "src/tinylab/door.py"
    output: "build/chapters/{{run}}/{{chapter}}.ipynb"
    shell: "papermill {{input[0]}} {{output}} -p run {{wildcards.run}} -p params grown"
"""
_PYTASK = """\
from pathlib import Path
from typing import Annotated

from pytask import Product, task

HERE, RUNS, CHAPTERS = Path(__file__).parent, {runs}, {chapters}
CODE = [HERE / "src/tinylab" / name for name in ("throw.py", "door.py", "measure.py", "statistics.py", "choose.py")]


def declare(name, needs, makes):
    @task(id=name)
    def task_of(needs: list[Path] = needs, makes: Annotated[list[Path], Product] = makes) -> None:
        assert all(path.exists() for path in makes)  # they were copied here: what is timed is the look at them

    return task_of


runs = {{run: HERE / "artifacts/runs" / run for run in RUNS}}
made = []
for run, at in runs.items():
    throws = [at / f"throws/part_{{part}}.json" for part in range(4)]
    made.append(declare(f"throw-{{run}}", CODE[:2], throws))
    made.append(declare(f"measure-{{run}}", [*throws, *CODE[1:4]], [at / "evidence.json", at / "summary.json"]))
    for name in CHAPTERS:
        needs = [HERE / f"chapters/{{name}}.ipynb", at / "summary.json", CODE[1]]
        made.append(declare(f"{{name}}-{{run}}", needs, [HERE / f"build/chapters/{{run}}/{{name}}.ipynb"]))
chosen = HERE / "artifacts/studies/grown/chosen.json"
made.append(declare("choose", [at / "summary.json" for at in runs.values()], [chosen]))
for number, one in enumerate(made):
    globals()[f"task_{{number}}"] = one
"""


def measure(folder: Path, results: Results, repeats: int, runs: int = 3, chapters: int = 2) -> None:
    """The same tasks under three tools; the press judges claims and looks after the printed pages besides."""
    root = folder / f"paper-{runs}x{chapters}"
    names = grow(root, runs, chapters)
    settle(root)
    own = build(root, PRESET, NOTHING)
    others: dict[str, Contender] = {}
    for name, prepare in (("snakemake", _snakemake), ("pytask", _pytask)):
        program = peers.find(name)
        if program is None:
            results.missing.append(peers.spoken(name))
        else:
            others[peers.spoken(name)] = prepare(root, folder / f"{name}-{runs}x{chapters}", program, names)
    measured = interleaved([own, *others.values()], repeats)
    what = f"no-op build, {runs} runs × {chapters} chapters"
    results.rows += beside(what, own, measured, others, LIMIT if runs == 3 else None)


def _snakemake(root: Path, copy: Path, program: Path, runs: list[str]) -> Contender:
    copytree(root, copy)
    (copy / "Snakefile").write_text(_SNAKEFILE.format(runs=runs, chapters=_chapters(root)))
    environment = {"XDG_CACHE_HOME": str(copy / "cache"), "PYTHONPATH": str(copy / "src")}
    timed(Contender("snakemake", [program, "--cores", "1", "--touch"], copy, environment=environment))
    return Contender("snakemake", [program, "--cores", "1"], copy, environment=environment, says="Nothing to be done")


def _pytask(root: Path, copy: Path, program: Path, runs: list[str]) -> Contender:
    copytree(root, copy)
    (copy / "task_grown.py").write_text(_PYTASK.format(runs=runs, chapters=_chapters(root)))
    timed(Contender("pytask", [program], copy, says="Succeeded"))
    return Contender("pytask", [program], copy, says="(?i)unchanged")


def _chapters(root: Path) -> list[str]:
    return sorted(path.stem for path in (root / "chapters").glob("*.ipynb"))
