"""The same content in the PDF, with the same numbers, and the same bytes each time."""

import re
from pathlib import Path

import pypdfium2
import pytest

from livingpaper.render import render
from tests.livingpaper.render import tiny
from tests.livingpaper.render.dom import read

NAME = "a-tiny-book.pdf"


def text_of(path: Path) -> str:
    """All words of a PDF, white space made single, hyphens at line ends joined."""
    document = pypdfium2.PdfDocument(path)
    pages = [page.get_textpage().get_text_bounded() for page in document]
    document.close()
    return " ".join(" ".join(pages).replace("\ufffe", "").replace("\u00a0", " ").split())


@pytest.fixture(scope="module")
def words(printed: Path) -> str:
    return text_of(printed / "_site" / NAME)


@pytest.mark.parametrize(
    "expected",
    [
        "A tiny book With every construct A. Author",
        "Run quick-s1",
        "Contents",
        "see Figure 1.1 in Chapter 1, 2.1, Equation 2.1",
        "Born at step 1,080",
        "Figure 1.1. Accuracy of three seeds (Olsson 2022).",
        "Figure 1. A described picture",
        "Figure A.1. An appendix figure",
        "Table 1.1. Scores by lag.",
        "eleven",
        "Table 2.1. Accuracy per split.",
        "(2.1)",
        "Claim supported, see Figure 1.1.",
        "Supported · 3/3 runs",
        "Next-Test · 3/3 runs",
        "Folded warning Its body.",
        "hello ``` world",
        "ValueError: no",
        "A Mathematical Framework for Transformer Circuits",
        "A footnote with emphasis.",
    ],
)
def test_it_says(words: str, expected: str) -> None:
    assert expected in words


def test_echo_false_keeps_code_out(words: str) -> None:
    assert 'draw("curve")' not in words


def test_its_numbers_are_those_of_the_site(printed: Path, words: str) -> None:
    labels = []
    for page in (printed / "_site").glob("**/*.html"):
        if "runs" in page.parts:
            continue
        tree = read(page)
        labels += [label.text for label in tree.all(class_="float-label")]
        labels += [heading.text for tag in ("h1", "h2", "h3") for heading in tree.all(tag) if heading.text[0].isdigit()]
        labels += [number.text for number in tree.all(class_="equation-number")]
    assert len(labels) >= 10
    assert [label for label in labels if label not in words.replace("\u2002", " ")] == []


def test_it_is_linked_from_every_page_and_stands_beside_every_run(printed: Path) -> None:
    for page in (printed / "_site").glob("**/*.html"):
        href = read(page).one("p", class_="downloads").one("a").attributes["href"]
        assert (page.parent / href).resolve().name == NAME
        assert (page.parent / href).is_file()
    assert "Run quick-s2" in text_of(printed / "_site/runs/quick-s2" / NAME)


def test_it_is_tagged_for_reading_aloud(printed: Path) -> None:
    data = (printed / "_site" / NAME).read_bytes()
    assert b"/MarkInfo" in data or b"pdfuaid" in data
    document = pypdfium2.PdfDocument(printed / "_site" / NAME)
    assert document.get_metadata_dict()["Title"] == "A tiny book"
    assert document.get_metadata_dict()["CreationDate"].startswith("D:20260102")
    document.close()


def test_outline_has_the_chapters(printed: Path) -> None:
    document = pypdfium2.PdfDocument(printed / "_site" / NAME)
    titles = [re.sub(r"\s+", " ", item.get_title()) for item in document.get_toc()]
    document.close()
    assert titles.index("1 Formation windows") < titles.index("2 The second") < titles.index("A More")


def test_the_same_book_gives_the_same_bytes(printed: Path, tmp_path: Path) -> None:
    again = tiny.make_book(tmp_path)
    for run, _ in tiny.RUNS:
        render(again, tiny.printing(again, run), "embedded")
    made = {path.relative_to(again / "_site"): path.read_bytes() for path in (again / "_site").rglob("*.*")}
    before = {path.relative_to(printed / "_site"): path.read_bytes() for path in (printed / "_site").rglob("*.*")}
    assert made.keys() == before.keys()
    assert [str(name) for name in made if made[name] != before[name]] == []
    assert Path(NAME) in made


def test_what_cannot_be_printed_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [
        tiny.markdown("# One\n\n<video src='x.mp4'></video>\n\nPrice of 1 € and 🙂.\n"),
        tiny.code("view", [tiny.shown(text_html="<div id='v'><script>1</script></div>", text_plain="a view")]),
        tiny.code("other", [tiny.shown(application_x="?")]),
    ]
    root = tiny.make_page(tmp_path, "# One page\n", "format: {typst: {}}\n", one_ipynb=tiny.notebook(cells))
    tiny.write(root, "_quarto.yml", (root / "_quarto.yml").read_text().replace("[index.qmd]", "[index.qmd, one.ipynb]"))
    render(root, tiny.page_printing(root), "embedded")
    told = capsys.readouterr().err
    assert "one.ipynb: cell 2: HTML output cannot be printed in the PDF" in told
    assert "one.ipynb: raw html '<video src=" in told
    assert "one.ipynb: cell 3: output of type application/x is not covered" in told
    assert "PDF: not PDF/UA" in told  # no font of Typst has the emoji
    assert "a view" in text_of(root / "_site/one-page.pdf")
