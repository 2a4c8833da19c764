"""The book's description: what is covered, what is named as not covered, what is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livingpaper.book import Entry, merge, read_book
from livingpaper.booksection import BookError
from livingpaper.errors import PressError
from tests.livingpaper.render import tiny


def book(root: Path, **changes: Any) -> Path:
    """A project whose `_quarto.yml` has some keys changed; `book__title` is `book.title`."""
    data: dict[str, Any] = {"book": {"title": "T", "chapters": ["index.qmd"]}}
    for name, value in changes.items():
        *path, key = name.replace("_", "-").split("--")
        inner = data
        for part in path:
            inner = inner.setdefault(part, {})
        inner[key] = value
    tiny.write(root, "_quarto.yml", yaml.safe_dump(data))
    for name in ("index.qmd", "a.qmd", "b.ipynb", "x.lua", "c.css", "r.bib"):
        tiny.write(root, name, "# T\n")
    return root


def test_pages_in_order_with_parts_and_appendices(tmp_path: Path) -> None:
    chapters = ["index.qmd", {"part": "P", "chapters": ["b.ipynb"]}]
    found = read_book(book(tmp_path, book__chapters=chapters, book__appendices=["a.qmd"]))
    assert found.entries == (Entry("index.qmd"), Entry("b.ipynb", "P"), Entry("a.qmd", None, True))
    assert found.notebooks == ("b.ipynb",)


def test_defaults(tmp_path: Path) -> None:
    found = read_book(book(tmp_path))
    assert (found.output, found.language, found.pdf, found.warnings) == ("_book", "en", None, ())
    assert (found.html.code_fold, found.html.echo) == ("false", True)


def test_echo_of_a_format_goes_before_that_of_execute(tmp_path: Path) -> None:
    found = read_book(book(tmp_path, execute__echo=False, format__html__echo=True, format__typst="default"))
    assert found.html.echo is True
    assert found.pdf is not None
    assert found.pdf.echo is False


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"editor": "visual"}, "editor"),
        ({"book__cover_image": "x.png"}, "book.cover-image"),
        ({"project__brand": "b.yml"}, "project.brand"),
        ({"format__html__mermaid": {}}, "format.html.mermaid"),
        ({"format__typst__columns": 2}, "format.typst.columns"),
        ({"format__epub": {}}, "format.epub"),
        ({"execute__kernel": "x"}, "execute.kernel"),
    ],
)
def test_what_is_not_covered_is_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    assert read_book(book(tmp_path, **change)).warnings == (
        f"_quarto.yml: {named} is not covered by the embedded renderer",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"project__type": "website"}, "project.type is 'website', expected 'book'"),
        ({"book__title": ""}, "book.title is missing"),
        ({"book__title": ["x"]}, "book.title is ['x'], expected text"),
        ({"book__chapters": "index.qmd"}, "book.chapters is 'index.qmd', expected a list of files"),
        ({"book__chapters": ["a.qmd"]}, "book.chapters has no index.qmd"),
        ({"book__chapters": ["index.qmd", "gone.qmd"]}, "book.chapters: gone.qmd does not exist"),
        ({"book__chapters": ["index.qmd", "../x.qmd"]}, "'../x.qmd', expected a path inside the project"),
        ({"book__chapters": ["index.qmd", "/etc/passwd"]}, "'/etc/passwd', expected a path inside the project"),
        ({"book__chapters": ["index.qmd", "a.qmd", "a.qmd"]}, "a.qmd is listed twice"),
        ({"book__chapters": ["index.qmd", "x.lua"]}, "x.lua is not a .qmd, .md or .ipynb file"),
        ({"book__chapters": ["index.qmd", 3]}, "book.chapters has 3, expected a file or a part"),
        ({"project__output_dir": "../site"}, "'../site', expected a path inside the project"),
        ({"project__output_dir": "paper"}, "'paper', expected a folder of its own, such as _site"),
        ({"project__output_dir": "results/site"}, "expected a folder of its own"),
        ({"project__output_dir": ".git"}, "'.git', expected a folder of its own"),
        ({"project__output_dir": "site", "format__html__css": "site/x.css"}, "'site', where site/x.css lies"),
        ({"book__chapters": ["index.qmd", "a?b#c%.qmd"]}, "has a sign that no URL can hold; rename it"),
        ({"book__chapters": ["index.qmd", "a\nb.qmd"]}, "expected a path inside the project"),
        ({"book__repo_url": "javascript:alert(1)"}, "book.repo-url is 'javascript:alert(1)', expected a URL"),
        ({"book__site_url": "//x"}, "expected a URL with https://"),
        ({"lang": 'en" onload="x'}, "lang is 'en\" onload=\"x', expected a language such as en or en-GB"),
        ({"filters": 3}, "filters is 3, expected a list of {at: pre-ast"),
        ({"book__author": [1] * 500}, "…, expected text"),
        ({"filters": ["x.lua"]}, "filters has 'x.lua', expected {at: pre-ast"),
        ({"filters": [{"at": "post-quarto", "path": "x.lua"}]}, "expected {at: pre-ast"),
        ({"bibliography": "gone.bib"}, "bibliography: gone.bib does not exist"),
        ({"format__html__code_fold": "maybe"}, "format.html.code-fold is 'maybe', expected one of: true, show, false"),
        ({"format__html__toc_depth": 12}, "format.html.toc-depth is 12, expected a number from 1 to 6"),
        ({"format__typst__echo": "no"}, "format.typst.echo is 'no', expected true or false"),
        ({"format__typst__fontsize": "12pt); #evil("}, "expected a length such as 10.5pt"),
        ({"format__typst__papersize": "letter"}, "expected one of: a4, a5, a3, us-letter"),
        ({"format": ["html"]}, "format is ['html'], expected a mapping"),
    ],
)
def test_what_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    for name in ("a?b#c%.qmd", "site/x.css"):
        tiny.write(tmp_path, name, "# A\n")
    with pytest.raises(BookError) as caught:
        read_book(book(tmp_path, **change))
    assert str(caught.value).startswith("_quarto.yml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "- 1", "book: {title: a\n", "a: 1\na: 2\n", "!!python/object:x {}"])
def test_what_is_no_description_is_refused(tmp_path: Path, text: str) -> None:
    tiny.write(tmp_path, "_quarto.yml", text)
    with pytest.raises(PressError, match=r"^_quarto\.yml"):
        read_book(tmp_path)


def test_no_description_at_all(tmp_path: Path) -> None:
    with pytest.raises(PressError, match=r"_quarto\.yml: not found"):
        read_book(tmp_path)


def test_profiles_merge_mappings_join_lists_and_replace_the_rest() -> None:
    below = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merge(below, {"a": {"b": 2, "c": [2, 3]}, "d": [4]}) == {"a": {"b": 2, "c": [1, 2, 3]}, "d": [4]}
    assert below == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_a_profile_is_laid_over(tmp_path: Path) -> None:
    root = book(tmp_path)
    tiny.write(root, "_quarto-draft.yml", "book: {title: Other}\n")
    assert read_book(root, "draft").title == "Other"
    assert read_book(root, "none").title == "T"
    assert read_book(root, "../draft").title == "T"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["index.qmd", "html", "a.qmd"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["project", "book", "format", "filters", "bibliography", "lang", "execute", "csl"]
INNER = ["type", "title", "chapters", "appendices", "output-dir", "html", "typst", "css", "echo", "page-footer", "path"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.dictionaries(st.sampled_from(KEYS), VALUES | st.dictionaries(st.sampled_from(INNER), VALUES)))
def test_any_description_is_read_or_refused_by_name(tmp_path: Path, data: dict[str, Any]) -> None:
    if not (tmp_path / "index.qmd").is_file():
        book(tmp_path)
    tiny.write(tmp_path, "_quarto.yml", yaml.safe_dump(data))
    try:
        found = read_book(tmp_path)
    except BookError as error:
        assert str(error).startswith("_quarto.yml: ")  # noqa: PT017  (one of two good outcomes)
    else:
        assert "index.qmd" in {entry.source for entry in found.entries}
