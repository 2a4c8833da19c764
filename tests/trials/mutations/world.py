"""A copy of a paper that is mutated, and everything a mutation needs to know of it."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.trials.mutations.facts import Reader

SOURCES = ("src", "params", "paper", "chapters", "docs", "index.qmd", "_quarto.yml", "requirements.lock", "README.md")


@dataclass
class World:
    """The copy, chance, and who reads its sources; `forgotten` are tasks whose record in the press was destroyed."""

    root: Path
    reader: Reader
    chance: random.Random
    forgotten: set[str] = field(default_factory=set)
    shown: Callable[[], bool] = lambda: True  # whether the laboratory still does its work after an edit of its code

    def files(self, pattern: str) -> list[Path]:
        """Files of the copy that match a pattern, in a lasting order."""
        found = (path for path in self.root.glob(pattern) if path.is_file() and "__pycache__" not in path.parts)
        return sorted(found)

    def pick(self, pattern: str) -> Path | None:
        """One of those files."""
        found = self.files(pattern)
        return self.chance.choice(found) if found else None

    def name(self, path: Path) -> str:
        """A file as it is called in messages."""
        return path.relative_to(self.root).as_posix()

    def sources(self) -> dict[Path, bytes]:
        """Everything people write, to come back to."""
        found = (path for name in SOURCES for path in [self.root / name, *(self.root / name).rglob("*")])
        return {path: path.read_bytes() for path in found if path.is_file() and "__pycache__" not in path.parts}

    def restore(self, sources: dict[Path, bytes]) -> None:
        """Put everything people write back to an earlier state."""
        for path in self.sources().keys() - sources.keys():
            path.unlink()
        for path, data in sources.items():
            if not path.is_file() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        for folder in sorted((self.root / "src").rglob("*"), reverse=True):
            if folder.is_dir() and (folder.name == "__pycache__" or not any(folder.iterdir())):
                shutil.rmtree(folder)


Mutation = Callable[[World], str | None]  # does it and says what it did; `None` where it does not apply
