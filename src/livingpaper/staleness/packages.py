"""Which pins of `requirements.lock` a piece of code depends on: those of the packages it imports."""

import os
import re
import sys
import sysconfig
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from livingpaper.errors import ProjectError
from livingpaper.staleness.memo import Memo

LOCK = "requirements.lock"


class Lock:
    """The project's pins, by the names under which packages are imported."""

    def __init__(self, root: Path, memo: Memo) -> None:
        self._root = root
        self._memo = memo

    def entries(self, imported: Iterable[str]) -> dict[str, str]:
        """Version of each distribution behind the imported names: as pinned, else as installed, else `absent`."""
        out: dict[str, str] = {}
        for name in imported:
            for distribution, installed in self._distributions.get(name, [[name, "absent"]]):
                key = _canonical(distribution)
                out[key] = self._pins.get(key, f"{installed} (not pinned)" if installed != "absent" else installed)
        return dict(sorted(out.items()))

    @cached_property
    def _pins(self) -> dict[str, str]:
        try:
            text = (self._root / LOCK).read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise ProjectError(f"{LOCK}: cannot be read: {error}; run: make lock") from None
        lines = (line.split("#", 1)[0].split(";", 1)[0].strip() for line in text.splitlines())
        pairs = (line.partition("==") for line in lines)
        return {_canonical(name.partition("[")[0]): version.strip() for name, sign, version in pairs if sign}

    @cached_property
    def _distributions(self) -> dict[str, list[list[str]]]:
        """Distributions (name, version) by import name, found once per state of the environment."""
        site = sysconfig.get_path("purelib")
        try:
            state = os.stat(site).st_mtime_ns
        except OSError:
            state = 0
        found: dict[str, list[list[str]]] = self._memo.fact(f"distributions/1 {sys.prefix} {state}", _installed)
        return found


def _installed() -> Any:
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    def version_of(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "absent"

    return {
        name: [[distribution, version_of(distribution)] for distribution in sorted(set(found))]
        for name, found in packages_distributions().items()
    }


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
