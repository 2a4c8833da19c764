"""Where the evidence of each printed run comes from, in words: a sentence on its pages, a table for the whole paper."""

from collections.abc import Callable
from functools import cache

from livingpaper.errors import PublicationError
from livingpaper.markdown import code, escape, table
from livingpaper.published.publication import load_publication
from livingpaper.published.standing import Comparison
from livingpaper.staleness.memo import Memo
from livingpaper.tasks import Plan
from livingpaper.workflow import Collection


class Sources:
    """What can be said on the evidence of the runs of one plan.

    `behind` says why the evidence of a run computed here is not today's, if so.
    """

    def __init__(self, plan: Plan, memo: Memo, behind: Callable[[str], str | None] = lambda run: None) -> None:
        self._plan = plan
        self._memo = memo
        self._behind = behind
        self._comparison = Comparison(plan.project, memo)

    @cache  # noqa: B019  (one build long)
    def sentence(self, scope: str) -> str:
        """Where the evidence of a run or study comes from."""
        publication = self._plan.homes.published.get(scope)
        if publication is not None:
            return f"Published evidence of {publication.published}. {self._comparison.standing(publication).sentence}"
        return self._computed_here(scope)

    def _computed_here(self, run: str) -> str:
        project = self._plan.project
        if not (project.artifacts / "runs" / run).is_dir():
            return "No evidence here yet."
        if self._behind(run):
            return "Evidence computed here, not up to date."
        try:
            published = load_publication(project, run)
        except PublicationError:
            return "Evidence computed here; what was published of it cannot be read."
        if published is None:
            return "Evidence computed here."
        here = {file: self._memo.digest(project.artifacts / file) for file in published.files}
        others = [file for file, about in published.files.items() if here[file] != about.sha256]
        if not others:
            return f"Evidence computed here, the same as published on {published.published}."
        count = f"{len(others)} of {len(published.files)} files"
        return f"Evidence computed here; {count} differ from those published on {published.published}."

    def table(self, run: str) -> str:
        """Every printed run, published study and collection: where its evidence is from, and how to make it again."""
        published = [study.preset for study in self._plan.studies if study.preset in self._plan.homes.published]
        scopes = dict.fromkeys([*self._plan.runs, *published])
        rows = [
            [f"**{escape(one)}**" if one == run else escape(one), escape(self.sentence(one)), *self._about(one)]
            for one in scopes
        ]
        rows += [self._together(one) for one in self._plan.workflow.collections]
        commands = [*map(self._command, scopes), *(one.regenerate for one in self._plan.workflow.collections)]
        again = " · ".join(map(code, dict.fromkeys(commands)))
        return table(["run", "evidence", "code", "cost"], rows) + f"\n\nMade again by {again}."

    def _together(self, collection: Collection) -> list[str]:
        """The row of a collection, which no stage makes: it is as old as it says, whatever today's code is."""
        publication = self._plan.homes.published.get(collection.name)
        folder = self._plan.project.artifacts / "studies" / collection.name
        if publication is not None:
            where = f"Published {publication.published}."
        else:
            where = "Made here." if folder.is_dir() else "Not made yet."
        about = self._about(collection.name)[0] if publication is not None or folder.is_dir() else ""
        return [escape(collection.name), escape(f"{collection.says} {where}"), about, ""]

    def _about(self, run: str) -> tuple[str, str]:
        """Version and cost of what was published; what is computed here is of today's version."""
        publication = self._plan.homes.published.get(run)
        if publication is None:
            return "this checkout", ""
        commit = publication.version.commit
        changed = " with changes" if publication.version.modified else ""
        processor = publication.machine.get("processor", "an unknown processor")
        version = code(commit[:10]) + changed if commit else "unknown"
        # a stage that went on from what was there counts what it did last; a training may have begun outside a build
        return version, f"at least {_spoken(publication.seconds)} on {escape(processor)}"

    def _command(self, run: str) -> str:
        publication = self._plan.homes.published.get(run)
        preset = next(study.preset for study in self._plan.studies if run in (*study.runs, study.preset))
        return publication.regenerate if publication else f"livingpaper build --preset {preset}"


def _spoken(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
