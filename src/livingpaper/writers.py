"""Who writes what, looked up by folder: a study of many runs asks this for every file it reads.

Files of a run or a study lie in a folder of their own, so only the tasks that write there have to be looked at.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from livingpaper import patterns

if TYPE_CHECKING:
    from livingpaper.tasks import Task

SHARED = ""  # the home of everything that lies in no run's and no study's folder


class Writers:
    """The tasks of a plan by the folders they write into."""

    def __init__(self, tasks: Iterable["Task"]) -> None:
        self._at: dict[str | None, list[tuple[str, Task]]] = {}  # by home; `None`: where nobody can say
        for task in tasks:
            for glob in task.writes:
                self._at.setdefault(home(glob), []).append((glob, task))

    def of(self, path: str) -> list["Task"]:
        """The tasks that may write a path relative to `artifacts/`."""
        found = {task.id: task for glob, task in self._near(path) if patterns.matches(glob, path)}
        return list(found.values())

    def before(self, task: "Task") -> frozenset[str]:
        """Names of the tasks that may write what `task` reads; each run makes sure of its own shared files."""
        return frozenset(
            other.id
            for read in task.reads
            for written, other in self._near(read)
            if other is not task
            and (other.scope == task.scope or written.startswith(("runs/", "studies/")))
            and patterns.can_meet(read, written)
        )

    def _near(self, glob: str) -> Iterator[tuple[str, "Task"]]:
        """What is written into the home of a glob, or may be."""
        where = home(glob)
        for place in self._at if where is None else (where, None):
            yield from self._at.get(place, ())


def home(glob: str) -> str | None:
    """The folder `runs/<run>` or `studies/<study>` a glob lies in, `SHARED`, or `None` if only its matches can tell."""
    first, _, rest = glob.partition("/")
    if not _plain(first):
        return None
    if first not in ("runs", "studies"):
        return SHARED
    second = rest.partition("/")[0]
    return f"{first}/{second}" if _plain(second) else None


def _plain(name: str) -> bool:
    return not patterns.wild(name) and "{" not in name
