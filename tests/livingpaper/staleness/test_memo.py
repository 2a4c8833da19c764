"""A memo saves time and is never wrong about a file."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from livingpaper.staleness import memo as memos
from livingpaper.staleness.memo import Memo

LARGE = b"x" * 200_000


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def old_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memos, "_YOUNG", 0)
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    time.sleep(0.02)
    return path


def test_a_large_file_is_read_once(old_large_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memo = Memo(tmp_path / "memo.json")
    assert memo.digest(old_large_file) == sha(LARGE)
    memo.save()
    monkeypatch.setattr(memos, "file_digest", lambda path: "read again")
    again = Memo(tmp_path / "memo.json")
    assert again.digest(old_large_file) == sha(LARGE)
    assert again.digest(old_large_file, fresh=True) == "read again"


def test_an_edit_that_keeps_size_and_time_is_noticed(old_large_file: Path, tmp_path: Path) -> None:
    memo = Memo(tmp_path / "memo.json")
    memo.digest(old_large_file)
    before = old_large_file.stat()
    old_large_file.write_bytes(b"y" + LARGE[1:])
    os.utime(old_large_file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert memo.digest(old_large_file) == sha(b"y" + LARGE[1:])


def test_a_young_file_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    memo = Memo(tmp_path / "memo.json")
    memo.digest(path)
    memo.save()
    assert not (tmp_path / "memo.json").exists()


def test_what_is_no_file_has_no_digest(tmp_path: Path) -> None:
    memo = Memo(tmp_path / "memo.json")
    assert memo.digest(tmp_path / "absent") is None
    assert memo.digest(tmp_path) is None
    os.mkfifo(tmp_path / "pipe")
    assert memo.digest(tmp_path / "pipe") is None


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "memo/1"}', '{"schema": "memo/1", "files": 3}', "{"])
def test_a_damaged_memo_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "memo.json").write_text(text)
    memo = Memo(tmp_path / "memo.json")
    assert memo.fact("key", lambda: 1) == 1


def test_facts_are_computed_once(tmp_path: Path) -> None:
    memo = Memo(tmp_path / "memo.json")
    assert memo.fact("key", lambda: [1]) == [1]
    memo.save()
    assert Memo(tmp_path / "memo.json").fact("key", lambda: [2]) == [1]


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"what": 1', b'"what": 2'), (b'"facts": {', b'"factz": {'), (b"memo/2", b"memo/1"), (b"}", b"]")],
)
def test_a_damaged_memo_remembers_nothing(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "memo.json"
    memo = Memo(path)
    memo.fact("key", lambda: {"what": 1})
    memo.save()
    assert Memo(path).fact("key", lambda: {"what": 3}) == {"what": 1}
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    assert Memo(path).fact("key", lambda: {"what": 3}) == {"what": 3}


def test_a_memo_of_wrong_kinds_remembers_nothing(tmp_path: Path) -> None:
    path = tmp_path / "memo.json"
    for data in ('{"schema": "memo/2", "files": {}, "facts": [1]}', "3", "[]", '{"schema": "memo/2"}'):
        path.write_text(data)
        assert Memo(path).fact("key", lambda: 3) == 3
