"""Runs pandoc from its wheel, with a store so that an unchanged page costs nothing.

Every result is kept under the digest of what decided it: pandoc's version, the arguments, the input, the content of
the files named, and the environment handed over. A stored result is only ever read back under the same digest.
"""

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pypandoc

from livingpaper.files import write_bytes
from livingpaper.render.errors import RenderError

_PATIENCE = 120  # seconds; a long page takes one or two, thousands of open brackets take hours
_KEEP = 14 * 24 * 3600  # seconds a stored result is kept after its last use


@dataclass(frozen=True)
class Result:
    """What pandoc wrote, and its warnings."""

    output: str
    warnings: tuple[str, ...]


@cache
def executable() -> tuple[str, str]:
    """Path and version of pandoc."""
    return str(pypandoc.get_pandoc_path()), str(pypandoc.get_pandoc_version())


class Pandoc:
    """Runs pandoc in the project's folder and keeps its results in `store`."""

    def __init__(self, root: Path, store: Path) -> None:
        self._root = root
        self._store = store

    def run(
        self,
        arguments: Sequence[str],
        text: str,
        files: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
        keep: bool = True,
    ) -> Result:
        """Pandoc's output for `text`; `files` are those the arguments name, `keep=False` never reads the store."""
        place = self._store / f"{self._digest(arguments, text, files, environment or {})}.json"
        if keep and (stored := _read(place)):
            return stored
        result = self._call(arguments, text, environment or {})
        if keep:
            _write(place, result)
        return result

    def prune(self) -> None:
        """Delete stored results that nothing has used for two weeks."""
        limit = time.time() - _KEEP
        for place in self._store.glob("*.json"):
            with suppress(FileNotFoundError):  # another printing does the same
                if place.stat().st_mtime < limit:
                    place.unlink()

    def _call(self, arguments: Sequence[str], text: str, environment: Mapping[str, str]) -> Result:
        with TemporaryDirectory() as folder:
            log = Path(folder) / "log.json"
            try:
                done = subprocess.run(
                    [executable()[0], *arguments, f"--log={log}", "--quiet"],
                    input=text,
                    capture_output=True,
                    text=True,
                    encoding="utf-8",
                    cwd=self._root,
                    env={**os.environ, **environment},
                    check=False,
                    timeout=_PATIENCE,
                )
            except subprocess.TimeoutExpired:
                raise RenderError(
                    f"pandoc: not done after {_PATIENCE} s; look for brackets or emphasis opened over and over"
                ) from None
            if done.returncode:
                reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
                raise RenderError(f"pandoc: {reason}")
            return Result(done.stdout, _warnings(log))

    def _digest(
        self, arguments: Sequence[str], text: str, files: Sequence[Path], environment: Mapping[str, str]
    ) -> str:
        total = hashlib.sha256(json.dumps([executable()[1], [*arguments], {**environment}], sort_keys=True).encode())
        total.update(hashlib.sha256(text.encode()).digest())
        for file in files:
            total.update(hashlib.sha256(file.read_bytes()).digest())
        return total.hexdigest()


def _warnings(log: Path) -> tuple[str, ...]:
    if not log.is_file():
        return ()
    entries: list[dict[str, Any]] = json.loads(log.read_text(encoding="utf-8"))
    return tuple(str(entry.get("pretty", entry)) for entry in entries if entry.get("verbosity") in ("WARNING", "ERROR"))


def _read(place: Path) -> Result | None:
    try:
        data = json.loads(place.read_text(encoding="utf-8"))
        os.utime(place)
        return Result(data["output"], tuple(data["warnings"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or damaged: made again


def _write(place: Path, result: Result) -> None:
    data = json.dumps({"output": result.output, "warnings": result.warnings})
    write_bytes(place, data.encode(), lasting=False)
