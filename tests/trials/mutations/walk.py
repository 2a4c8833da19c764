"""A walk: mutations of one copy of the tiny paper, with builds between them, each build held against the ledger."""

import random
import re
from collections.abc import Sequence
from pathlib import Path

from livingpaper.build import open_authority
from livingpaper.execute.aside import Unknown
from livingpaper.explain import explain_task
from livingpaper.params import load_study
from livingpaper.project import Project
from livingpaper.staleness.verdict import State
from livingpaper.tasks import make_plan
from tests.livingpaper.conftest import Paper
from tests.trials.mutations.facts import Reader
from tests.trials.mutations.ledger import NOT_RUN, Ledger
from tests.trials.mutations.truth import truth
from tests.trials.mutations.world import Mutation, World

_FRUITLESS = 40  # draws in a row that do not apply before a walk gives up


class Walk:
    """One copy, its ledger, and everything that was done to it, for the message of a failure."""

    def __init__(self, root: Path, seed: int, preset: str = "tiny") -> None:
        self.paper = Paper(root)
        reader = Reader(root, preset)
        self.world = World(root, reader, random.Random(seed), shown=self._shown)
        self.ledger = Ledger(reader)
        self.story = [f"seed {seed}"]
        self.executed = 0
        self._truth: dict[str, bytes] | None = None
        self._states = [self.world.sources()]

    def begin(self) -> list[str]:
        """The first build: everything is executed once."""
        self._truth = truth(self.world.reader)
        return self.build()

    def mutate(self, kinds: Sequence[Mutation], amount: int) -> int:
        """Do `amount` mutations of random kinds; how many were done."""
        done, fruitless = 0, 0
        while done < amount and fruitless < _FRUITLESS:
            kind = self.world.chance.choice(kinds)
            says = kind(self.world)
            if says is None:
                fruitless += 1
                continue
            self.story.append(says)
            done, fruitless = done + 1, 0
        return done

    def undo(self) -> None:
        """Put what people write back to a state in which it was once."""
        self.story.append("sources put back to an earlier state")
        self.world.restore(self.world.chance.choice(self._states))

    def fail(self) -> list[str]:
        """Build with a stage that raises, then put its code back; what was wrong with that build."""
        path = self.paper.root / "src/tinylab" / self.world.chance.choice(["throw.py", "measure.py", "choose.py"])
        kept = path.read_bytes() if path.is_file() else b""
        broken = re.sub(rb"(def main\(.*\n)", rb"\1    raise RuntimeError\n", kept)
        if broken == kept or truth(self.world.reader) is None:
            return []
        path.write_bytes(broken)
        before = self.ledger.note()
        built = self.paper.build(unknown=Unknown.ANEW)
        self.story.append(f"{path.name} raised; built: {', '.join(built.executed) or 'nothing executed'}")
        wrong = self.ledger.settle(built, before)
        path.write_bytes(kept)
        return wrong + [one for one in built.failures if path.stem not in one]

    def build(self) -> list[str]:
        """Build; what was wrong with it: stale results, needless executions, explanations that name the wrong thing."""
        for task in self.world.forgotten:
            self.ledger.forget(task)
        self.world.forgotten.clear()
        before, wrong = self.ledger.note(), self._unexplained()
        built = self.paper.build(unknown=Unknown.ANEW)
        self.executed += len(built.executed)
        self.story.append(f"built: {', '.join(built.executed) or 'nothing executed'}")
        wrong += built.failures + self.ledger.settle(built, before)
        expected = truth(self.world.reader)
        wrong += self.ledger.compare(expected) if expected else ["the laboratory itself fails"]
        self._states.append(self.world.sources())
        return wrong

    def _shown(self) -> bool:
        return truth(self.world.reader) is not None

    def _unexplained(self) -> list[str]:
        """Sentences of `livingpaper explain` that name nothing that changed, or something though nothing did."""
        plan = make_plan(Project(self.paper.root), load_study(self.paper.root, self.world.reader.preset))
        authority = open_authority(plan)
        verdicts = {task.id: authority.judge(task) for task in plan.tasks.values()}
        wrong = []
        for task in plan.tasks.values():
            sentence, own, read = explain_task(authority, task, verdicts), *self.ledger.differences(task.id)
            if not (_names(sentence, own, read) if own != NOT_RUN else verdicts[task.id].state is State.STALE):
                wrong.append(f"explained wrongly; changed: {own}, read: {read}; said: {sentence}")
        return wrong


def _names(sentence: str, own: list[str], read: list[str]) -> bool:
    """Whether a sentence names something that changed; what was read may yet be made the same again by tasks before."""
    would = " would rerun: " in sentence and any(one in sentence for one in own or read)
    may = " may rerun: it comes after" in sentence
    return would or (not own and may) or (not own and not read and " would not " in sentence)
