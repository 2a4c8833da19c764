"""Where the evidence of a run or study is read: `artifacts/`, or the folder of its publication, which mirrors it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from livingpaper.project import Project
from livingpaper.published.publication import Publication


@dataclass(frozen=True)
class Homes:
    """The publications that are read instead of `artifacts/`, by the name of their run or study."""

    project: Project
    published: Mapping[str, Publication] = field(default_factory=dict)

    def root(self, scope: str) -> Path:
        """The folder in which everything of a run or study lies as it does below `artifacts/`."""
        return self.project.results / scope if scope in self.published else self.project.artifacts

    def of(self, glob: str, scope: str) -> Path:
        """The folder a glob of `scope` is looked up in: that of the run or study it names, else its own."""
        return self.root(_named(glob) or scope)

    def told(self, globs: Iterable[str], scope: str) -> dict[str, str]:
        """Which of the runs and studies that some globs name are read as published, and where."""
        names = sorted({_named(glob) or scope for glob in globs})
        return {name: f"results/{name}" for name in names if name in self.published}


def _named(glob: str) -> str | None:
    """The run or study in whose folder a glob's files lie; `None` for shared files."""
    kind, _, rest = glob.partition("/")
    return rest.partition("/")[0] if kind in ("runs", "studies") else None
