"""Where the evidence of each printed run comes from, in words: a sentence on its pages, a table for the whole paper."""

from collections.abc import Mapping
from functools import cached_property

from livingpaper.markdown import code, escape, table
from livingpaper.published.publication import Publication
from livingpaper.published.standing import Standing, standing
from livingpaper.published.studies import differing
from livingpaper.staleness.memo import Memo
from livingpaper.tasks import Plan


class Sources:
    """What can be said on the evidence of the runs of one plan; each publication is compared with today's code once."""

    def __init__(self, plan: Plan, memo: Memo) -> None:
        self._plan = plan
        self._memo = memo
        self._sentences: dict[str, str] = {}

    def sentence(self, run: str) -> str:
        """Where the evidence of a run comes from, for its pages."""
        if run not in self._sentences:
            self._sentences[run] = self._sentence(run)
        return self._sentences[run]

    def _sentence(self, run: str) -> str:
        publication = self._published.get(run)
        if publication is not None:
            return f"Published evidence of {publication.published}. {self._standing[run].sentence}"
        compared = differing(self._plan.project, run, self._memo)
        if compared is None:
            return "Evidence computed here."
        published, others = compared
        if not others:
            return f"Evidence computed here, the same as published on {published.published}."
        count = f"{len(others)} of {len(published.files)} files"
        return f"Evidence computed here; {count} differ from those published on {published.published}."

    def table(self, run: str) -> str:
        """Every printed run with the source of its evidence, and the commands that make it again."""
        rows = [
            [f"**{escape(one)}**" if one == run else escape(one), escape(self.sentence(one)), *self._about(one)]
            for one in self._plan.runs
        ]
        commands = " · ".join(dict.fromkeys(code(self._command(one)) for one in self._plan.runs))
        return table(["run", "evidence", "code", "cost"], rows) + f"\n\nMade again by {commands}."

    def _about(self, run: str) -> tuple[str, str]:
        """Version and cost of what was published; what is computed here is of today's version."""
        publication = self._published.get(run)
        if publication is None:
            return "this checkout", ""
        commit = publication.version.commit
        changed = " with changes" if publication.version.modified else ""
        processor = publication.machine.get("processor", "an unknown processor")
        version = code(commit[:10]) + changed if commit else "unknown"
        return version, f"{_spoken(publication.seconds)} on {escape(processor)}"

    def _command(self, run: str) -> str:
        publication = self._published.get(run)
        preset = next(study.preset for study in self._plan.studies if run in study.runs)
        return publication.regenerate if publication else f"livingpaper build --preset {preset}"

    @property
    def _published(self) -> Mapping[str, Publication]:
        return self._plan.homes.published

    @cached_property
    def _standing(self) -> dict[str, Standing]:
        project = self._plan.project
        return {run: standing(project, one, self._memo) for run, one in self._published.items()}


def _spoken(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
