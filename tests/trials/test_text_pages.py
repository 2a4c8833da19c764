"""Hostile strings of artifacts, claims, reasons and outputs, carried into pages: printed as text, and nothing else."""

import json
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any
from unittest import mock

import pypdfium2
import pytest

from livingpaper.claims.callout import callout, sentence
from livingpaper.claims.evidence import Found, parse_evidence
from livingpaper.claims.judging import judge, judge_run
from livingpaper.claims.model import Claim
from livingpaper.files import write_json
from livingpaper.jsonfile import parse_json
from livingpaper.markdown import code, escape, table
from livingpaper.pointers import parse_pointer, read_artifact
from livingpaper.render import RenderError, render
from livingpaper.values import spoken
from tests.livingpaper.render import tiny
from tests.livingpaper.render.dom import Element, read
from tests.trials.calling import asked
from tests.trials.conftest import Trial
from tests.trials.hostile import HOSTILE

SCRIPTS = {"assets/theme.js", "assets/paper.js"}
CONFIG = "format: {html: {}, typst: {}}\n"
PAGE = """\
# Title

It says: `a.json#/it`{.value} and no more.

::: {.livingpaper claim="c"}
:::

::: {.livingpaper page="names"}
:::

The end.
"""
CLAIM = {
    "id": "c",
    "chapter": "one",
    "says": "It holds at {value:.2f} {unit} in {run}.",
    "evidence": "a.json#/evidence",
    "supported": {"above": 1, "quorum": "1/1"},
    "refuted": {"below": 0, "quorum": "1/1"},
    "control": "none",
    "next": "Go on.",
}


def whole(text: str) -> str:
    """The text as it comes out of a JSON file."""
    return str(parse_json(json.dumps(text)))


def plain(text: str) -> str:
    """The text without white space."""
    return "".join(whole(text).split())


def fragments(root: Path, hostile: str) -> dict[str, Any]:
    """What the press makes of an artifact that is nothing but hostile, by its own functions."""
    entries = {"it": hostile, "evidence": {"value": 2, "low": 1.5, "high": 3, "n": 7, "unit": hostile}}
    entries["gone"] = {"value": None, "reason": f"x{hostile}"}
    path = root / "a.json"
    path.write_text(json.dumps(entries))
    data = read_artifact(path, "a.json")
    claim = Claim.model_validate(CLAIM)
    found = [Found("quick-s1", "a.json", parse_evidence(data["evidence"], "a"), "0" * 64)]
    found.append(Found("quick-s2", "a.json", parse_evidence(data["gone"], "a"), "0" * 64))
    runs = [judge_run(claim, one, None, "waiting") for one in found]
    judgement = judge(claim, runs)
    names = table(
        ["name", "code"], [[escape(data["it"]), code(data["it"])], [sentence(claim, runs[1]), escape("after")]]
    )
    made = callout(judgement, "quick-s1", "index.qmd", "index.qmd", {}, root)
    values = {"a.json#/it||": spoken(data, parse_pointer("a.json#/it"), "a.json", "")}
    return {"run": "quick-s1", "blocks": {"claim:c": made, "page:names": names}, "values": values}


def foreign(page: Element) -> list[str]:
    """What stands in a page that its renderer does not write: scripts, handlers, frames, other hosts, pictures."""
    wrong = []
    for one in page.all():
        for name, value in one.attributes.items():
            if name.startswith("on") or value.strip().lower().startswith(("javascript:", "data:", "//")):
                wrong.append(f"<{one.tag} {name}={value[:40]}>")
            if name in ("src", "href", "action", "data", "srcset") and "://" in value:
                wrong.append(f"<{one.tag} {name}={value[:40]}>")
        if one.tag == "script" and one.attributes.get("src") not in SCRIPTS:
            wrong.append("<script>")
    shown = {one.tag for one in page.one("article").all()}
    return wrong + sorted(shown & {"img", "iframe", "object", "embed", "base", "form", "svg", "video", "audio", "math"})


def printed(root: Path, hostile: str) -> str:
    """What is wrong with the page and the PDF of a hostile artifact."""
    write_json(root / "build/print/quick-s1/fragments.json", fragments(root, hostile))
    reasons = {"stale": {"index.qmd": f"x{whole(hostile)}"}, "evidence": f"x{whole(hostile)}"}
    render(root, tiny.page_printing(root, **reasons), "embedded")
    page = read(root / "_site/index.html")
    article, wanted = page.one("article"), plain(hostile)
    places = {
        "value": article.one(class_="livingpaper-value").text,
        "unit": article.one(class_="claim").text,
        "table": article.all("table")[-1].text,
        "stale": page.one(class_="banner-stale").text,
    }
    cut = wanted[:1900]  # tables and claims show the beginning of what is longer than anybody reads
    missing = [name for name, text in places.items() if cut not in "".join(text.split())]
    missing += [] if wanted in "".join(places["value"].split()) else ["the whole value"]
    after = (
        [] if article.text.endswith("The end.") and "after" in article.all("table")[-1].text else ["the page goes on"]
    )
    document = pypdfium2.PdfDocument(root / "_site/one-page.pdf")
    pages = len(document)
    document.close()
    return "; ".join([*foreign(page), *missing, *after, *([] if pages >= 2 else ["no pages in the PDF"])])


def test_strings_of_artifacts_are_printed_as_text(tmp_path: Path, trial: Trial) -> None:
    hostile = HOSTILE if trial.full else HOSTILE[:: len(HOSTILE) // 4]
    root, wrong = tiny.make_page(tmp_path, PAGE, CONFIG), []
    for text in hostile:
        trouble = asked(partial(printed, root, text))
        wrong += [f"{text[:40]!r}: {trouble[-600:]}"] if trouble else []
    note = "value, unit, reason, run table, code, banner; page and PDF of each"
    trial.row(
        "Text",
        "a hostile string of an artifact, printed as text",
        len(hostile),
        len(hostile) - len(wrong),
        "; ".join([note, *wrong[:6]]),
    )


def outputs(hostile: str) -> list[dict[str, Any]]:
    """Cells that put a hostile string out in every way, and say it in every option."""
    quoted = json.dumps(hostile)
    head = f"#| label: fig-a\n#| fig-cap: {quoted}\n#| fig-alt: {quoted}\n1"
    streams = [{"output_type": "stream", "name": name, "text": hostile} for name in ("stdout", "stderr")]
    return [
        tiny.markdown("# Chapter\n"),
        tiny.code(head, [tiny.shown(image_svg__xml=tiny.PICTURE, text_plain=hostile)]),
        tiny.code("2", [*streams, tiny.shown(text_plain=hostile)]),
        tiny.code("3", [{"output_type": "error", "ename": hostile, "evalue": hostile, "traceback": [hostile]}]),
        tiny.code("4", [tiny.shown(text_html=f"<div>{hostile}</div>", text_plain=hostile)]),
        tiny.code("5", [tiny.shown(text_html=f"<table><tr><td>{hostile}</td></tr></table>", text_plain=hostile)]),
        tiny.code("6", [tiny.shown(text_markdown=hostile)]),
        tiny.code("7", [tiny.shown(text_latex=hostile)]),
        tiny.markdown("The end.\n"),
    ]


def chapter(root: Path, hostile: str) -> str:
    """What is wrong with the chapter whose cells put out a hostile string: it is printed, or its errors are named."""
    tiny.write(root, "one.ipynb", tiny.notebook(outputs(hostile)))
    told = ""
    try:
        render(root, tiny.page_printing(root), "embedded")
    except RenderError as error:
        told = str(error)
    page = root / "_site/one.html"
    if "\n" in told or (not told and not page.is_file()):
        return f"told {told[:200]!r}"
    if told and "one.ipynb" not in told and "PDF" not in told:
        return f"not named: {told[:200]!r}"
    if not page.is_file():
        return ""  # refused by name, and never printed before
    text = unescape(page.read_text(encoding="utf-8"))
    if "script-src 'self' 'wasm-unsafe-eval'" not in text or "default-src 'self'" not in text:
        return "no policy"
    blocks = [one.text for one in read(page).all(class_="cell-output")] if not told else []
    said = ["".join(block.split()) for block in blocks]
    return "" if told or sum(plain(hostile) in block for block in said) >= 3 else "not shown as text"


def test_cells_may_put_out_anything(tmp_path: Path, trial: Trial) -> None:
    hostile = HOSTILE if trial.full else HOSTILE[:: len(HOSTILE) // 3]
    root, wrong = tiny.make_page(tmp_path, "# Title\n", CONFIG), []
    config = (root / "_quarto.yml").read_text().replace("[index.qmd]", "[index.qmd, one.ipynb]")
    tiny.write(root, "_quarto.yml", config)
    for text in hostile:
        with mock.patch("livingpaper.render.pandoc._PATIENCE", 20):  # pandoc's own, shortened: some take hours
            trouble = asked(partial(chapter, root, text))
        wrong += [f"{text[:40]!r}: {trouble[-600:]}"] if trouble else []
    note = "streams, tracebacks, captions, HTML, Markdown, LaTeX: printed under the page's policy, or its error named"
    trial.row(
        "Text",
        "a hostile string put out by a cell",
        len(hostile),
        len(hostile) - len(wrong),
        "; ".join([note, *wrong[:6]]),
    )


@pytest.mark.parametrize("text", ["a | b \\| c `d|e`", "`|`", "\\|", "a\\"])
def test_a_bar_in_a_cell_ends_no_cell(tmp_path: Path, text: str) -> None:
    root = tiny.make_page(tmp_path, "# T\n\n::: {.livingpaper page='p'}\n:::\n")
    rows = table(["a", "b"], [[f"{code(text)} {escape(text)}", "last"]])
    write_json(root / "build/print/quick-s1/fragments.json", {"blocks": {"page:p": rows}, "values": {}})
    render(root, tiny.page_printing(root), "embedded")
    cells = read(root / "_site/index.html").one("tbody").all("td")
    assert [cell.text for cell in cells] == [f"{text} {text}", "last"]
