"""A printing comes to its place whole, touches only what changed, and the store of pandoc never lies."""

import os
from pathlib import Path

import pytest

from livingpaper.render import render
from livingpaper.render.errors import RenderError
from livingpaper.render.pandoc import Pandoc
from livingpaper.render.publish import publish
from tests.livingpaper.render import tiny


def files(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_the_place_holds_exactly_what_was_made(tmp_path: Path) -> None:
    made, place = tmp_path / "made", tmp_path / "place"
    for name in ("index.html", "a/b.html", "c"):
        tiny.write(made, name, name)
    for name in ("old.html", "old/deep/x.html", "a", "c/d", "runs/other/index.html"):
        tiny.write(place, name, "old")
    publish(made, place, keep=frozenset({"runs"}))
    expected = {"index.html": "index.html", "a/b.html": "a/b.html", "c": "c", "runs/other/index.html": "old"}
    assert files(place) == expected
    assert not (place / "old").exists()


def test_unchanged_files_are_not_touched(tmp_path: Path) -> None:
    made, place = tmp_path / "made", tmp_path / "place"
    tiny.write(made, "same.html", "same")
    tiny.write(made, "new.html", "one")
    publish(made, place)
    for name in ("same.html", "new.html"):
        os.utime(place / name, (1, 1))
    tiny.write(made, "new.html", "two")
    publish(made, place)
    assert (place / "same.html").stat().st_mtime == 1
    assert (place / "new.html").stat().st_mtime != 1


def test_the_other_runs_survive_the_main_printing(printed: Path) -> None:
    # printed in this order: main, other; then main again
    before = files_of(printed / "_site/runs")
    render(printed, tiny.printing(printed), "embedded")
    assert files_of(printed / "_site/runs") == before
    assert len(before) > 10


def files_of(folder: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime for path in folder.rglob("*") if path.is_file()}


def test_a_failing_render_leaves_the_old_site(tmp_path: Path) -> None:
    root = tiny.make_page(tmp_path, "# Title\n\nOne.\n")
    render(root, tiny.page_printing(root), "embedded")
    before = (root / "_site/index.html").read_text()
    tiny.write(root, "index.qmd", "no title\n")
    with pytest.raises(RenderError):
        render(root, tiny.page_printing(root), "embedded")
    assert (root / "_site/index.html").read_text() == before


def test_results_are_kept_until_something_they_hang_on_changes(tmp_path: Path) -> None:
    pandoc = Pandoc(tmp_path, tmp_path / "store")
    script = tiny.write(tmp_path, "f.lua", "function Str(s) return pandoc.Str(os.getenv('WORD') or 'none') end")
    arguments = ["-f", "markdown", "-t", "plain", f"--lua-filter={script}"]

    def say(word: str) -> str:
        return pandoc.run(arguments, "x", [script], {"WORD": word}).output.strip()

    assert say("one") == "one"
    assert len(list((tmp_path / "store").iterdir())) == 1
    assert say("one") == "one"
    assert len(list((tmp_path / "store").iterdir())) == 1
    assert say("two") == "two"
    tiny.write(tmp_path, "f.lua", "function Str(s) return pandoc.Str('other') end")
    assert say("one") == "other"


def test_a_damaged_result_is_made_again(tmp_path: Path) -> None:
    pandoc = Pandoc(tmp_path, tmp_path / "store")
    assert pandoc.run(["-f", "markdown", "-t", "plain"], "x").output == "x\n"
    (stored,) = (tmp_path / "store").iterdir()
    stored.write_text('{"output": "x')
    assert pandoc.run(["-f", "markdown", "-t", "plain"], "x").output == "x\n"


def test_old_results_are_let_go(tmp_path: Path) -> None:
    pandoc = Pandoc(tmp_path, tmp_path / "store")
    pandoc.run(["-f", "markdown", "-t", "plain"], "old")
    (stored,) = (tmp_path / "store").iterdir()
    os.utime(stored, (1, 1))
    pandoc.run(["-f", "markdown", "-t", "plain"], "new")
    pandoc.prune()
    assert len(list((tmp_path / "store").iterdir())) == 1


def test_what_pandoc_cannot_do_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"^pandoc: Unknown input format nosuch") as caught:
        Pandoc(tmp_path, tmp_path / "store").run(["-f", "nosuch"], "x")
    assert "\n" not in str(caught.value)
