"""Random mutations of this very paper: what would run is what has to run, and the explanation names why.

Under `--trials` the paper is really built; else its artifacts are stand-ins, its sources and its workflow are not.
"""

import random

import pytest

from tests.trials.conftest import Trial
from tests.trials.mutations.bench import Bench
from tests.trials.mutations.files import WRITTEN_BY_MACHINES
from tests.trials.mutations.ledger import shown
from tests.trials.mutations.sources import CODE
from tests.trials.mutations.values import WRITTEN, notebook_code, prose

pytestmark = pytest.mark.xdist_group("real")  # one copy serves all of them
KINDS = [*CODE, *CODE, *WRITTEN, *WRITTEN_BY_MACHINES, notebook_code, prose]
SEED = 20261121


def test_what_would_run_after_random_mutations(real: Bench, trial: Trial) -> None:
    """One or a few mutations, the authority's verdicts and explanations, and everything put back."""
    wanted, tried, held, problems = trial.amount(full=300, short=10), 0, 0, []
    number = 0
    while tried < wanted:
        number += 1
        chance = real.world.chance = random.Random(SEED + number)
        said = [kind(real.world) for kind in chance.choices(KINDS, k=chance.choice([1, 1, 1, 2, 3]))]
        done = [one for one in said if one]
        wrong = real.wrong() if done else []
        tried, held = tried + len(done), held + (0 if wrong else len(done))
        problems += [f"seed {SEED + number}", *done, *wrong] if wrong else []
        real.put_back()
    assert real.wrong() == [], "everything is put back"
    trial.row("Staleness", "random mutations of the real paper, judged", tried, held, shown(problems))
