"""The index of the pages: the same bytes in whatever order the file system lists them, and one line if it cannot be."""

import subprocess
import sys
from pathlib import Path

import pytest

from livingpaper.errors import PressError
from livingpaper.render import search
from livingpaper.render.errors import RenderError

NAMES = ("index.html", "chapters/mean.html", "chapters/spread.html", "paper/claims.html")
PAGE = '<html lang="en"><head><title>{name}</title></head><body data-pagefind-body><h1>{name}</h1>{text}</body></html>'


def index_of(folder: Path, order: list[str]) -> dict[str, bytes]:
    """The index of pages that were written in some order."""
    for name in order:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PAGE.format(name=name, text=" ".join(f"word{number % 7} mean" for number in range(len(name)))))
    search.index(folder)
    made = folder / "pagefind"
    return {str(path.relative_to(made)): path.read_bytes() for path in made.rglob("*") if path.is_file()}


def test_the_index_does_not_depend_on_the_order_of_files(tmp_path: Path) -> None:
    one = index_of(tmp_path / "one", list(NAMES))
    other = index_of(tmp_path / "other", list(reversed(NAMES)))
    assert one == other
    assert {name.split("/")[0] for name in one} >= {"fragment", "index", "pagefind.js", "pagefind-entry.json"}
    assert not [name for name in one if "-ui" in name]


def test_large_pages_are_indexed_whole(tmp_path: Path) -> None:
    text = " ".join(f"word{number}" for number in range(60_000))
    (tmp_path / "index.html").write_text(PAGE.format(name="large", text=text))
    search.index(tmp_path)
    assert sum(path.stat().st_size for path in (tmp_path / "pagefind/index").iterdir()) > 200_000


def test_an_index_that_cannot_be_written_or_made_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index.html").write_text(PAGE.format(name="x", text="y"))
    (tmp_path / "pagefind").write_text("a file where a folder must be")
    with pytest.raises((PressError, OSError)):
        search.index(tmp_path)
    monkeypatch.setattr(search.sys, "executable", "/bin/false")
    with pytest.raises(RenderError, match="pagefind: ended without an answer to NewIndex"):
        search.index(tmp_path)


def test_the_service_ends_with_who_speaks_to_it() -> None:
    command = [sys.executable, "-m", "pagefind", "--service"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as service:
        assert service.stdin is not None
        service.stdin.close()
        assert service.wait(30) is not None
