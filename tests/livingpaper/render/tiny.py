"""A tiny book with every construct the renderer covers, and what is needed to print it."""

import json
import shutil
from pathlib import Path
from typing import Any

from livingpaper.printing import Printing

FILTER = Path(__file__).resolve().parents[3] / "paper" / "filters" / "livingpaper.lua"
RUNS = (("quick-s1", ""), ("quick-s2", "runs/quick-s2"))
CLAIMS = ("supported", "hypothesis", "negative", "unsupported", "next-test")

CONFIG = """\
project: {type: book, output-dir: _site}
book:
  title: A tiny book
  subtitle: With every construct
  author: A. Author
  date: 2026-01-02
  chapters:
    - index.qmd
    - part: Evidence
      chapters: [chapters/one.ipynb, chapters/two.qmd]
    - references.qmd
  appendices: [extra.qmd]
  page-footer: Made by itself.
bibliography: references.bib
filters: [{at: pre-ast, path: livingpaper.lua}]
format:
  html: {code-fold: true}
  typst: {papersize: a4, echo: false}
"""

BIBLIOGRAPHY = """\
@article{elhage2021, title={A Mathematical Framework for Transformer Circuits}, author={Elhage, Nelson and Nanda, Neel},
  journal={Transformer Circuits Thread}, year={2021}}
@article{olsson2022, title={In-context Learning and Induction Heads}, author={Olsson, Catherine},
  journal={Transformer Circuits Thread}, year={2022}}
"""

INDEX = """\
# Summary {.unnumbered}

Born at step `analysis/x.json#/birth/value`{.value format=".0f"}: see @fig-curve in @sec-one, [-@tbl-scores], @eq-loss,
[panel @fig-curve], @sec-deep and @sec-extra. Work of @elhage2021 and [@olsson2022, p. 3] matters.[^n]

[^n]: A footnote with *emphasis*.

::: {.livingpaper claim="born"}
:::

## How to read

A zymurgy of words to be searched for. See the [data](data.json), the [second page](chapters/two.qmd#sec-deep).

![A described picture](picture.svg){#fig-picture fig-alt="A red square"}

::: {.livingpaper page="claims-ledger"}
:::
"""

TWO = """\
---
title: "The second {#sec-two}"
---

## Loss

$$
\\mathcal L(\\theta) = -\\frac{1}{N}\\sum_{i=1}^N \\log p_\\theta(y_i \\mid x_{<i})
$$ {#eq-loss}

| split | accuracy |
|:--|--:|
| IID | 0.993 |
| held-out pairs | 0.931 |

: Accuracy per split. {#tbl-scores}

::: {.callout-note}
A note without a title.
:::

::: {.callout-warning collapse="true"}
## Folded *warning*
Its body.
:::

::: {.callout-important title="Read this"}
Important.
:::

### Deeper {#sec-deep}

Inline $a^2+b^2$ and `code`. Back to [the summary](../index.qmd#how-to-read).
"""

EXTRA = """\
# More {#sec-extra}

![An appendix figure](picture.svg){#fig-extra fig-alt="A red square again"}
"""

PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="300pt" height="120pt" viewBox="0 0 300 120">'
    '<rect width="300" height="120" fill="#d33"/></svg>'
)
PANDAS = (
    "<div><style scoped>.a{}</style><table border='1' class='dataframe'><thead><tr><th></th><th>lag</th></tr></thead>"
    "<tbody><tr><th>0</th><td>eleven</td></tr></tbody></table></div>"
)


def markdown(text: str) -> dict[str, Any]:
    """A text cell."""
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(True)}


def code(text: str, outputs: list[dict[str, Any]] | None = None, tags: list[str] | None = None) -> dict[str, Any]:
    """An executed code cell."""
    return {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {"tags": tags or []},
        "source": text.splitlines(True),
        "outputs": outputs or [],
    }


def shown(**data: str) -> dict[str, Any]:
    """A display output; `_` in a name stands for `/`, `__` for `+`."""
    kinds = {name.replace("__", "+").replace("_", "/"): value for name, value in data.items()}
    return {"output_type": "display_data", "metadata": {}, "data": kinds}


def notebook(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """A notebook of cells."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def chapter_one(executed: bool = True, run: str = "quick-s1") -> dict[str, Any]:
    """The notebook of chapter one, as committed or as executed for a run."""
    curve = PICTURE.replace("#d33", "#06c" if run == "quick-s1" else "#0a5")
    outputs: dict[str, list[dict[str, Any]]] = {
        "figure": [shown(image_svg__xml=curve, text_plain="figure")],
        "pandas": [shown(text_html=PANDAS, text_plain="lag 0 eleven")],
        "markdown": [shown(text_markdown=f"| run | n |\n|:--|--:|\n| {run} | 2 |\n\n:::\n")],
        "stream": [{"output_type": "stream", "name": "stdout", "text": "hello ``` world\n"}],
        "error": [
            {
                "output_type": "error",
                "ename": "ValueError",
                "evalue": "no",
                "traceback": ["\x1b[31mValueError\x1b[0m: no"],
            }
        ],
    }
    injected = [code(f'run = "{run}"', tags=["injected-parameters"])] if executed else []
    cells = [
        markdown("# Formation windows {#sec-one}\n\nWhen is retrieval born? $m = \\ell_y$.\n"),
        code('run = "quick-s1"', tags=["parameters"]),
        *injected,
        markdown("## Learning curves\n\nAs @fig-curve shows.\n"),
        code(
            '#| label: fig-curve\n#| fig-cap: "Accuracy of *three* seeds [@olsson2022]."\n'
            '#| fig-alt: "Three rising curves"\n#| code-summary: How this was made\ndraw("curve")',
            outputs["figure"],
        ),
        code('#| label: tbl-lags\n#| tbl-cap: "Scores by lag."\nframe', outputs["pandas"]),
        code('#| label: tbl-runs\n#| tbl-cap: "One run."\ntable', outputs["markdown"]),
        code("#| echo: false\nprint(1)", outputs["stream"]),
        code("fail()", outputs["error"]),
        markdown("## Limits\n\nSee @tbl-lags and @tbl-runs.\n"),
    ]
    if not executed:
        cells = [{**cell, "outputs": []} if cell["cell_type"] == "code" else cell for cell in cells]
    return notebook(cells)


def fragments(run: str) -> dict[str, Any]:
    """What the press would print: five claims, a ledger, a number."""
    claims = "\n\n".join(
        f'::: {{.callout-{kind} .claim .claim-{name} title="{name.title()} · 3/3 runs" icon=false}}\n'
        f"Claim {name}, see @fig-curve. Evidence: [evidence](/data.json).\n:::"
        for kind, name in zip(("tip", "note", "important", "warning", "caution"), CLAIMS, strict=True)
    )
    ledger = "::: {.claims-ledger}\n\n| claim | value |\n|:--|--:|\n| b | 10 |\n| a | 9 |\n\n:::\n"
    return {
        "run": run,
        "blocks": {"claim:born": claims, "page:claims-ledger": ledger},
        "values": {"analysis/x.json#/birth/value|.0f|": "1,080"},
    }


def write(root: Path, name: str, content: Any) -> Path:
    """A file of the project: text as it is, anything else as JSON."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def make_book(root: Path) -> Path:
    """The tiny book in `root`, chapter one executed for both runs."""
    write(root, "_quarto.yml", CONFIG)
    write(root, "index.qmd", INDEX)
    write(root, "chapters/two.qmd", TWO)
    write(root, "extra.qmd", EXTRA)
    write(root, "references.qmd", "# References {.unnumbered}\n\n::: {#refs}\n:::\n")
    write(root, "references.bib", BIBLIOGRAPHY)
    write(root, "picture.svg", PICTURE)
    write(root, "data.json", {"a": 1})
    write(root, "chapters/one.ipynb", chapter_one(executed=False))
    shutil.copy(FILTER, root / "livingpaper.lua")
    for run, _ in RUNS:
        write(root, f"build/chapters/{run}/one.ipynb", chapter_one(run=run))
        write(root, f"build/print/{run}/fragments.json", fragments(run))
    return root


def printing(root: Path, run: str = "quick-s1", **changes: Any) -> Printing:
    """A printing of the tiny book for a run."""
    url = dict(RUNS)[run]
    usual: dict[str, Any] = {
        "run": run,
        "main": url == "",
        "notebooks": {"chapters/one.ipynb": root / f"build/chapters/{run}/one.ipynb"},
        "fragments": root / f"build/print/{run}/fragments.json",
        "output": Path("_site") / url,
        "runs": RUNS,
    }
    return Printing(**{**usual, **changes})


def make_page(root: Path, text: str, config: str = "", **files: Any) -> Path:
    """A book of one page, with a PDF only if `config` asks for one; `files` by name, `__` for `/` and `_` for `.`"""
    base = "project: {output-dir: _site}\nbook: {title: One page, chapters: [index.qmd]}\n"
    write(root, "_quarto.yml", base + "filters: [{at: pre-ast, path: livingpaper.lua}]\n" + config)
    write(root, "index.qmd", text)
    write(root, "build/print/quick-s1/fragments.json", fragments("quick-s1"))
    shutil.copy(FILTER, root / "livingpaper.lua")
    for name, content in files.items():
        write(root, name.replace("__", "/").replace("_", "."), content)
    return root


def page_printing(root: Path, **changes: Any) -> Printing:
    """The printing of a book of one page."""
    return printing(root, **{"notebooks": {}, "runs": (("quick-s1", ""),), **changes})
