"""Writes are all or nothing."""

import errno
import os
from pathlib import Path

import pytest

from livingpaper import files
from livingpaper.errors import PressError


def fail(number: int) -> object:
    def raising(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return raising


REFUSALS = {
    errno.ENOSPC: r"a\.json: the disk is full: 12 bytes do not fit, [\d,]+ are free; the old file stands; make room",
    errno.EDQUOT: r"a\.json: the disk quota is used up: 12 bytes do not fit; the old file stands; make room",
    errno.EFBIG: r"a\.json: no file may be larger than its file system takes: 12 bytes do not fit; the old file stands",
}


@pytest.mark.parametrize("number", REFUSALS)
def test_a_refused_write_leaves_the_old_file_and_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"a": 1})
    monkeypatch.setattr(files.os, "fsync", fail(number))
    with pytest.raises(PressError, match=REFUSALS[number]):
        files.write_json(path, {"a": 2})
    assert files.read_json(path) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
    with pytest.raises(PressError, match=r"new/a\.json: .*; nothing was written; make room and build again"):
        files.write_json(tmp_path / "new" / "a.json", {"a": 2})


def test_any_other_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.os, "replace", fail(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        files.write_text(tmp_path / "a", "x")
    assert list(tmp_path.iterdir()) == []


def test_the_same_data_is_the_same_bytes(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a", {"b": 1, "a": [True, None, "é"]})
    files.write_json(tmp_path / "b", {"a": [True, None, "é"], "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert files.digest({"b": 1, "a": 2}) == files.digest({"a": 2, "b": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "c", {"a": float("nan")})


@pytest.mark.parametrize("text", ["", "{", "\xff"])
def test_what_is_not_usable_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").write_text(text, encoding="latin-1")
    assert files.read_json(tmp_path / "a") is None
    assert files.read_json(tmp_path / "absent") is None
