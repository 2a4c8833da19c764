"""Random mutations of the tiny paper with its chapters and pages: what is executed, what is printed, and what stands.

A printing is needless if none of the files that pages can be made of differs from what it was when the pages were
printed, and the pages themselves are as they were. Pages and chapters are stale if they are not those of a build from
nothing. The first build is one: when everything is undone, its bytes have to stand there again.
"""

import json
import shutil
from pathlib import Path

import pytest

from tests.livingpaper.conftest import IGNORED, TINY
from tests.trials.conftest import Trial
from tests.trials.mutations.files import memo, record, same_bytes, times
from tests.trials.mutations.ledger import shown
from tests.trials.mutations.pages import clean, print_paper, printed, printed_from, standing
from tests.trials.mutations.sources import meaningful, module_nobody_imports, neutral, there_and_back
from tests.trials.mutations.text import word
from tests.trials.mutations.values import (
    notebook_code,
    notebook_leftovers,
    parameter,
    parameter_layout,
    pin_layout,
    prose,
    workflow_words,
)
from tests.trials.mutations.walk import Walk
from tests.trials.mutations.world import World

pytestmark = pytest.mark.slow


def rule(world: World) -> str:
    """Another threshold of a claim."""
    path = world.root / "paper/claims.yml"
    new = f"above: {world.chance.uniform(2.6, 3.4):.3f}"
    path.write_text(path.read_text().replace("above: 3.0", new, 1))
    return f"{new} in paper/claims.yml"


def title(world: World) -> str:
    """Another title of the book."""
    path = world.root / "_quarto.yml"
    path.write_text(path.read_text().replace("title: A", f"title: {word(world.chance)} A", 1))
    return "the title"


def notes(world: World) -> str:
    """A file that one chapter looked for in vain, and that is there now."""
    path = world.root / "artifacts/runs/tiny-s2/notes.json"
    path.write_text(json.dumps(word(world.chance)))
    return world.name(path)


def damaged_chapter(world: World) -> str | None:
    """An executed chapter edited or deleted."""
    path = world.pick("build/chapters/*/*.ipynb")
    assert path is not None
    if world.chance.random() < 0.5:
        path.unlink()
    else:
        path.write_text(path.read_text().replace("throws", "casts"))
    return f"{world.name(path)} damaged"


def damaged_page(world: World) -> str | None:
    """A page of the site edited or deleted."""
    path = world.pick("_site/**/*.html")
    assert path is not None
    if world.chance.random() < 0.5:
        path.unlink()
    else:
        path.write_text(path.read_text() + "<!-- x -->")
    return f"{world.name(path)} damaged"


QUIET = [neutral, module_nobody_imports, there_and_back, times, same_bytes, memo, notebook_leftovers]
PRINTED = [prose, prose, prose, parameter_layout, pin_layout, workflow_words, rule, title, damaged_page]
EXECUTED = [notebook_code, parameter, meaningful, notes, damaged_chapter, record]


class Printed(Walk):
    """A walk in which every build is printed too."""

    def begin(self) -> list[str]:
        """The first build and printing."""
        self.before: tuple[dict[str, str], dict[str, str]] = ({}, {})
        return self.build()

    def build(self) -> list[str]:
        """Build and print; needless or missing executions, and needless printings."""
        for task in self.world.forgotten:
            self.ledger.forget(task)
        self.world.forgotten.clear()
        outputs, site = self.ledger.note(), printed(self.paper.root)
        built, rendered, wrong = print_paper(self.paper.root)
        self.story.append(f"executed: {sorted(built.executed)}; printed: {sorted(rendered)}")
        wrong += self.ledger.settle(built, outputs)
        now = printed_from(self.paper.root)
        if rendered and (now, site) == self.before:
            wrong.append(f"printed needlessly: {sorted(rendered)}")
        self.before = (now, printed(self.paper.root))
        return wrong


def test_random_mutations_of_chapters_and_pages(tmp_path: Path, trial: Trial) -> None:
    """Walks of six steps, each ended by a comparison with a clean build, undone, and compared with the first build."""
    if not trial.full:
        pytest.skip("prints the tiny paper dozens of times: make trials; tests/livingpaper/test_press.py does a few")
    wanted, tried, held, seed = trial.amount(full=48, short=0), 0, 0, 0
    problems: list[str] = []
    walk = Printed(Path(shutil.copytree(TINY, tmp_path / "paper", ignore=IGNORED)), seed)
    wrong = walk.begin()
    sources, first = walk.world.sources(), standing(walk.paper.root)
    while tried < wanted and not wrong:
        seed += 1
        walk.world.chance.seed(seed)
        walk.story.append(f"seed {seed}")
        done = 0
        for kinds in [QUIET, PRINTED, QUIET, PRINTED, EXECUTED, PRINTED][: wanted - tried]:
            done += walk.mutate(kinds, 2 if kinds is QUIET else 1)
            wrong += walk.build()
        wrong += _different(standing(walk.paper.root), clean(walk.paper.root, tmp_path / "clean"), "a clean build")
        walk.world.restore(sources)
        for path in walk.paper.root.glob("artifacts/runs/*/notes.json"):
            path.unlink()
        wrong += walk.build() + _different(standing(walk.paper.root), first, "the first build")
        tried, held = tried + done, held + (0 if wrong else done)
        problems += [*walk.story, *wrong] if wrong else []
    note = shown(problems or wrong)
    trial.row("Staleness", "random mutations of the tiny paper with chapters and pages", tried, held, note)


def _different(found: dict[str, str], expected: dict[str, str], than: str) -> list[str]:
    names = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    return [f"{name} is not that of {than}" for name in names]
