"""Every construct of the book in the printed pages."""

import re
from pathlib import Path

import pytest

from tests.livingpaper.render import tiny
from tests.livingpaper.render.dom import Element, read


@pytest.fixture(scope="module")
def index(printed: Path) -> Element:
    return read(printed / "_site/index.html")


@pytest.fixture(scope="module")
def one(printed: Path) -> Element:
    return read(printed / "_site/chapters/one.html")


@pytest.fixture(scope="module")
def two(printed: Path) -> Element:
    return read(printed / "_site/chapters/two.html")


def test_numbers_and_references_over_chapters(index: Element) -> None:
    links = {link.text: link.attributes["href"] for link in index.one("article").all("a", class_="reference")}
    assert links["Figure 1.1"] == "chapters/one.html#fig-curve"
    assert links["Chapter 1"] == "chapters/one.html#sec-one"
    assert links["2.1"] == "chapters/two.html#tbl-scores"  # [-@tbl-scores]: the number alone
    assert links["Equation 2.1"] == "chapters/two.html#eq-loss"
    assert links["panel 1.1"] == "chapters/one.html#fig-curve"
    assert links["Section 2.1.1"] == "chapters/two.html#sec-deep"
    assert links["Appendix A"] == "extra.html#sec-extra"


def test_every_reference_leads_to_what_it_names(printed: Path) -> None:
    site = printed / "_site"
    count = 0
    for page in site.glob("**/*.html"):
        for link in read(page).all("a"):
            target, _, fragment = link.attributes.get("href", "").partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            place = (page.parent / target).resolve() if target else page
            assert place.is_file(), f"{page.name}: {link.attributes['href']}"
            if fragment:
                count += 1
                assert read(place).all(id=fragment), f"{page.name}: {link.attributes['href']}"
    assert count > 20


def test_figure_of_a_cell(one: Element) -> None:
    figure = one.one("figure", id="fig-curve")
    assert figure.one("figcaption").text.startswith("Figure 1.1. Accuracy of three seeds (")
    image = figure.one("img")
    assert image.attributes["alt"] == "Three rising curves"
    assert (image.attributes["width"], image.attributes["height"]) == ("400", "160")  # 300pt × 120pt
    assert image.attributes["src"].startswith("../figures/")


def test_figure_of_a_page_and_of_an_appendix(index: Element, printed: Path) -> None:
    picture = index.one("figure", id="fig-picture")
    assert picture.one("figcaption").text == "Figure 1. A described picture"  # an unnumbered page counts plainly
    assert picture.one("img").attributes["alt"] == "A red square"
    extra = read(printed / "_site/extra.html").one("figure", id="fig-extra")
    assert extra.one("figcaption").text == "Figure A.1. An appendix figure"


def test_tables_of_pandas_and_of_markdown(one: Element, two: Element) -> None:
    lags = one.one("figure", id="tbl-lags")
    assert lags.one("figcaption").text == "Table 1.1. Scores by lag."
    assert [cell.text for cell in lags.all("td")] == ["eleven"]
    assert "style" not in {element.tag for element in lags.all()}
    assert [cell.text for cell in one.one("figure", id="tbl-runs").all("td")] == ["quick-s1", "2"]
    assert two.one("figure", id="tbl-scores").one("figcaption").text == "Table 2.1. Accuracy per split."


def test_output_cannot_end_the_block_around_it(one: Element) -> None:
    # the Markdown output has a stray ::: behind its table, which stays inside its figure
    assert ":::" in one.one("figure", id="tbl-runs").text
    assert one.one("pre", class_="cell-output-stdout").text == "hello ``` world"


def test_errors_of_cells_are_shown_without_terminal_colours(one: Element) -> None:
    assert one.one("pre", class_="cell-output-error").text == "ValueError: no"


def test_code_is_folded_coloured_and_hidden_as_asked(one: Element) -> None:
    summaries = [fold.one("summary").text for fold in one.all("details", class_="code-fold")]
    assert summaries == ["Code", "How this was made", "Code", "Code", "Code"]
    assert not any("open" in fold.attributes for fold in one.all("details", class_="code-fold"))
    article = one.one("article")
    assert article.all("span", class_="st")  # a string, coloured
    assert "#|" not in article.text
    assert "print(1)" not in article.text  # echo: false
    assert 'run = "quick-s1"' in article.text  # the parameters cell, not the injected one
    assert len([code for code in article.all("code") if code.text.startswith("run =")]) == 1


def test_equations_are_mathml_with_a_number(two: Element) -> None:
    equation = two.one("span", id="eq-loss")
    assert equation.one("math").attributes["display"] == "block"
    assert equation.one("span", class_="equation-number").text == "(2.1)"


def test_callouts(two: Element) -> None:
    note = two.one("div", class_="callout-note")
    assert note.one(class_="callout-title").text == "Note"
    folded = two.one("details", class_="callout-warning")
    assert "open" not in folded.attributes
    assert folded.one("summary").text == "Warning: Folded warning"
    assert folded.one("em").text == "warning"
    important = two.one("div", class_="callout-important")
    assert important.one(class_="callout-title").text == "Important: Read this"


def test_claims_have_status_class_word_and_resolved_references(index: Element) -> None:
    for name in tiny.CLAIMS:
        claim = index.one("div", class_=f"claim-{name}")
        assert claim.one(class_="callout-title").text == f"{name.title()} · 3/3 runs"
        assert claim.one("a", class_="reference").text == "Figure 1.1"
        assert claim.one("a", class_="file").attributes["href"] == "data.json"


def test_numbers_in_prose(index: Element) -> None:
    assert index.one("span", class_="livingpaper-value").text == "1,080"


def test_citations_and_list_of_works(index: Element, printed: Path) -> None:
    assert "Elhage and Nanda ( 2021 )" in index.one("article").text
    works = [work.text for work in index.all(class_="csl-entry")]
    assert [work.split(",")[0] for work in works] == ["Elhage", "Olsson"]
    everything = read(printed / "_site/references.html").all(class_="csl-entry")
    assert len(everything) == 2


def test_footnote(index: Element) -> None:
    assert index.one("section", class_="footnotes").text.startswith("A footnote with emphasis")


def test_sections_are_numbered_and_unnumbered_pages_are_not(index: Element, two: Element) -> None:
    assert two.one("h1").text == "2 The second"
    assert [heading.text for heading in two.all("h2")] == ["2.1 Loss"]
    assert [heading.text for heading in two.all("h3")] == ["2.1.1 Deeper"]
    assert index.one("h1").text == "Summary"


def test_contents_of_a_page(two: Element) -> None:
    assert [link.text for link in two.one("nav", class_="toc").all("a")] == ["2.1 Loss", "2.1.1 Deeper"]


def test_sidebar_and_neighbours(one: Element) -> None:
    sidebar = one.one("nav", id="sidebar")
    entries = [link.text for links in sidebar.all("ul", class_="chapters") for link in links.all("a")]
    assert entries == ["Summary", "1 Formation windows", "2 The second", "References", "A More"]
    assert [part.text for part in sidebar.all("p", class_="part")] == ["Evidence", "Appendices"]
    assert sidebar.one("a", aria_current="page").text == "1 Formation windows"
    assert one.one("a", class_="turn-previous").attributes["href"] == "../index.html"
    assert one.one("a", class_="turn-next").attributes["href"] == "two.html"


def test_run_switcher_leads_to_the_same_chapter(one: Element, printed: Path) -> None:
    links = {link.text: link.attributes["href"] for link in one.one("details", class_="runs").all("a")}
    assert links == {"quick-s1": "one.html", "quick-s2": "../runs/quick-s2/chapters/one.html"}
    other = read(printed / "_site/runs/quick-s2/chapters/one.html")
    back = {link.text: link.attributes["href"] for link in other.one("details", class_="runs").all("a")}
    assert back == {"quick-s1": "../../../chapters/one.html", "quick-s2": "one.html"}
    assert "quick-s2" in [cell.text for cell in other.one("figure", id="tbl-runs").all("td")]


def test_runs_have_their_own_figures(printed: Path) -> None:
    own = {path.name for path in (printed / "_site/figures").iterdir()}
    other = {path.name for path in (printed / "_site/runs/quick-s2/figures").iterdir()}
    assert len(own) == len(other) == 1
    assert own != other


def test_linked_files_are_in_the_site(index: Element, printed: Path) -> None:
    assert (printed / "_site/data.json").read_text() == '{"a": 1}'
    assert "data.json" in {link.attributes["href"] for link in index.all("a")}


def test_no_page_can_ask_another_host_for_anything(printed: Path) -> None:
    for page in (printed / "_site").glob("**/*.html"):
        tree = read(page)
        policy = tree.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
        assert "default-src 'self'" in policy
        assert "http" not in policy
        loaded = [e.attributes.get("src") for e in tree.all()] + [e.attributes["href"] for e in tree.all("link")]
        assert not [url for url in loaded if url and re.match(r"(?:[a-z]+:)?//", url)]
        assert not [script for script in tree.all("script") if "src" not in script.attributes]


def test_landmarks_and_skip_link(one: Element) -> None:
    assert one.one("html").attributes["lang"] == "en"
    assert one.one("a", class_="skip").attributes["href"] == "#content"
    assert one.one("main", id="content")
    names = [nav.attributes.get("aria-label") or nav.attributes.get("aria-labelledby") for nav in one.all("nav")]
    assert all(names)
    assert len(set(names)) == len(names)


def test_identifiers_are_unique(printed: Path) -> None:
    for page in (printed / "_site").glob("**/*.html"):
        names = [element.attributes["id"] for element in read(page).all() if "id" in element.attributes]
        assert len(names) == len(set(names)), page.name
