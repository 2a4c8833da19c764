"""The closure of a module's imports within the project's `src/`, and the packages that closure imports from outside.

A module's closure holds every module of the project it can import, directly or not, inside functions too, with the
`__init__` of each package on the way. Each counts by its syntax tree (`livingpaper.staleness.syntax`). Files beside
them that are no Python count by their bytes: any of these modules may read them.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from livingpaper.files import bytes_digest
from livingpaper.staleness.memo import Memo
from livingpaper.staleness.syntax import Reading, read_code

_PYTHON = {".py", ".pyc", ".pyi"}
_NO_DATA = {"__pycache__", "py.typed"}
_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Closure:
    """Digests of its modules and of the files beside them, and top-level names imported from outside the project."""

    modules: dict[str, str]
    outside: frozenset[str]
    data: dict[str, str]  # by path below `src/`


class CodeIndex:
    """The project's own code as it is now; each file is looked for and read once."""

    def __init__(self, source: Path, memo: Memo) -> None:
        self._source = source
        self._memo = memo
        self._places: dict[str, Path | None] = {}
        self._data_files: dict[Path, list[Path]] = {}
        self._readings: dict[str, Reading | None] = {}
        self._reached: dict[str, tuple[frozenset[str], frozenset[str]]] = {}

    def closure(self, roots: Iterable[str]) -> Closure:
        """The closure of some modules; names that are not the project's own count as packages."""
        modules: set[str] = set()
        outside: set[str] = set()
        waiting = [module for root in roots for module in self._split(root, outside)]
        while waiting:
            module = waiting.pop()
            if module not in modules:
                modules.add(module)
                inner, outer = self._direct(module)
                outside |= outer
                waiting += [name for name in inner if name not in modules]
        digests = {name: reading["digest"] for name in sorted(modules) if (reading := self.reading(name))}
        return Closure(digests, frozenset(outside - sys.stdlib_module_names), self._data(modules))

    def _data(self, modules: Iterable[str]) -> dict[str, str]:
        """Digest of each file that is no Python in the packages that some modules lie in."""
        files = (file for module in modules if (file := self.file(module)) is not None)
        folders = {file if file.is_dir() else file.parent for file in files} - {self._source}
        found = sorted(path for folder in folders for path in self._beside(folder))
        digests = {path.relative_to(self._source).as_posix(): self._memo.digest(path) for path in found}
        return {name: digest for name, digest in digests.items() if digest is not None}

    def _beside(self, folder: Path) -> list[Path]:
        """Data files of a package, those in subfolders that hold no Python of their own included."""
        if folder not in self._data_files:
            inside = [path for path in folder.iterdir() if path.name[0] != "." and path.name not in _NO_DATA]
            plain = [path for path in inside if path.is_file() and path.suffix not in _PYTHON]
            deeper = [path for path in inside if path.is_dir() and not any(path.glob("*.py"))]
            self._data_files[folder] = [*plain, *(path for part in deeper for path in self._beside(part))]
        return self._data_files[folder]

    def imported_by(self, reading: Reading) -> list[str]:
        """Names that code outside any package (a notebook's cells) imports, as roots of a closure."""
        found = (f"{target}.{name}" if name else target for target, name in _absolute(reading, "", True) if target)
        return list(dict.fromkeys(found))

    def file(self, module: str) -> Path | None:
        """Where a module of the project lies, or `None` if it is not one."""
        if module not in self._places:
            self._places[module] = self._place(module)
        return self._places[module]

    def _place(self, module: str) -> Path | None:
        path = self._source.joinpath(*module.split("."))
        for candidate in (path / "__init__.py", path.with_name(path.name + ".py")):
            if candidate.is_file():
                return candidate
        return path if path.is_dir() and self._within(module) else None

    def reading(self, module: str) -> Reading | None:
        """What a module says; `None` for a folder without `__init__.py` and for what is not the project's."""
        if module not in self._readings:
            file = self.file(module)
            self._readings[module] = None if file is None or file.is_dir() else self._read(file)
        return self._readings[module]

    @cached_property
    def packages(self) -> frozenset[str]:
        """Top-level names that are the project's own."""
        if not self._source.is_dir():
            return frozenset()
        return frozenset(
            entry.stem if entry.suffix == ".py" else entry.name
            for entry in self._source.iterdir()
            if (entry.is_dir() and entry.name.isidentifier()) or entry.suffix == ".py"
        )

    def _within(self, module: str) -> bool:
        return module.split(".", 1)[0] in self.packages

    def _read(self, file: Path) -> Reading:
        data = file.read_bytes()
        key = f"syntax/2 {_VERSION} {bytes_digest(data)}"
        reading: Reading = self._memo.fact(key, lambda: read_code(data))
        return reading

    def _split(self, name: str, outside: set[str]) -> list[str]:
        """The modules of the project that importing `name` runs: itself and the packages it lies in."""
        if not self._within(name):
            outside.add(name.split(".", 1)[0])
            return []
        parts = name.split(".")
        chain = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
        return [module for module in chain if self.file(module) is not None]

    def _direct(self, module: str) -> tuple[frozenset[str], frozenset[str]]:
        """Modules of the project and outside names that `module` itself imports."""
        if module not in self._reached:
            reading = self.reading(module)
            inner: set[str] = set()
            outer: set[str] = set()
            if reading is not None:
                file = self.file(module)
                package = file is not None and file.name == "__init__.py"
                for target, name in _absolute(reading, module, package):
                    if target:
                        inner.update(self._split(f"{target}.{name}" if name else target, outer))
            self._reached[module] = (frozenset(inner), frozenset(outer))
        return self._reached[module]


def _absolute(reading: Reading, module: str, package: bool) -> Iterator[tuple[str, str]]:
    """Imports as (module, name), relative ones made absolute; the name of a plain or starred import is ""."""
    for level, target, name in reading["imports"]:
        target, name = str(target), str(name)
        if up := int(level):
            parts = module.split(".")
            base = parts[: len(parts) - up + (1 if package else 0)]
            target = ".".join([*base, *([target] if target else [])])
        yield target, "" if name == "*" else name
