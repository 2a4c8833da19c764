"""Random mutations of the tiny paper, each followed by a real build: nothing stale, nothing executed needlessly.

What *needless* and *stale* mean stands in `ledger.py`.
"""

import shutil
from pathlib import Path

from tests.trials.conftest import Trial
from tests.trials.mutations.files import WRITTEN_BY_MACHINES
from tests.trials.mutations.ledger import shown
from tests.trials.mutations.sources import CODE
from tests.trials.mutations.values import WRITTEN
from tests.trials.mutations.walk import Walk

KINDS = [*CODE, *WRITTEN, *WRITTEN_BY_MACHINES]


def test_random_mutations_of_stages(built_stages: Path, tmp_path: Path, trial: Trial) -> None:
    """Walks of eight steps: one mutation, several at once, or an earlier state put back, then a build."""
    wanted, tried, held, executed, seed = trial.amount(full=320, short=8), 0, 0, 0, 0
    problems: list[str] = []
    while tried < wanted:
        seed += 1
        walk = Walk(Path(shutil.copytree(built_stages, tmp_path / str(seed))), seed)
        shutil.rmtree(walk.paper.root / "build")
        shutil.rmtree(walk.paper.root / "artifacts")
        wrong = walk.begin()
        for _ in range(min(8, wanted - tried)):
            wrong += walk.fail() if walk.world.chance.random() < 0.1 else []
            done = walk.mutate(KINDS, walk.world.chance.choice([1, 1, 1, 2, 3]))
            if walk.world.chance.random() < 0.2:
                walk.undo()
            wrong += walk.build()
            tried += done
            if wrong:
                problems += [*walk.story, *wrong]
                break
            held += done
        executed += walk.executed
        shutil.rmtree(walk.paper.root)
    trial.row(
        "staleness",
        "random mutations of the tiny paper",
        tried,
        held,
        shown(problems) or f"{executed} executions",
    )
