"""The fragment filter on its own, the way Quarto runs it: fragments found by profile or main run, errors logged."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from livingpaper.render.pandoc import executable
from tests.livingpaper.render import tiny

PAGE = '::: {.livingpaper claim="c"}\n:::\n\n`p`{.value format=".2f"} and `p`{.value run="quick-s2"}\n'


def project(root: Path) -> Path:
    """A project with fragments of two runs."""
    for run in ("quick-s1", "quick-s2"):
        data = {
            "run": run,
            "blocks": {"claim:c": f'::: {{.callout-tip title="T"}}\nOf {run}, @fig-x.\n:::'},
            "values": {"p|.2f|": f"1.50 of {run}", "p||quick-s2": "two"},
        }
        tiny.write(root, f"build/print/{run}/fragments.json", data)
    tiny.write(root, "build/print/main.json", {"run": "quick-s1"})
    return root


def run_filter(root: Path, markdown: str, to: str = "plain", **environment: str) -> subprocess.CompletedProcess[str]:
    """Pandoc with the filter, started in another folder."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("QUARTO_", "LIVINGPAPER_"))}
    return subprocess.run(
        [executable()[0], "-f", "markdown", "-t", to, f"--lua-filter={tiny.FILTER}"],
        input=markdown,
        capture_output=True,
        text=True,
        cwd="/",
        env={**clean, "QUARTO_PROJECT_DIR": str(root), **environment},
        check=False,
    )


@pytest.mark.parametrize(
    ("profile", "run"), [("", "quick-s1"), ("quick-s2", "quick-s2"), ("draft,quick-s2", "quick-s2"), ("x", "quick-s1")]
)
def test_fragments_are_those_of_the_profile_else_of_the_main_run(tmp_path: Path, profile: str, run: str) -> None:
    done = run_filter(project(tmp_path), PAGE, QUARTO_PROFILE=profile)
    assert done.returncode == 0
    assert f"Of {run}," in done.stdout
    assert f"1.50 of {run} and two" in done.stdout


def test_a_profile_cannot_lead_out_of_the_build_folder(tmp_path: Path) -> None:
    project(tmp_path / "inner")
    tiny.write(tmp_path, "outside/fragments.json", {"blocks": {}, "values": {"p|.2f|": "outside"}})
    done = run_filter(tmp_path / "inner", "`p`{.value format='.2f'}", QUARTO_PROFILE="../../../outside")
    assert "1.50 of quick-s1" in done.stdout


def test_inserted_markdown_is_part_of_the_document(tmp_path: Path) -> None:
    tree = json.loads(run_filter(project(tmp_path), PAGE, to="json").stdout)
    callout = tree["blocks"][0]
    assert callout["t"] == "Div"
    assert callout["c"][0][1] == ["callout-tip"]
    assert any(part["t"] == "Cite" for part in callout["c"][1][0]["c"])  # a reference that can be resolved later


def test_values_are_never_read_as_markup(tmp_path: Path) -> None:
    root = project(tmp_path)
    tiny.write(root, "build/print/quick-s1/fragments.json", {"blocks": {}, "values": {"p||": "*a* <b> `c` $d$"}})
    assert "*a* &lt;b&gt; `c` $d$" in run_filter(root, "`p`{.value}", to="html").stdout


@pytest.mark.parametrize(
    "markdown", ['::: {.livingpaper claim="none"}\n:::\n', "`none`{.value}\n", "::: livingpaper\n:::"]
)
def test_what_is_unknown_is_in_the_page_and_in_the_log(tmp_path: Path, markdown: str) -> None:
    root = project(tmp_path)
    done = run_filter(root, markdown, to="html", LIVINGPAPER_PAGE="index.qmd")
    assert done.returncode == 0  # the page is made; the log makes the rendering fail
    assert "livingpaper-error" in done.stdout
    assert "livingpaper: index.qmd: " in done.stderr
    log = (root / "build/print/quick-s1/errors.txt").read_text()
    assert log.startswith("index.qmd: ")
    assert "run: livingpaper build" in log


def test_a_page_without_marks_needs_no_build(tmp_path: Path) -> None:
    assert run_filter(tmp_path, "Only words and `code`.").returncode == 0


def test_missing_fragments_end_the_rendering(tmp_path: Path) -> None:
    done = run_filter(tmp_path, PAGE)
    assert done.returncode != 0
    assert "main.json: not found; run: livingpaper build" in done.stderr
