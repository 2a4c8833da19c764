"""The store of executed chapters: whatever a kill or a bad disk left of it, the next chapter is kept again."""

import shutil
import sqlite3
from pathlib import Path

import nbformat
import pytest

from livingpaper.errors import PressError
from livingpaper.execute import cache
from livingpaper.notebooks import Notebook

DIGESTS = {"a": "1", "b": "2"}


def notebook(printed: str) -> Notebook:
    output = nbformat.v4.new_output("stream", text=printed)
    code = nbformat.v4.new_code_cell("print(1)", id="a", outputs=[output], execution_count=1)
    return nbformat.v4.new_notebook(cells=[code], metadata={"kernelspec": {"name": "python3", "display_name": "P"}})


def printed(folder: Path) -> str | None:
    found = cache.find(folder, notebook(""), DIGESTS.get)
    return found and found[0].cells[0].outputs[0].text


def entry_without_its_notebook(folder: Path) -> None:
    """As a kill between the two leaves it."""
    next(folder.rglob("base.ipynb")).unlink()


def entry_without_its_record(folder: Path) -> None:
    with sqlite3.connect(folder / "global.db") as database:
        database.execute("delete from nbcache")


def record_without_its_entry(folder: Path) -> None:
    shutil.rmtree(folder / "executed")


def no_table(folder: Path) -> None:
    with sqlite3.connect(folder / "global.db") as database:
        database.execute("drop table nbcache")


def no_database(folder: Path) -> None:
    (folder / "global.db").write_bytes(b"nonsense" * 1000)


def half_a_database(folder: Path) -> None:
    path = folder / "global.db"
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    "damage",
    [
        entry_without_its_notebook,
        entry_without_its_record,
        record_without_its_entry,
        no_table,
        no_database,
        half_a_database,
    ],
)
def test_a_damaged_store_keeps_the_next_chapter(tmp_path: Path, damage: object) -> None:
    folder = tmp_path / "cache"
    cache.keep(folder, notebook("one"), {"a": "1"}, "x")
    assert printed(folder) == "one"
    assert callable(damage)
    damage(folder)
    assert printed(folder) is None
    cache.keep(folder, notebook("two"), {"b": "2"}, "x")
    assert printed(folder) == "two"
    assert cache.find(folder, notebook(""), DIGESTS.get)[1] == {"b": "2"}  # type: ignore[index]


def test_what_cannot_be_kept_is_told_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.write_text("a file where a folder must be")
    with pytest.raises(PressError, match=r"cache: an executed chapter cannot be kept \(.*; make room or delete"):
        cache.keep(folder, notebook("one"), {}, "x")
    assert folder.is_file()


def test_what_was_read_must_be_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cache.keep(folder, notebook("one"), {"a": "1", "gone": None}, "x")
    assert cache.find(folder, notebook(""), {"a": "1"}.get) is not None
    assert cache.find(folder, notebook(""), {"a": "2"}.get) is None
    assert cache.find(folder, notebook(""), {"a": "1", "gone": "3"}.get) is None
