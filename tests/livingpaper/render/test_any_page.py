"""Whatever stands in a page: it is printed, or refused by name; never a traceback, never a lost site."""

from pathlib import Path

import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livingpaper.render import RenderError, render
from livingpaper.render.markup import unbalanced
from tests.livingpaper.render import tiny
from tests.livingpaper.render.dom import read

BOTH = "format: {html: {}, typst: {}}\nbibliography: r.bib\n"

PIECES = [
    *("# H {#sec-a}\n\n", "## S\n\n", "## S {#sec-b .unnumbered}\n\n", "##### Deep\n\n"),
    *("![c](p.svg){#fig-a}\n\n", "![](p.svg)\n\n", "![c](p.svg){width=120 #fig-b}\n\n", "![c](p.tiff)\n\n"),
    *("| a | b |\n|--|--|\n| 1 | 2 |\n\n: cap {#tbl-a}\n\n", "+---+\n| a |\n+---+\n\n"),
    *(
        "$$x_i^{2}$$ {#eq-a}\n\n",
        "$\\frac{a}{b}$ ",
        "$\\undefined{x}$ ",
        "$$\\begin{aligned}a&=b\\\\c&=d\\end{aligned}$$ ",
    ),
    *("@fig-a ", "[-@tbl-a] ", "@sec-a ", "@nobody ", "@olsson2022 ", "[see @elhage2021, p. 3; @fig-b] "),
    *(
        "::: {.callout-note}\n",
        '::: {.callout-tip title="a <b>" collapse=true}\n',
        "::: {#fig-c}\n",
        "::: {#tbl-c}\n",
        ":::\n\n",
    ),
    *('::: {.livingpaper claim="born"}\n:::\n\n', "`analysis/x.json#/birth/value`{.value format='.0f'} "),
    *(
        "[l](#sec-b) ",
        "[l](index.qmd) ",
        "[l](p.svg) ",
        "[l](gone) ",
        "<b>raw</b> ",
        "<div>\n",
        "</div>\n",
        "^[note *x*] ",
    ),
    *("```python\nx = 1\n```\n\n", "```{=html}\n<i>z</i>\n```\n\n", "```{=typst}\n#strong[z]\n```\n\n"),
    *("- item\n", "1. item\n\n   para\n", "> # quoted\n\n", "term\n: def\n\n", "\n\n"),
    *("\\# $ #show: x => [] \n", "#let x = 1 ", "*a **b* c** ", "[sp]{.x #y} ", "漢字 🙂 ", "\\begin{x}y\\end{x} "),
]


def page(root: Path, text: str) -> Path:
    """A book of one page with a PDF, and the files its pieces name."""
    tiny.make_page(root, text, BOTH)
    tiny.write(root, "p.svg", tiny.PICTURE)
    tiny.write(root, "r.bib", tiny.BIBLIOGRAPHY)
    tiny.write(root, "data.json", "{}")
    return root


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=20))
def test_any_page_is_printed_or_its_errors_are_named(tmp_path: Path, pieces: list[str]) -> None:
    root = page(tmp_path, "# T\n\n" + "".join(pieces))
    (root / "_site/index.html").unlink(missing_ok=True)
    told = ""
    try:
        render(root, tiny.page_printing(root), "embedded")
    except RenderError as error:
        told = str(error)
    assert "PDF: " not in told
    assert (root / "_site/one-page.pdf").is_file()
    if "raw HTML is not balanced" not in told:
        assert read(root / "_site/index.html").one("main").one("article")


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("", ""),
        ("<p>a<p>b<ul><li>c</ul><img src='x'><br/>", ""),
        ("a </div> b", "</div>"),
        ("<div><span>a</div></span>", "</div>"),
        ("<section>a", "<section>"),
        ("<svg/onload=x>a", "<svg>"),
        ("a <svg><path/></svg> <math><mi>x</mi></math> <iframe></iframe>", ""),
        ("<textarea>a", "<textarea>"),
    ],
)
def test_raw_html_that_would_break_the_page(text: str, tag: str) -> None:
    assert unbalanced(text) == tag


def test_raw_html_that_would_break_the_page_is_an_error(tmp_path: Path) -> None:
    root = tiny.make_page(tmp_path, "# T\n\n</article>\n")
    with pytest.raises(RenderError, match=r"index\.qmd: raw HTML is not balanced at </article>"):
        render(root, tiny.page_printing(root), "embedded")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("::: {.box}\n# Inner\n:::\n\n> # Quoted\n", ""),  # Typst breaks no page inside a container
        ("## A {#sec-x}\n\n## B {#sec-x}\n", "label 'sec-x' is also given"),
        ("Cites @nobody2020.\n", "index.qmd: @nobody2020 is not in the bibliography"),
        ("[l](#nowhere)\n", ""),
    ],
)
def test_what_once_stopped_the_pdf(tmp_path: Path, text: str, message: str) -> None:
    root = page(tmp_path, f"# T\n\n{text}")
    if message:
        with pytest.raises(RenderError, match=message):
            render(root, tiny.page_printing(root), "embedded")
    else:
        render(root, tiny.page_printing(root), "embedded")
    document = pypdfium2.PdfDocument(root / "_site/one-page.pdf")
    assert len(document) >= 3
    document.close()


def test_the_site_does_not_wait_for_a_pdf_that_cannot_be_set(tmp_path: Path) -> None:
    root = page(tmp_path, "# T\n\n```{=typst}\n#no-such-function()\n```\n")
    with pytest.raises(RenderError, match="PDF: unknown variable: no-such-function"):
        render(root, tiny.page_printing(root), "embedded")
    tree = read(root / "_site/index.html")
    assert tree.one("h1").text == "1 T"
    assert tree.all("p", class_="downloads") == []
    assert not (root / "_site/one-page.pdf").exists()


def test_a_page_that_takes_pandoc_hours_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livingpaper.render.pandoc._PATIENCE", 1)
    root = tiny.make_page(tmp_path, f"# T\n\n{'[' * 3000}\n")
    with pytest.raises(RenderError, match=r"index\.qmd: pandoc: not done after 1 s; look for brackets"):
        render(root, tiny.page_printing(root), "embedded")


def test_a_page_pandoc_cannot_read_is_named_and_the_old_site_stands(tmp_path: Path) -> None:
    root = page(tmp_path, "# T\n")
    render(root, tiny.page_printing(root), "embedded")
    tiny.write(root, "index.qmd", "# T\n\n---\na: [\n---\n")
    with pytest.raises(RenderError, match=r"index\.qmd: pandoc: Error parsing YAML"):
        render(root, tiny.page_printing(root), "embedded")
    assert read(root / "_site/index.html").one("h1").text == "1 T"
