"""Digests computed once: of large files by what the file system says of them, of code by its content.

A memo saves time and decides nothing by itself: a file is digested again as soon as its size, times or inode differ,
small files always, and a caller who must be sure asks for `fresh=True`. Its file is sealed with its own digest: a
damaged one remembers nothing, and in particular nothing wrong.
"""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from livingpaper.files import digest, file_digest, read_json, write_json

_SCHEMA = "memo/2"
_SMALL = 64 * 1024  # bytes; below, reading is as quick as remembering
_YOUNG = 500_000_000  # ns; a file this young may change once more without its times telling


class Memo:
    """Remembered digests of one project, kept in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        data = read_json(path)
        sound = isinstance(data, dict) and data.get("schema") == _SCHEMA and data.get("seal") == _seal(data)
        self._files: dict[str, Any] = data["files"] if sound else {}
        self._facts: dict[str, Any] = data["facts"] if sound else {}
        self._used: set[str] = set()
        self._changed = False

    def digest(self, path: Path, fresh: bool = False) -> str | None:
        """SHA-256 (hex) of a file, `None` where there is no file; with `fresh` it is read whatever was remembered."""
        try:
            about = os.stat(path)
        except OSError:
            return None
        if not stat.S_ISREG(about.st_mode):
            return None
        if about.st_size < _SMALL:
            return _read(path)
        mark = [about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino]
        known = self._files.get(str(path))
        if not fresh and isinstance(known, list) and known[:-1] == mark:
            return str(known[-1])
        found = _read(path)
        if found is not None and time.time_ns() - max(about.st_mtime_ns, about.st_ctime_ns) > _YOUNG:
            self._files[str(path)] = [*mark, found]
            self._changed = True
        return found

    def fact(self, key: str, compute: Callable[[], Any]) -> Any:
        """JSON data that depends on nothing but `key`, computed once."""
        self._used.add(key)
        if key not in self._facts:
            self._facts[key] = compute()
            self._changed = True
        return self._facts[key]

    def save(self) -> None:
        """Write what is new to the memo's file; facts nobody asked for any more are dropped once they abound."""
        if not self._changed:
            return
        if len(self._facts) > 4 * len(self._used) + 200:
            self._facts = {key: self._facts[key] for key in self._used}
        if len(self._files) > 20_000:
            self._files = {name: mark for name, mark in self._files.items() if os.path.exists(name)}
        data = {"schema": _SCHEMA, "files": self._files, "facts": self._facts}
        write_json(self._path, {**data, "seal": _seal(data)})
        self._changed = False


def _seal(data: dict[str, Any]) -> str:
    return digest([data.get("files"), data.get("facts")])


def _read(path: Path) -> str | None:
    try:
        return file_digest(path)
    except OSError:
        return None
