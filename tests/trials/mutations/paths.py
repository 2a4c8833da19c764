"""Which files of a real project each task writes and reads, from the workflow's patterns, without the press."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.trials.mutations.facts import Reader, loaded

Digests = dict[str, str | None]


@dataclass(frozen=True)
class Touched:
    """Digests of a task's outputs, of what it recorded to have looked for, and of all that its patterns match."""

    outputs: Digests
    reads: Digests
    matched: frozenset[str]


class Paths:
    """The files of all tasks; what was looked for stands in the records that the laboratory itself writes."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.root = reader.root

    def touched(self, recorded: dict[str, list[str]]) -> dict[str, Touched]:
        """Every task's files as they are now; `recorded` are the names each looked for when it ran."""
        workflow, out = loaded(self.root / "paper/workflow.yml"), {}
        for stage in workflow["stages"]:
            for scope in self.reader.runs() if stage["per"] == "run" else [self.reader.preset]:
                id = f"{scope}/{stage['name']}"
                out[id] = self._touched(scope, stage["writes"], stage.get("reads", []), recorded.get(id, []))
        for source in self.reader.chapters():
            for run in self.reader.runs():
                id, made = f"{run}/{Path(source).stem}", self.root / "build/chapters" / run / Path(source).name
                one = self._touched(run, [], _chapter_reads(workflow, Path(source).stem), recorded.get(id, []))
                out[id] = Touched(self._present([made]), one.reads, one.matched)
        return out

    def recorded(self) -> dict[str, list[str]]:
        """What every task looked for, in the words of its own record, its outputs left out."""
        found = {}
        for log in sorted((self.root / "build/logs").glob("*/*.reads")):
            entries = [json.loads(line) for line in log.read_text().splitlines()]
            paths = {Path(entry["path"]) for entry in entries if "path" in entry}
            found[f"{log.parent.name}/{log.stem}"] = sorted(path.relative_to(self.root).as_posix() for path in paths)
        own = {id: one.outputs.keys() for id, one in self.touched({}).items()}
        return {id: [name for name in names if name not in own[id]] for id, names in found.items()}

    def _touched(self, scope: str, writes: list[str], reads: list[str], recorded: list[str]) -> Touched:
        outputs = [path for pattern in writes for path in self._expanded(scope, pattern)]
        matched = {path for pattern in reads if "*" in pattern for path in self._expanded(scope, pattern)}
        names = frozenset(path.relative_to(self.root).as_posix() for path in matched - {*outputs})
        return Touched(self._present(outputs), {name: digest(self.root / name) for name in recorded}, names)

    def _expanded(self, scope: str, pattern: str) -> list[Path]:
        named = re.fullmatch(r"(?:(run|runs|study|shared):)?(.*)", pattern)
        assert named is not None
        prefix, rest = named[1] or "", named[2]
        if prefix == "shared":
            pointer = re.search(r"\{(\S+?)#/(\w+)\}", rest)
            if pointer is None:
                return self._below(self.root / "artifacts", rest)
            try:
                value = json.loads((self.root / "artifacts/runs" / scope / pointer[1]).read_bytes())[pointer[2]]
            except (OSError, ValueError, KeyError, TypeError):
                return []
            return self._below(self.root / "artifacts", rest.replace(pointer[0], str(value)))
        homes = {"runs": [f"runs/{run}" for run in self.reader.runs()], "study": [f"studies/{self.reader.preset}"]}
        own = f"studies/{scope}" if scope == self.reader.preset else f"runs/{scope}"
        return [path for home in homes.get(prefix, [own]) for path in self._below(self.root / "artifacts" / home, rest)]

    def _below(self, folder: Path, pattern: str) -> list[Path]:
        found = folder.glob(pattern + "/*" if pattern.endswith("**") else pattern)
        visible = (path for path in found if not any(part[0] == "." for part in path.relative_to(folder).parts))
        return sorted(path for path in visible if path.is_file())

    def _present(self, paths: list[Path]) -> Digests:
        return {path.relative_to(self.root).as_posix(): digest(path) for path in paths if path.is_file()}


def digest(path: Path) -> str | None:
    """Digest of a file's bytes, `None` if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _chapter_reads(workflow: dict[str, Any], name: str) -> list[str]:
    chapters = workflow.get("chapters") or {}
    own = (chapters.get("own") or {}).get(name) or {}
    return [*(chapters.get("defaults") or {}).get("reads", []), *own.get("reads", [])]
