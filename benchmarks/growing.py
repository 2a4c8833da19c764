"""A paper of any size: the tiny paper's dice, with as many runs and chapters as asked for, printed as site and PDF."""

import json
import shutil
from pathlib import Path
from typing import Any

TINY = Path(__file__).resolve().parents[1] / "tests" / "projects" / "tiny_paper"
PRESET = "grown"
_FIRST = 1001  # seed of the first run: all names are equally long, so that none is the beginning of another
_PARAGRAPH = (
    "A die is thrown, and what it shows is counted. The mean of many throws comes close to the mean of one, and how "
    "close is said by an interval: nine times in ten, and five times more in a hundred, it holds what is true. Nothing "
    "of this is new; it stands here so that a page has as many words as the page of a paper, with *stress*, a formula, "
    "$\\bar x \\pm 1.96\\,s/\\sqrt n$, and `code`."
)
_READ = """\
from IPython.display import SVG, Markdown, display

from tinylab import door

summary = door.read(door.run_folder(run) / "summary.json")"""
_READ_ALL = """
runs = sorted(folder.name for folder in door.run_folder(run).parent.iterdir())
means = [door.read(door.run_folder(name) / "summary.json")["mean"] for name in runs]"""
_TABLE = """\
#| label: tbl-{name}
#| tbl-cap: "How often each side came."
rows = "\\n".join(f"| {{side}} | {{count}} |" for side, count in summary["counts"].items())
display(Markdown(f"| side | count |\\n|---|---|\\n{{rows}}"))"""
_FIGURE = """\
#| label: fig-{name}
#| fig-cap: "The counts as bars."
#| fig-alt: "Six bars of nearly the same height."
bars = "".join(
    f'<rect x="{{40 * place}}" y="{{200 - count}}" width="30" height="{{count}}" fill="#356"/>'
    for place, count in enumerate(summary["counts"].values())
)
display(SVG(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 200">{{bars}}</svg>'))
print(f"{{run}}: mean {{summary['mean']:.3f}} of {{summary['throws']}} throws")"""
_BOOK = """\
project:
  type: book
  output-dir: _site

book:
  title: A paper grown for a benchmark
  author: The press
  chapters:
    - index.qmd
{chapters}
    - paper/claims.qmd

format:
  html: {{}}
  typst:
    toc: true

filters:
  - {{path: paper/filters/livingpaper.lua, at: pre-ast}}
"""
_CLAIM = """\
- id: die-is-fair-{name}
  chapter: {name}
  says: The mean throw is {{value:.2f}} eyes [{{low:.2f}}, {{high:.2f}}].
  evidence: evidence.json#/mean_throw
  supported: {{above: 3.0, quorum: 2/3}}
  refuted: {{below: 2.5, quorum: 2/3}}
  control: loaded_dice
  next: Throw more often.
"""
_WORKFLOW = """\
chapters:
  defaults:
    reads: [summary.json]
    params: [dice]
  own:
    part-01:
      reads: ["runs:summary.json"]

main:
  run: study:chosen.json#/run
"""


def grow(root: Path, runs: int, chapters: int) -> list[str]:
    """Write the sources of a paper of `runs` runs and `chapters` chapters into a new folder; the runs' names.

    Each run has two stages and six files, each chapter prose, a table, a figure and a claim; the first chapter reads a
    file of every run.
    """
    shutil.copytree(TINY, root, ignore=shutil.ignore_patterns("artifacts", "build", "_site", "__pycache__", "chapters"))
    names = [f"part-{number:02d}" for number in range(1, chapters + 1)]
    seeds = range(_FIRST, _FIRST + runs)
    (root / "params" / f"{PRESET}.yml").write_text(f"purpose: Many runs.\nseeds: {[*seeds]}\n")
    (root / "_quarto.yml").write_text(_BOOK.format(chapters="\n".join(f"    - chapters/{n}.ipynb" for n in names)))
    workflow = root / "paper" / "workflow.yml"
    workflow.write_text(workflow.read_text().partition("chapters:\n")[0] + _WORKFLOW)
    (root / "paper" / "claims.yml").write_text("\n".join(_CLAIM.format(name=name) for name in names))
    (root / "index.qmd").write_text(_index(names))
    (root / "chapters").mkdir()
    for name in names:
        (root / "chapters" / f"{name}.ipynb").write_text(json.dumps(_notebook(name, name == names[0]), indent=1) + "\n")
    return [f"{PRESET}-s{seed}" for seed in seeds]


def _index(names: list[str]) -> str:
    references = ", ".join(f"@sec-{name}" for name in names)
    values = 'The mean throw of this run is `summary.json#/mean`{.value format=".2f"} eyes.'
    return f"# Dice {{.unnumbered}}\n\n{_PARAGRAPH}\n\n{values} See {references}.\n"


def _notebook(name: str, reads_all: bool) -> dict[str, Any]:
    cells = [
        _markdown(f"# Part {name[-2:]} {{#sec-{name}}}\n\n{_PARAGRAPH}\n\n{_PARAGRAPH}"),
        _code('run = "grown-s1001"\nparams = "grown"', ["parameters"]),
        _code(_READ + (_READ_ALL if reads_all else "")),
        _markdown(f"## Counts\n\n{_PARAGRAPH} See @tbl-{name} and @fig-{name}."),
        _code(_TABLE.format(name=name)),
        _code(_FIGURE.format(name=name)),
        _markdown(f'## Claim\n\n{_PARAGRAPH}\n\n::: {{.livingpaper claim="die-is-fair-{name}"}}\n:::'),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(text: str, tags: list[str] | None = None) -> dict[str, Any]:
    about = {"cell_type": "code", "execution_count": None, "outputs": [], "metadata": {"tags": tags} if tags else {}}
    return {**about, "source": text.splitlines(keepends=True)}
