"""Where the evidence of a run or study is read: `artifacts/`, or the folder of its publication, which mirrors it."""

from collections.abc import Mapping
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
        kind, _, rest = glob.partition("/")
        return self.root(rest.partition("/")[0] if kind in ("runs", "studies") else scope)

    def told(self, scopes: tuple[str, ...]) -> dict[str, str]:
        """Which of some runs and studies are read as published, for the record of what a chapter depended on."""
        return {scope: f"results/{scope}" for scope in scopes if scope in self.published}
