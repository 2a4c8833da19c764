"""What each task of a paper depends on, found out without the press.

The workflow, the parameters and the pins are read here anew; imports are followed by Python's own `modulefinder`, which
reads bytecode. What a source file *means* is not looked at: a mutation knows what it did, and says so.
"""

import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from modulefinder import ModuleFinder
from pathlib import Path
from types import CodeType
from typing import Any

import yaml

Facts = dict[str, str]  # what a task depends on, artifacts apart: spoken name → state
DISTRIBUTIONS = {"yaml": "pyyaml", "IPython": "ipython"}  # of those whose import name is another


class Meanings:
    """What source files mean: a neutral edit means what was there before, any other edit something new."""

    def __init__(self) -> None:
        self._of: dict[bytes, str] = {}

    def of(self, data: bytes) -> str:
        """The meaning of a file's bytes."""
        return self._of.get(data, hashlib.sha256(data).hexdigest())

    def keep(self, before: bytes, after: bytes) -> None:
        """Note that an edit changed nothing the source says."""
        self._of[after] = self.of(before)


@dataclass(frozen=True)
class TaskFacts:
    """A task as the workflow describes it."""

    id: str
    facts: Facts
    outputs: tuple[str, ...]  # patterns below artifacts/, as written, for the run
    chapter: str = ""


@dataclass
class Reader:
    """Reads the facts of all tasks from a project's files."""

    root: Path
    preset: str
    meanings: Meanings = field(default_factory=Meanings)
    _files: dict[str, bytes] = field(default_factory=dict)  # every module's source, as it was when `tasks` was called

    def tasks(self) -> dict[str, TaskFacts]:
        """Every task of the study with what it depends on now."""
        workflow, params = loaded(self.root / "paper/workflow.yml"), self.params()
        self._files = {path: file.read_bytes() for path, file in self.modules().items()}
        environment = {f"variable {name}": str(value) for name, value in (workflow.get("environment") or {}).items()}
        out = {}
        for stage in workflow["stages"]:
            command = stage["command"] if isinstance(stage["command"], list) else stage["command"].split()
            facts = environment | self._code([stage["module"]]) | _sections(params, stage.get("params", []))
            facts |= {"its command": json.dumps(command)}
            if stage["per"] == "study" or any(str(glob).startswith("runs:") for glob in stage.get("reads", [])):
                facts["the runs of the study"] = json.dumps(self.runs())
            for scope in self.runs() if stage["per"] == "run" else [self.preset]:
                out[f"{scope}/{stage['name']}"] = TaskFacts(f"{scope}/{stage['name']}", facts, tuple(stage["writes"]))
        for source in self.chapters():
            name = Path(source).stem
            facts = environment | self._chapter(source) | _sections(params, _chapter_sections(workflow, name, params))
            if any(str(glob).startswith("runs:") for glob in _chapter_reads(workflow, name)):
                facts["the runs of the study"] = json.dumps(self.runs())
            out |= {f"{run}/{name}": TaskFacts(f"{run}/{name}", facts, (), source) for run in self.runs()}
        return out

    def params(self) -> dict[str, Any]:
        """The parameters of the preset laid over the base."""
        base, above = (loaded(self.root / f"params/{name}.yml") for name in ("base", self.preset))
        return _laid_over(base, above)

    def runs(self) -> list[str]:
        """The runs of the study."""
        return [f"{self.preset}-s{seed}" for seed in self.params()["seeds"]]

    def chapters(self) -> list[str]:
        """The notebooks of the book."""
        book = loaded(self.root / "_quarto.yml")["book"]["chapters"]
        flat = [page for entry in book for page in (entry["chapters"] if isinstance(entry, dict) else [entry])]
        return [page for page in flat if page.endswith(".ipynb")]

    def modules(self) -> dict[str, Path]:
        """Every module below `src/` by its file, relative to the project."""
        return {path.relative_to(self.root).as_posix(): path for path in sorted((self.root / "src").rglob("*.py"))}

    def _chapter(self, source: str) -> Facts:
        cells = json.loads((self.root / source).read_text())["cells"]
        code = [(cell["source"], cell["metadata"]) for cell in cells if cell["cell_type"] == "code"]
        code = [("".join(text), metadata) for text, metadata in code]
        lines = "\n".join(re.sub(r"(?m)^\s*[%!].*$", "pass", text) for text, _ in code)
        return {"its code cells": json.dumps(code, sort_keys=True), **self._code([], lines)}

    def _code(self, roots: list[str], script: str = "") -> Facts:
        shape = tuple((path, imports(data)) for path, data in self._files.items())
        inside, outside = closure(str(self.root), shape, tuple(roots), script)
        pins = self._pins()
        facts = {f"module {name}": self.meanings.of(self._files[path]) for name, path in inside}
        facts |= {
            name: value for folder in {Path(path).parent for _, path in inside} for name, value in self._data(folder)
        }
        packages = filter(None, map(_distribution, outside))
        return facts | {f"package {name}": pins.get(name, "not pinned") for name in packages}

    def _data(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Files of a package that are no Python, with what they hold."""
        if folder == Path("src"):
            return
        for place, below, names in os.walk(self.root / folder):
            kept = (name for name in below if not name.startswith((".", "__")))
            below[:] = [name for name in kept if not list((Path(place) / name).glob("*.py"))]
            for path in (Path(place) / name for name in names if not name.startswith(".") and name != "py.typed"):
                if path.suffix not in (".py", ".pyc", ".pyi"):
                    yield path.relative_to(self.root).as_posix(), path.read_bytes().hex()

    def _pins(self) -> dict[str, str]:
        lines = (self.root / "requirements.lock").read_text().splitlines()
        pairs = [re.split(r"==", re.split(r"[#;]", line)[0].strip(), maxsplit=1) for line in lines]
        return {re.sub(r"[-_.]+", "-", pair[0].strip()).lower(): pair[1].strip() for pair in pairs if len(pair) == 2}


def loaded(path: Path) -> Any:
    """The data of a YAML file, not to be changed by anybody."""
    return _parsed(path.read_text())


@lru_cache(maxsize=256)
def _parsed(text: str) -> Any:
    return yaml.safe_load(text)


@lru_cache(maxsize=4096)
def imports(data: bytes) -> tuple[Any, ...]:
    """What a module imports anywhere, as its bytecode says: changed only by edits of imports."""
    finder, found, waiting = ModuleFinder([]), [], [compile(data, "module", "exec", dont_inherit=True)]
    while waiting:
        code = waiting.pop()
        found += [(kind, repr(what)) for kind, what in finder.scan_opcodes(code) if kind.endswith("_import")]
        waiting += [const for const in code.co_consts if isinstance(const, CodeType)]
    return tuple(sorted(found))


@lru_cache(maxsize=1024)
def closure(
    root: str, shape: Any, roots: tuple[str, ...], script: str
) -> tuple[tuple[tuple[str, str], ...], frozenset[str]]:
    """Modules of the project (name, file) that `roots` and a script may import, and packages from outside.

    `shape` is what all files import; while it is the same, so is the answer.
    """
    del shape
    source = Path(root) / "src"
    finder = ModuleFinder([str(source)])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "script.py"
        place.write_text("\n".join([*(f"import {name}" for name in roots), script]))
        finder.run_script(str(place))
    inside = {
        name: Path(module.__file__).relative_to(root).as_posix()
        for name, module in finder.modules.items()
        if name != "__main__" and module.__file__
    }
    tops = {path.stem for path in source.iterdir()}
    outside = {name.split(".")[0] for name in finder.badmodules} - tops
    return tuple(sorted(inside.items())), frozenset(outside)


def _distribution(name: str) -> str:
    return "" if name in sys.stdlib_module_names else DISTRIBUTIONS.get(name, re.sub(r"[-_.]+", "-", name).lower())


def _sections(params: dict[str, Any], names: list[str]) -> Facts:
    return {f"section {name}": json.dumps(params[name], sort_keys=True) for name in names}


def _chapter_sections(workflow: dict[str, Any], name: str, params: dict[str, Any]) -> list[str]:
    chapters = workflow.get("chapters") or {}
    own = (chapters.get("own") or {}).get(name) or {}
    chosen = own.get("params", (chapters.get("defaults") or {}).get("params"))
    return list(params) if chosen is None else list(chosen)


def _chapter_reads(workflow: dict[str, Any], name: str) -> list[str]:
    chapters = workflow.get("chapters") or {}
    own = (chapters.get("own") or {}).get(name) or {}
    return [*(chapters.get("defaults") or {}).get("reads", []), *own.get("reads", [])]


def _laid_over(base: Any, above: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(above, dict)):
        return above
    return base | {key: _laid_over(base[key], value) if key in base else value for key, value in above.items()}
