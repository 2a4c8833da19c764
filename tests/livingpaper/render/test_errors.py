"""What is wrong in a page is shown in it, named, and ends in an error; hostile text stays text."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livingpaper.render import RenderError, render
from livingpaper.render.coverage import uncovered
from livingpaper.render.notebook import Defaults, convert
from livingpaper.render.options import cell_options
from livingpaper.render.pandoc import Pandoc
from tests.livingpaper.render import tiny
from tests.livingpaper.render.dom import parse, read


def failing(root: Path) -> str:
    """The message of the error a book of one page ends in."""
    with pytest.raises(RenderError) as caught:
        render(root, tiny.page_printing(root), "embedded")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message", "shown"),
    [
        ('::: {.livingpaper claim="no-such"}\n:::', "claim:no-such is not among", "claim:no-such is not among"),
        ('::: {.livingpaper page="nowhere"}\n:::', "page:nowhere is not among", "page:nowhere"),
        ("It is `x.json#/a`{.value format='.3f'}.", "x.json#/a|.3f|", "no value: x.json#/a|.3f|"),
        ("See @fig-none.", "@fig-none names nothing", "?@fig-none"),
        ("See [@nobody2020].", "@nobody2020 is not in the bibliography", "nobody2020"),
        ("See [this](gone.json).", "'gone.json': no such file", "this"),
        ("See [this](../../etc/passwd).", "'../../etc/passwd'", "this"),
        ("See [this](javascript:alert).", "has no scheme of", "this"),
        ("![x](https://example.org/x.png)", "lies on another host", ""),
        ("# A {#sec-a}\n\n## B {#sec-a}\n\n", "label 'sec-a' is also given", "B"),
    ],
)
def test_errors_are_in_the_page_and_in_the_message(tmp_path: Path, text: str, message: str, shown: str) -> None:
    root = tiny.make_page(tmp_path, text if text.startswith("# ") else f"# Title\n\n{text}\n")
    assert message in failing(root)
    assert shown in read(root / "_site/index.html").one("article").text


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    root = tiny.make_page(tmp_path, "# Title\n\n@fig-none and @tbl-none.\n")
    told = failing(root)
    assert "@fig-none" in told
    assert "@tbl-none" in told


def test_a_page_without_a_title_is_refused(tmp_path: Path) -> None:
    root = tiny.make_page(tmp_path, "Only words.\n")
    assert "index.qmd: has no title" in failing(root)


def test_stale_and_failed_chapters_say_so(tmp_path: Path) -> None:
    root = tiny.make_book(tmp_path)
    config = (root / "_quarto.yml").read_text().replace("  typst: {papersize: a4, echo: false}\n", "")
    tiny.write(root, "_quarto.yml", config)
    reason = "cell 4 raised <b>ValueError</b>"
    changes = {"stale": {"chapters/one.ipynb": reason}, "errors": {"chapters/two.qmd": "never made"}}
    render(root, tiny.printing(root, **changes), "embedded")
    one = read(root / "_site/chapters/one.html")
    assert one.one(class_="banner-stale").text == f"Stale. {reason}"
    assert [mark.text for mark in one.all(class_="chapter-mark")] == ["stale", "failed"]
    assert read(root / "_site/chapters/two.html").one(class_="banner-error").text.endswith("never made")


UNCOVERED = """\
---
title: T
toc-depth: 2
---

::: {.panel-tabset}
x
:::

::: {#fig-a layout-ncol=2}
![A](a.png)

C
:::

```{python}
1
```

{{< include x.md >}} {{< var y >}}

::: {#thm-x}
:::
"""


def test_what_a_page_uses_of_quarto_and_is_not_covered_is_named(tmp_path: Path) -> None:
    markdown = tiny.write(tmp_path, "x.qmd", UNCOVERED).read_text()
    done = Pandoc(tmp_path, tmp_path / "store").run(["-f", "markdown", "-t", "json"], markdown)
    tree = json.loads(done.output)
    assert uncovered(markdown, tree["meta"], tree["blocks"]) == [
        "a cell '{python}' to be executed in a page is not covered",
        "attribute 'layout-ncol' is not covered",
        "class 'panel-tabset' is not covered",
        "front matter 'toc-depth' is not covered",
        "label 'thm-x' is not covered",
        "shortcode 'include' is not covered",
        "shortcode 'var' is not covered",
    ]


def test_other_shortcodes_and_cell_options_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [tiny.markdown("# One\n"), tiny.code("#| fig-width: 3\n#| label: x\n1")]
    root = tiny.make_page(tmp_path, "# Title\n\n{{< include x.md >}}\n", one_ipynb=tiny.notebook(cells))
    tiny.write(root, "_quarto.yml", (root / "_quarto.yml").read_text().replace("[index.qmd]", "[index.qmd, one.ipynb]"))
    render(root, tiny.page_printing(root), "embedded")
    told = capsys.readouterr().err
    assert "index.qmd: shortcode 'include' is not covered" in told
    assert "one.ipynb: cell 2: cell option 'fig-width' is not covered" in told


def test_a_missing_or_broken_notebook_is_named(tmp_path: Path) -> None:
    root = tiny.make_book(tmp_path)
    tiny.write(root, "build/chapters/quick-s1/one.ipynb", "{")
    with pytest.raises(RenderError, match=r"chapters/one\.ipynb: .*not a readable notebook.*run: livingpaper build"):
        render(root, tiny.printing(root), "embedded")


@pytest.mark.parametrize(
    "change",
    [
        {"source": 3},
        {"metadata": []},
        {"metadata": {"tags": "x"}},
        {"outputs": {}},
        {"outputs": [3]},
        {"outputs": [{"output_type": "stream", "name": "stdout", "text": 3}]},
        {"outputs": [{"output_type": "error", "traceback": [1]}]},
        {"outputs": [{"output_type": "display_data", "data": []}]},
        {"outputs": [{"output_type": "display_data", "data": {"text/html": {}}}]},
    ],
)
def test_what_is_no_cell_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tiny.write(tmp_path, "a.ipynb", tiny.notebook([tiny.markdown("# A"), {**tiny.code("1"), **change}]))
    with pytest.raises(RenderError, match=r"a\.ipynb: cell 2 of .* is no notebook cell; run: livingpaper build"):
        convert(path, "a.ipynb", Defaults())


def test_outputs_of_any_form_are_shown_or_named(tmp_path: Path) -> None:
    outputs = [
        {"output_type": "stream", "name": "x} .evil", "text": "a\x1b]8;;https://x\x07b\x00\x08c\x1b[31md"},
        {"output_type": "display_data", "data": {"image/png": "é no base64"}},
        {"output_type": "error", "traceback": "one line"},
    ]
    cells = [
        tiny.code("1", outputs),
        tiny.code("2", [{"output_type": "display_data", "data": {"text/plain": "\ud800"}}]),
    ]
    notebook = {**tiny.notebook(cells), "metadata": {"kernelspec": {"language": "x} .evil"}}}
    found = convert(tiny.write(tmp_path, "a.ipynb", notebook), "a.ipynb", Defaults())
    assert ".evil" not in found.markdown
    assert "abcd" in found.markdown
    assert "one line" in found.markdown
    assert "\ufffd" in found.markdown
    assert found.warnings == ["a.ipynb: cell 1: output of type image/png is no image"]


def test_halves_of_characters_in_cell_options_are_put_together() -> None:
    found = cell_options('#| fig-cap: "\\ud83d\\ude00 \\ud800"\n1', "a.ipynb: cell 1")
    assert found.text("fig-cap") == "😀 \ufffd"


@pytest.mark.parametrize("header", ["a: 2001-99-99", "? [a]\n#| : 1", "a: " + "[" * 2000])
def test_cell_options_that_are_no_yaml(tmp_path: Path, header: str) -> None:
    path = tiny.write(tmp_path, "a.ipynb", tiny.notebook([tiny.code(f"#| {header}\n1")]))
    with pytest.raises(RenderError, match=r"a\.ipynb: cell 1: its #\| lines are not valid YAML"):
        convert(path, "a.ipynb", Defaults())


def test_an_unknown_renderer_is_refused(tmp_path: Path) -> None:
    root = tiny.make_page(tmp_path, "# Title\n")
    with pytest.raises(RenderError, match="expected one of: auto, quarto, embedded"):
        render(root, tiny.page_printing(root), "latex")


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>&amp;'


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    claims = f'::: {{.callout-tip .claim title="{HOSTILE.replace(chr(34), "")}"}}\nx\n:::\n'
    root = tiny.make_page(tmp_path, '# Title\n\n::: {.livingpaper claim="c"}\n:::\n\n`p`{.value}\n')
    tiny.write(root, "build/print/quick-s1/fragments.json", {"blocks": {"claim:c": claims}, "values": {"p||": HOSTILE}})
    config = (root / "_quarto.yml").read_text().replace("One page", "'" + HOSTILE + "'")
    tiny.write(root, "_quarto.yml", config)
    reasons = {"stale": {"index.qmd": HOSTILE}, "runs": (("quick-s1", ""), (HOSTILE, "runs/x"))}
    render(root, tiny.printing(root, notebooks={}, **reasons), "embedded")
    tree = read(root / "_site/index.html")
    assert {script.attributes["src"] for script in tree.all("script")} == {"assets/theme.js", "assets/paper.js"}
    assert tree.all("img") == []
    assert tree.one(class_="livingpaper-value").text == " ".join(HOSTILE.split())
    assert tree.one(class_="banner-stale").text == f"Stale. {HOSTILE}"
    assert tree.one("a", class_="bar-title").text == HOSTILE
    assert HOSTILE in [link.text for link in tree.one(class_="runs").all("a")]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40))
def test_any_value_is_printed_as_it_is(tmp_path: Path, words: str) -> None:
    root = tiny.make_page(tmp_path, "# Title\n\nx\n")
    given_ = tiny.write(root, "fragments.json", {"blocks": {}, "values": {"p||": words}})
    arguments = ["-f", "markdown", "-t", "html", f"--lua-filter={tiny.FILTER}"]
    environment = {"LIVINGPAPER_FRAGMENTS": str(given_)}
    result = Pandoc(root, root / "store").run(arguments, "`p`{.value}", [given_], environment)
    assert parse(result.output).one(class_="livingpaper-value").text == " ".join(words.replace("\u00a0", " ").split())
