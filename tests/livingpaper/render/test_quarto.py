"""Handing the book to Quarto: how it is called, what is handed over; and, where there is one, a real rendering."""

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from livingpaper.book import read_book
from livingpaper.render import RenderError, record, render
from tests.livingpaper.render import tiny
from tests.livingpaper.render.dom import read
from tests.livingpaper.render.test_hooks import HOOKS, fake_press


@pytest.fixture
def quarto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Quarto on PATH: writes down its call and empties its output folder, as a full rendering may."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "quarto"
    script.write_text(
        "#!/bin/sh\n"
        f'echo "$@|$LIVINGPAPER_BUILDING|$QUARTO_PROFILE" >> "{folder}/calls.txt"\n'
        'rm -rf "$2/_site"; mkdir -p "$2/_site"; echo page > "$2/_site/index.html"\n'
        f'[ ! -f "{folder}/fail" ]\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def test_it_is_called_for_the_main_run_and_by_profile_for_others(tmp_path: Path, quarto: Path) -> None:
    root = tiny.make_book(tmp_path / "book")
    for run, _ in tiny.RUNS:
        render(root, tiny.printing(root, run))
    assert (quarto / "calls.txt").read_text().splitlines() == [
        f"render {root}|1|",
        f"render {root} --profile quick-s2|1|",
    ]


def test_the_profile_of_another_run_has_its_own_folder(tmp_path: Path) -> None:
    root = tiny.make_book(tmp_path)
    record(root, tiny.printing(root, "quick-s2"))
    profile = yaml.safe_load((root / "_quarto-quick-s2.yml").read_text())
    assert profile == {"project": {"output-dir": "_site/runs/quick-s2"}}
    assert read_book(root, "quick-s2").output == "_site/runs/quick-s2"
    assert read_book(root).output == "_site"


def test_what_is_handed_over(tmp_path: Path) -> None:
    root = tiny.make_book(tmp_path)
    record(root, tiny.printing(root, stale={"chapters/one.ipynb": "old"}))
    handed = json.loads((root / "build/print/quick-s1/printing.json").read_text())
    assert handed["notebooks"] == {"chapters/one.ipynb": "build/chapters/quick-s1/one.ipynb"}
    assert handed["stale"] == {"chapters/one.ipynb": "old"}
    assert json.loads((root / "build/print/main.json").read_text()) == {"run": "quick-s1"}
    assert not (root / "_quarto-quick-s1.yml").exists()


def test_a_full_rendering_keeps_the_other_runs(tmp_path: Path, quarto: Path) -> None:
    root = tiny.make_book(tmp_path / "book")
    tiny.write(root, "_site/runs/quick-s2/index.html", "other")
    render(root, tiny.printing(root))
    assert (root / "_site/runs/quick-s2/index.html").read_text() == "other"
    (quarto / "fail").touch()
    with pytest.raises(RenderError, match="run quick-s1: quarto render ended with exit code 1"):
        render(root, tiny.printing(root), "quarto")
    assert (root / "_site/runs/quick-s2/index.html").read_text() == "other"


def test_without_quarto_asking_for_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    root = tiny.make_page(tmp_path, "# Title\n")
    with pytest.raises(RenderError, match=r"quarto is not on PATH; .*--renderer embedded"):
        render(root, tiny.page_printing(root), "quarto")


def test_the_projects_own_book_is_covered() -> None:
    book = read_book(HOOKS.parents[1])
    assert book.warnings == ()
    assert book.pdf is not None
    data = yaml.safe_load((HOOKS.parents[1] / "_quarto.yml").read_text())
    for key in ("pre-render", "post-render"):
        assert (HOOKS.parents[1] / data["project"][key]).is_file()
    assert [(HOOKS.parents[1] / name).is_file() for name in data["ipynb-filters"]] == [True]
    assert isinstance(data["book"]["author"], str)
    assert data["format"]["typst"]["number-sections"] is True
    assert data["execute"]["enabled"] is False


# --- with a real Quarto ----------------------------------------------------------------------------------------------


def real_project(root: Path) -> Path:
    """The tiny book as a project that Quarto can render alone: hooks in place, the press replaced by a stand-in."""
    tiny.make_book(root)
    shutil.copytree(HOOKS, root / "paper/hooks", ignore=shutil.ignore_patterns("__pycache__"))
    config = yaml.safe_load(tiny.CONFIG)
    config["project"] |= {"pre-render": "paper/hooks/pre_render.py", "post-render": "paper/hooks/post_render.py"}
    config |= {"ipynb-filters": ["paper/hooks/executed_notebook.py"], "execute": {"enabled": False}}
    config |= {"number-sections": True}
    config["format"]["html"] |= {"html-math-method": "mathml"}
    config["format"]["typst"] |= {"number-sections": True}
    tiny.write(root, "_quarto.yml", yaml.safe_dump(config))
    fake_press(root)
    for run, _ in tiny.RUNS:
        record(root, tiny.printing(root, run))
    return root


def quarto_render(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["quarto", "render", str(root), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.quarto
@pytest.mark.slow
def test_quarto_alone_prints_both_runs(tmp_path: Path) -> None:
    root = real_project(tmp_path)
    done = quarto_render(root, "--to", "html")
    assert done.returncode == 0, done.stderr
    index, one = read(root / "_site/index.html"), read(root / "_site/chapters/one.html")
    text = index.one("main").text
    for reference in ("Figure 1.1", "Chapter 1", "Equation 2.1", "1,080"):
        assert reference in text
    assert len([e for e in index.all("div") if "claim" in e.attributes.get("class", "").split()]) == 5
    assert "quick-s1" in one.one("div", id="tbl-runs").text
    assert one.all("div", id="fig-curve")
    assert read(root / "_site/chapters/two.html").all("math")

    other = quarto_render(root, "--to", "html", "--profile", "quick-s2")
    assert other.returncode == 0, other.stderr
    # same sources, same filter, another run: nothing remembered from the first rendering may show
    assert "quick-s2" in read(root / "_site/runs/quick-s2/chapters/one.html").one("div", id="tbl-runs").text
    assert calls_of(root) == ["build --no-render", "build --no-render --preset quick"]


@pytest.mark.quarto
@pytest.mark.slow
def test_quarto_shows_a_chapter_that_was_executed_again(tmp_path: Path) -> None:
    root = real_project(tmp_path)
    assert quarto_render(root, "--to", "html").returncode == 0
    path = root / "build/chapters/quick-s1/one.ipynb"
    path.write_text(path.read_text().replace("| quick-s1 | 2 |", "| quick-s1 | 77 |"))
    assert quarto_render(root, "--to", "html").returncode == 0
    assert "77" in read(root / "_site/chapters/one.html").one("div", id="tbl-runs").text


@pytest.mark.quarto
@pytest.mark.slow
def test_quarto_prints_the_pdf(tmp_path: Path) -> None:
    from tests.livingpaper.render.test_pdf import text_of

    root = real_project(tmp_path)
    done = quarto_render(root, "--to", "typst")
    assert done.returncode == 0, done.stderr
    words = text_of(next((root / "_site").glob("*.pdf")))
    for expected in ("Figure 1.1", "Formation windows", "1,080", "Supported · 3/3 runs", "eleven"):
        assert expected in words


@pytest.mark.quarto
@pytest.mark.slow
def test_quarto_fails_on_an_unknown_claim(tmp_path: Path) -> None:
    root = real_project(tmp_path)
    tiny.write(
        root,
        "extra.qmd",
        '# More {#sec-extra}\n\n::: {.livingpaper claim="no-such"}\n:::\n\n![A](picture.svg){#fig-extra}\n',
    )
    done = quarto_render(root, "--to", "html")
    assert done.returncode != 0
    assert re.search(r"claim:no-such is not among", done.stderr + done.stdout)


def calls_of(root: Path) -> list[str]:
    return (root / "calls.txt").read_text().splitlines()
