"""Where the evidence of a run or study is read: `artifacts/`, or the folder of its publication, which mirrors it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from livingpaper.project import Project
from livingpaper.published.publication import Publication


@dataclass(frozen=True)
class Homes:
    """The publications that are read instead of `artifacts/`, by the name of their run or study.

    `lacking` are runs and studies that belong to published ones and are not published themselves: nothing of them is
    read anywhere, so that one page never mixes what was published with what lies here.
    """

    project: Project
    published: Mapping[str, Publication] = field(default_factory=dict)
    lacking: frozenset[str] = frozenset()

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Runs and studies that are not read from `artifacts/`."""
        return tuple(sorted({*self.published, *self.lacking}))

    def root(self, scope: str) -> Path:
        """The folder in which everything of a run or study lies as it does below `artifacts/`."""
        elsewhere = scope in self.published or scope in self.lacking
        return self.project.results / scope if elsewhere else self.project.artifacts

    def of(self, glob: str, scope: str) -> Path:
        """The folder a glob of `scope` is looked up in: that of the run or study it names, else its own."""
        return self.root(_named(glob) or scope)

    def told(self, globs: Iterable[str], scope: str) -> dict[str, str]:
        """Which of the runs and studies that some globs name are read as published, and where."""
        names = sorted({_named(glob) or scope for glob in globs})
        return {name: f"results/{name}" for name in names if name in self.elsewhere}


def _named(glob: str) -> str | None:
    """The run or study in whose folder a glob's files lie; `None` for shared files."""
    kind, _, rest = glob.partition("/")
    return rest.partition("/")[0] if kind in ("runs", "studies") else None
