"""A built copy of this paper that is mutated and put back, and what was known of it when everything was up to date."""

import random
from collections.abc import Mapping
from pathlib import Path

from livingpaper.build import open_authority
from livingpaper.explain import explain_task
from livingpaper.staleness.verdict import State
from tests.trials.mutations.facts import Reader, loaded
from tests.trials.mutations.paths import Paths, Touched
from tests.trials.mutations.real import PRESET, plan_of
from tests.trials.mutations.world import World

Known = dict[str, tuple[dict[str, str], Touched]]


class Bench:
    """The copy, who reads it, and how everything was."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reader = Reader(root, PRESET)
        self.paths = Paths(self.reader)
        self.recorded = self.paths.recorded()
        self.known = self.now()
        self.world = World(root, self.reader, random.Random(0))
        self.sources = self.world.sources()
        self.stages = {stage["name"] for stage in loaded(root / "paper/workflow.yml")["stages"]}
        self._made = {
            path: path.read_bytes() for part in ("artifacts", "build") for path in self.world.files(f"{part}/**/*")
        }

    def now(self) -> Known:
        """Facts and files of every task as they are now."""
        tasks, files = self.reader.tasks(), self.paths.touched(self.recorded)
        return {name: (task.facts, files[name]) for name, task in tasks.items()}

    def put_back(self) -> None:
        """Undo every mutation, of what machines wrote too."""
        self.world.forgotten.clear()
        self.world.restore(self.sources)
        for part in ("artifacts", "build"):
            for path in self.world.files(f"{part}/**/*"):
                if path not in self._made or path.is_symlink():
                    path.unlink()
        for path, data in self._made.items():
            if not path.is_file() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    def wrong(self) -> list[str]:
        """Verdicts and explanations that are not those of what changed."""
        authority = open_authority(plan_of(self.root))
        verdicts = {task.id: authority.judge(task) for task in authority.plan.tasks.values()}
        out, now = [], self.now()
        for task in authority.plan.tasks.values():
            own, read = self.changed(task.id, now)
            stale = verdicts[task.id].state is State.STALE
            if stale and not own and not read:
                out.append(f"{task.id} would run needlessly: {verdicts[task.id].reason}")
            if (own or read) and not stale:
                out.append(f"{task.id} would be left stale: {own or read}")
            sentence = explain_task(authority, task, verdicts)
            may = " may rerun: it comes after" in sentence and not own
            if (own or read) and not may and not any(name in sentence for name in own or read):
                out.append(f"changed: {own or read}; said: {sentence}")
        return out

    def changed(self, task: str, now: Known) -> tuple[list[str], list[str]]:
        """What differs of a task's own, and of what it read."""
        if task not in self.known or task in self.world.forgotten:
            return ["it has not run yet"], []
        (facts, files), (new_facts, new_files) = self.known[task], now[task]
        own = _differing(facts, new_facts) + _differing(files.outputs, new_files.outputs)
        names = ["the files that"] if files.matched != new_files.matched else []
        return own, _differing(files.reads, new_files.reads) + names


def _differing(before: Mapping[str, str | None], now: Mapping[str, str | None]) -> list[str]:
    return sorted(name for name in before.keys() | now.keys() if before.get(name, "absent") != now.get(name, "absent"))
