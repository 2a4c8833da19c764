"""A project with something outside it that no name may lead to, and a watch on all that is opened."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.livingpaper.conftest import IGNORED, TINY

SECRET = "what-lies-outside"
_opened: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event in ("open", "os.listdir", "os.scandir", "os.mkdir", "os.remove", "os.rename"):
        name = arguments[0]
        if isinstance(name, str | bytes | os.PathLike):
            _opened.append(os.path.abspath(os.fsdecode(name)))


sys.addaudithook(_watch)  # stays for good, and is quiet outside `opened`


@contextmanager
def opened() -> Iterator[list[str]]:
    """The files and folders that are opened meanwhile."""
    global _opened
    _opened = found = []
    try:
        yield found
    finally:
        _opened = None


class Place:
    """A project with a canary outside, and a link in it that leads there."""

    def __init__(self, folder: Path) -> None:
        self.outside, self.root = folder / "outside", folder / "paper"
        self.outside.mkdir()
        for name in ("canary.txt", "canary.json", "canary.yml"):
            (self.outside / name).write_text(json.dumps({"a": {"value": 1, "reason": SECRET}}))
        shutil.copytree(TINY, self.root, ignore=IGNORED)
        (self.root / "door").symlink_to(self.outside)
        words = [
            *((stage, f"tiny-s{seed}") for stage in ("throw", "measure") for seed in (1, 2, 3)),
            ("choose", "tiny"),
        ]
        for stage, scope in words:
            subprocess.run([sys.executable, "-m", f"tinylab.{stage}", scope], cwd=self.root / "src", check=True)
        self._before = self._canary()
        # what Python, the tools and the code itself are made of
        code = Path(__file__).resolve().parents[2]
        self._own = (str(self.root), sys.prefix, sys.base_prefix, str(code), *_libraries())

    def name(self, text: str) -> str:
        return text.replace("{outside}", str(self.outside))

    def _canary(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.outside.iterdir())}

    def wrong(self, found: list[str], said: str) -> str:
        """What was done outside the project."""
        strayed = [name for name in found if not name.startswith(self._own)]
        # a link in the project that leads out: opened by the name it has here
        strayed += [name for name in found if os.path.realpath(name).startswith(str(self.outside))]
        shown = ["its content was shown"] if SECRET in said else []
        changed = ["it was changed"] if self._canary() != self._before else []
        return "; ".join([*dict.fromkeys(strayed), *shown, *changed])


def _libraries() -> tuple[str, ...]:
    """Where libraries lie, and what programs read of the machine."""
    places = [
        os.path.dirname(os.__file__),
        "/proc",
        "/dev",
        "/sys",
        "/usr",
        "/lib",
        "/etc/localtime",
        "/etc/mime.types",
    ]
    return (*places, "/etc/apache2", "/etc/httpd", "/usr/local", str(Path(tempfile.gettempdir()) / "tmp"))
