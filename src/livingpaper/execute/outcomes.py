"""How a task of the build ended."""

from dataclasses import dataclass
from enum import StrEnum

RAISED = 3  # exit code of the process that executes a chapter, when a cell raised


class Outcome(StrEnum):
    """What became of a task."""

    FRESH = "fresh"  # nothing it depends on changed: not executed
    DONE = "done"  # executed, or taken from the cache of executed chapters
    FAILED = "failed"
    SKIPPED = "skipped"  # something it waits for failed


@dataclass(frozen=True)
class Result:
    """The outcome of a task, and in one sentence why."""

    outcome: Outcome
    reason: str
    executed: bool = False

    @property
    def good(self) -> bool:
        """Whether what comes after it can go on."""
        return self.outcome in (Outcome.FRESH, Outcome.DONE)
