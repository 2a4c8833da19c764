"""Brings a finished printing to its place: changed files replaced one by one, files no longer made removed.

Pages that did not change keep their file, so that a static host uploads only what is new.
"""

import filecmp
import shutil
from pathlib import Path

from livingpaper.files import write_bytes


def publish(made: Path, place: Path, keep: frozenset[str] = frozenset()) -> None:
    """Make `place` hold exactly what `made` holds; entries of `keep` in `place` belong to others and stay."""
    names = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    for name in sorted(names, key=lambda name: (name.endswith(".html"), name)):  # pages last: what they use is there
        source, target = made / name, place / name
        if not (target.is_file() and filecmp.cmp(source, target, shallow=False)):
            _clear_the_way(target, place)
            _replace(source, target)
    _sweep(place, names, keep)


def _replace(source: Path, target: Path) -> None:
    """Put a file in its place in one step. Not flushed to disk: a printing can be made again at any time."""
    write_bytes(target, source.read_bytes(), lasting=False)


def _clear_the_way(target: Path, place: Path) -> None:
    """Remove a file where a folder must be now, and a folder where a file must be."""
    for folder in target.relative_to(place).parents:
        if (place / folder).is_file():
            (place / folder).unlink()
    if target.is_dir():
        shutil.rmtree(target)


def _sweep(place: Path, names: set[str], keep: frozenset[str]) -> None:
    for path in sorted(place.rglob("*"), reverse=True):  # a folder's content before the folder
        relative = path.relative_to(place)
        if relative.parts[0] in keep:
            continue
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif relative.as_posix() not in names:
            path.unlink()
