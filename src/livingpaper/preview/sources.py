"""The files people write, looked at again and again: what a preview rebuilds for.

They are looked at instead of waited for: a look at a few hundred files takes milliseconds, and unlike the system's
notices it misses nothing on network folders, in containers or when an editor replaces a file.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from livingpaper.errors import PressError
from livingpaper.files import file_digest
from livingpaper.pageprints import linked
from livingpaper.params import RUN_NAME
from livingpaper.project import Project

FOLDERS = ("paper", "params", "chapters", "src", "docs", "results")
_EVERY = 0.25  # seconds between looks
_SHARE = 20  # and at least so many times as long as a look takes
_QUIET = 0.2  # seconds without a change that end a burst of them
_BURST = 5.0  # but no burst is waited for longer
_MADE = ("__pycache__", ".egg-info", "_files", ".quarto_ipynb", ".pyc", ".swp", ".tmp", "~")

Seen = dict[str, str]  # digest of each file, by path relative to the project


class Sources:
    """The sources of one project."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: tuple[str, ...] = FOLDERS
        self._linked: frozenset[Path] = frozenset()
        self._digests: dict[Path, tuple[tuple[int, int, int, int], str]] = {}
        self.learn()

    def learn(self) -> None:
        """Read from the book where its pages lie and what they show; a broken book changes nothing."""
        project = Project(self._root)
        with contextlib.suppress(PressError, OSError):
            tops = (PurePosixPath(page).parts for page in project.pages)
            folders = tuple(dict.fromkeys([*FOLDERS, *(parts[0] for parts in tops if len(parts) > 1)]))
            made = (project.build, project.artifacts, project.site)
            self._linked = frozenset(p for p in linked(project) if not any(p.is_relative_to(each) for each in made))
            self._folders = folders

    def look(self) -> Seen:
        """Every source with the digest of its content: a file written again with the same bytes did not change."""
        found = {path: mark for path, mark in self._files() if mark is not None}
        self._digests = {path: self._digests[path] for path in found if path in self._digests}
        for path, mark in found.items():
            if self._digests.get(path, (None, ""))[0] != mark:
                with contextlib.suppress(OSError):
                    self._digests[path] = mark, file_digest(path)
        return {os.path.relpath(path, self._root): known for path, (_, known) in self._digests.items()}

    def changed(self, since: Seen) -> list[str]:
        """Wait until the sources are not what they were, and until they are quiet; the files that differ."""
        while True:
            began = time.monotonic()
            now = self.look()
            if now != since:
                now = self._settled(now)
                names = sorted(name for name in now.keys() | since if now.get(name) != since.get(name))
                if names:
                    return names
            time.sleep(max(_EVERY, _SHARE * (time.monotonic() - began)))

    def _settled(self, now: Seen) -> Seen:
        """The sources once a burst of changes is over."""
        deadline = time.monotonic() + _BURST
        while time.monotonic() < deadline:
            time.sleep(_QUIET)
            before, now = now, self.look()
            if now == before:
                break
        return now

    def _files(self) -> Iterator[tuple[Path, tuple[int, int, int, int] | None]]:
        """Sources that may be there, with what the file system says of each."""
        for path in self._linked:
            yield path, _mark(path)
        for entry in _entries(self._root):
            if entry.is_file() and not _generated(entry.name):
                yield Path(entry.path), _mark(entry.path)
        waiting = [self._root / folder for folder in self._folders]
        while waiting:
            for entry in _entries(waiting.pop()):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file():
                    yield Path(entry.path), _mark(entry.path)


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """What lies in a folder, apart from hidden files and what programs leave behind; nothing where there is none."""
    try:
        with os.scandir(folder) as entries:
            return [each for each in entries if not each.name.startswith((".", "#")) and not each.name.endswith(_MADE)]
    except OSError:
        return []


def _generated(name: str) -> bool:
    """Whether a file beside `_quarto.yml` is a profile that the press writes for Quarto."""
    profile = name.removeprefix("_quarto-").removesuffix(".yml")
    return name == f"_quarto-{profile}.yml" and RUN_NAME.fullmatch(profile) is not None


def _mark(path: "str | Path") -> tuple[int, int, int, int] | None:
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino
