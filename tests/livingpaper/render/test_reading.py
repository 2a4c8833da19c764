"""From a source to one form: cells, options, floats, equations, titles, numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livingpaper.book import Entry
from livingpaper.render import ast, numbering, structure
from livingpaper.render.ast import Attr, Node
from livingpaper.render.images import Size, size
from livingpaper.render.notebook import Defaults, convert, fenced_code
from livingpaper.render.options import cell_options
from livingpaper.render.pages import Page
from livingpaper.render.pandoc import Pandoc
from tests.livingpaper.render import tiny


def blocks(text: str, root: Path) -> list[Node]:
    """The blocks of a text as pandoc reads them."""
    tree = json.loads(Pandoc(root, root / "store").run(["-f", "markdown", "-t", "json"], text).output)
    found: list[Node] = tree["blocks"]
    return found


def page(text: str, root: Path, number: str = "1", appendix: bool = False) -> Page:
    """A page with its floats in one form."""
    entry = Entry("a.qmd", None, appendix)
    title = [ast.string("Title")]
    found = Page(entry, "a.html", "a", title, Attr("sec-title"), structure.normalise(blocks(text, root)))
    found.number = number
    return found


def cells(path: Path, *content: dict[str, Any], **defaults: Any) -> str:
    """The Markdown of a notebook of some cells."""
    return convert(tiny.write(path, "n.ipynb", tiny.notebook(list(content))), "n.ipynb", Defaults(**defaults)).markdown


# --- cells -----------------------------------------------------------------------------------------------------------


def test_options_are_read_and_taken_off_the_code() -> None:
    options = cell_options('#| label: fig-x\n#| fig-cap: "A: b"\n#| echo: false\n\nx = 1\n#| y', "n: cell 1")
    assert options.code == "x = 1\n#| y"
    assert (options.text("label"), options.text("fig-cap"), options.flag("echo", True)) == ("fig-x", "A: b", False)
    assert options.flag("include", True)


@pytest.mark.parametrize(
    ("source", "message"),
    [("#| a: [", "not valid YAML"), ("#| just words", "expected `#| key: value`"), ("#| label: 3", "expected text")],
)
def test_options_that_cannot_be_read_name_the_cell(source: str, message: str) -> None:
    with pytest.raises(Exception, match=f"^n: cell 7: .*{message}"):
        cell_options(source, "n: cell 7")


def test_what_a_cell_hides(tmp_path: Path) -> None:
    stream = [{"output_type": "stream", "name": "stdout", "text": "out"}]
    assert cells(tmp_path, tiny.code("#| include: false\nx", stream)) == "\n"
    assert "out" not in cells(tmp_path, tiny.code("#| output: false\nx", stream))
    assert "x" not in cells(tmp_path, tiny.code("x", stream), echo=False).replace("text", "")
    warned = [{"output_type": "stream", "name": "stderr", "text": "careful"}]
    assert "careful" in cells(tmp_path, tiny.code("x", warned))
    assert "careful" not in cells(tmp_path, tiny.code("#| warning: false\nx", warned))


def test_pieces_of_a_stream_are_one_output(tmp_path: Path) -> None:
    parts = [{"output_type": "stream", "name": "stdout", "text": text} for text in ("a", "b\n", "c")]
    whole = [{"output_type": "stream", "name": "stdout", "text": "ab\nc"}]
    assert cells(tmp_path, tiny.code("x", parts)) == cells(tmp_path, tiny.code("x", whole))


def test_the_richest_output_is_taken(tmp_path: Path) -> None:
    text = cells(tmp_path, tiny.code("x", [tiny.shown(text_plain="plain", text_html="<b>h</b>", text_markdown="*m*")]))
    assert "*m*" in text
    assert "plain" not in text


def test_a_png_is_kept_byte_for_byte(tmp_path: Path) -> None:
    import base64

    data = b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + (640).to_bytes(4, "big") + (480).to_bytes(4, "big")
    shown = tiny.shown(image_png=base64.b64encode(data).decode())
    path = tiny.write(tmp_path, "n.ipynb", tiny.notebook([tiny.code('#| fig-alt: "x"\nx', [shown])]))
    found = convert(path, "n.ipynb", Defaults())
    assert list(found.figures.values()) == [data]
    assert size(data) == Size(640, 480)


def test_a_figure_nobody_can_hear_of_is_named(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "n.ipynb", tiny.notebook([tiny.code("x", [tiny.shown(image_svg__xml=tiny.PICTURE)])]))
    assert convert(path, "n.ipynb", Defaults()).warnings == [
        "n.ipynb: cell 1: a figure without #| fig-alt or #| fig-cap cannot be read aloud"
    ]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from("`~:{}#.x \n"), max_size=30))
def test_no_text_ends_the_fence_around_it(tmp_path: Path, text: str) -> None:
    found = blocks(f"{fenced_code(text, '.a')}\n\nafter\n", tmp_path)
    assert [block["t"] for block in found] == ["CodeBlock", "Para"]
    assert found[0]["c"][1] == text.strip("\n") or found[0]["c"][1] == text


def test_a_figure_that_was_not_made_keeps_its_number(tmp_path: Path) -> None:
    made = tiny.shown(image_svg__xml=tiny.PICTURE)
    failed = [
        tiny.code('#| label: fig-a\n#| fig-cap: "A"\nx'),
        tiny.code('#| label: fig-b\n#| fig-cap: "B"\nx', [made]),
    ]
    path = tiny.write(tmp_path, "n.ipynb", tiny.notebook(failed))
    found = convert(path, "n.ipynb", Defaults())
    assert "n.ipynb: cell 1: fig-a has no output" in found.warnings
    assert found.markdown.index("#fig-a") < found.markdown.index("not made") < found.markdown.index("#fig-b")


def test_a_script_in_an_output_is_named(tmp_path: Path) -> None:
    path = tiny.write(
        tmp_path, "n.ipynb", tiny.notebook([tiny.code("x", [tiny.shown(text_html="<SCRIPT>1</SCRIPT>")])])
    )
    assert "cell 1: HTML output has a script" in convert(path, "n.ipynb", Defaults()).warnings[0]


# --- floats and equations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '![Cap *x*](a.svg){#fig-a fig-alt="Alt"}',
        '::: {#fig-a}\n![](a.svg){fig-alt="Alt"}\n\nCap *x*\n:::',
        '::: {#fig-a}\n![Cap *x*](a.svg){fig-alt="Alt"}\n:::',
    ],
)
def test_every_way_to_write_a_figure_gives_one_form(tmp_path: Path, text: str) -> None:
    (found,) = page(text, tmp_path).blocks
    assert structure.is_float(found)
    attr, caption, body = structure.parts(found)
    assert (attr.id, attr.pairs["kind"], ast.text(caption)) == ("fig-a", "fig", "Cap x")
    (image,) = ast.nodes(body, "Image")
    assert Attr.of(image["c"][0]).pairs["fig-alt"] == "Alt"
    assert not list(ast.nodes(body, "Figure"))


@pytest.mark.parametrize(
    "text",
    ["| a |\n|---|\n| 1 |\n\n: Cap {#tbl-a}", "::: {#tbl-a}\n| a |\n|---|\n| 1 |\n\nCap\n:::"],
)
def test_every_way_to_write_a_table_gives_one_form(tmp_path: Path, text: str) -> None:
    (found,) = page(text, tmp_path).blocks
    attr, caption, body = structure.parts(found)
    assert (attr.id, attr.pairs["kind"], ast.text(caption)) == ("tbl-a", "tbl", "Cap")
    assert [block["t"] for block in body] == ["Table"]


def test_a_figure_without_a_description_is_described_by_its_caption(tmp_path: Path) -> None:
    found = page("::: {#fig-a}\n![](a.svg)\n\nWhat it shows.\n:::", tmp_path)
    (image,) = ast.nodes(found.blocks, "Image")
    assert Attr.of(image["c"][0]).pairs["fig-alt"] == "What it shows."


@pytest.mark.parametrize("text", ["$$x$$ {#eq-a}", "$$\nx\n$$ {#eq-a}", "Before $$x$$ {#eq-a}, after"])
def test_equations(tmp_path: Path, text: str) -> None:
    found = page(text, tmp_path)
    (span,) = ast.nodes(found.blocks, "Span")
    assert span["c"][0][0] == "eq-a"
    assert "{#eq" not in ast.text(found.blocks)
    assert ast.text(found.blocks).endswith("after") is text.endswith("after")


def test_an_equation_without_a_label_has_no_number(tmp_path: Path) -> None:
    found = page("$$x$$", tmp_path)
    assert list(ast.nodes(found.blocks, "Span")) == []
    assert numbering.number_pages([found]).keys() == {"sec-title"}


# --- numbers ---------------------------------------------------------------------------------------------------------

FIGURES = "![A](a.svg){#fig-%s}\n\n## S {#sec-%s}\n\n![B](a.svg){#fig-%s2}\n\n$$x$$ {#eq-%s}\n"


def test_numbers_count_within_a_chapter(tmp_path: Path) -> None:
    pages = [
        page(FIGURES.replace("%s", name), tmp_path, number) for name, number in (("a", "1"), ("b", "2"), ("c", ""))
    ]
    for index, one in enumerate(pages):
        one.attr = Attr(f"sec-t{index}")
    targets = numbering.number_pages(pages)
    found = {name: f"{target.word} {target.number}".strip() for name, target in targets.items()}
    assert found == {
        "sec-t0": "Chapter 1",
        "fig-a": "Figure 1.1",
        "sec-a": "Section 1.1",
        "fig-a2": "Figure 1.2",
        "eq-a": "Equation 1.1",
        "sec-t1": "Chapter 2",
        "fig-b": "Figure 2.1",
        "sec-b": "Section 2.1",
        "fig-b2": "Figure 2.2",
        "eq-b": "Equation 2.1",
        "sec-t2": "Chapter",
        "fig-c": "Figure 1",
        "sec-c": "Section",
        "fig-c2": "Figure 2",
        "eq-c": "Equation 1",
    }


def test_sections_count_by_level_and_skip_unnumbered_ones(tmp_path: Path) -> None:
    text = "## A {#sec-a}\n### B {#sec-b}\n### C {#sec-c .unnumbered}\n### D {#sec-d}\n## E {#sec-e}\n#### F {#sec-f}\n"
    targets = numbering.number_pages([page(text, tmp_path, "3")])
    numbers = {name: target.number for name, target in targets.items() if name != "sec-title"}
    assert numbers == {
        "sec-a": "3.1",
        "sec-b": "3.1.1",
        "sec-c": "",
        "sec-d": "3.1.2",
        "sec-e": "3.2",
        "sec-f": "3.2.0.1",
    }


def test_headings_in_callouts_are_no_sections(tmp_path: Path) -> None:
    text = "::: {.callout-note}\n## Title\n\n### Inner\n:::\n\n## Real {#sec-real}\n"
    targets = numbering.number_pages([page(text, tmp_path)])
    assert targets["sec-real"].number == "1.1"


def test_an_appendix_has_a_letter(tmp_path: Path) -> None:
    targets = numbering.number_pages([page("![A](a.svg){#fig-a}", tmp_path, "B", appendix=True)])
    assert (targets["sec-title"].word, targets["fig-a"].number) == ("Appendix", "B.1")


def test_a_reference_to_what_has_no_number_bears_its_title(tmp_path: Path) -> None:
    found = page("@sec-title", tmp_path, "")
    numbering.resolve(found, numbering.number_pages([found]), lambda here, target: f"#{target.identifier}")
    assert ast.text(found.blocks) == "“Title”"
    assert found.errors == []


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(st.sampled_from(["fig", "tbl", "eq"]), max_size=8))
def test_numbers_of_a_kind_are_one_two_three(tmp_path: Path, kinds: list[str]) -> None:
    ways = {"fig": "![C](a.svg){#fig-%d}", "tbl": "| a |\n|---|\n| 1 |\n\n: C {#tbl-%d}", "eq": "$$x$$ {#eq-%d}"}
    text = "\n\n".join(ways[kind] % index for index, kind in enumerate(kinds))
    targets = numbering.number_pages([page(text, tmp_path, "4")])
    for kind in ways:
        numbers = [targets[f"{kind}-{index}"].number for index, other in enumerate(kinds) if other == kind]
        assert numbers == [f"4.{count}" for count in range(1, len(numbers) + 1)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'<svg width="7in" height="72pt">', Size(672, 96)),
        (b"<?xml version='1.0'?><svg viewBox='0 0 30 40.4'>", Size(30, 40)),
        (b'<svg width="100%" height="5em">', None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_sizes_of_images(data: bytes, expected: Size | None) -> None:
    assert size(data) == expected


LONG = "words " * 30


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"| a | b |\n|---|---|\n| x | {LONG} |", False),
        (f"| a | b |\n|---|---|\n| x | {LONG} |\n\n: Cap {{#tbl-a}}", False),
        ("+---+-----+\n| a | b   |\n+===+=====+\n| x | y   |\n+---+-----+", True),
    ],
)
def test_columns_are_as_wide_as_their_content_unless_drawn(tmp_path: Path, text: str, kept: bool) -> None:
    (table,) = ast.nodes(page(text, tmp_path).blocks, "Table")
    assert [width["t"] == "ColWidth" for _, width in table["c"][2]] == [kept, kept]
