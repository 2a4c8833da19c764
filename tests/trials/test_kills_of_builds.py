"""A build killed at any moment, in any of its processes, again and again: building on ends in the same bytes."""

import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

from tests.livingpaper.conftest import Paper
from tests.trials.conftest import Trial
from tests.trials.killing import differing, finish, left_after, mortal_paper, results, said, start, strike

ENDS = {
    "KILL": {-signal.SIGKILL},
    "all": {-signal.SIGKILL},
    "INT": {130, -signal.SIGINT},  # the latter while Python itself is still starting
    "TERM": {130, -signal.SIGTERM},
    "child": {0, 1},  # the build goes on and says what failed
}


def killed_once(paper: Paper, moment: float, chance: random.Random) -> tuple[str, list[str]]:
    """What was killed at the moment, empty if the build was done before; and what did not end as it must."""
    process = start(paper)
    try:
        process.wait(moment)
        return "", []
    except subprocess.TimeoutExpired:
        victim = strike(process, paper.root, chance)
    code = process.wait(60)
    wrong = [] if code in ENDS[victim] | {0} else [f"{victim}: exit code {code}: {said(paper)[-300:]}"]
    if "Traceback" in said(paper) and code != -signal.SIGINT:
        wrong.append(f"{victim}: {said(paper)[-1000:]}")
    return victim, wrong + [f"{victim}: left running: {words}" for words in left_after(paper.root).values()]


def test_a_build_killed_at_random_moments(trial: Trial, tmp_path: Path) -> None:
    chance, wanted, victims, wrong, held = random.Random(2), trial.amount(50, 2), Counter[str](), [], 0
    template = mortal_paper(tmp_path / "template", trial.full)
    clean = Paper(Path(shutil.copytree(template.root, tmp_path / "clean")))
    began = time.monotonic()
    assert finish(clean) == 0, said(clean)
    length, number = time.monotonic() - began, 0
    while victims.total() < wanted:
        paper, number = Paper(Path(shutil.copytree(template.root, tmp_path / f"killed-{number}"))), number + 1
        ours = 0
        for _ in range(min(chance.randint(1, 4), wanted - victims.total())):
            victim, bad = killed_once(paper, chance.uniform(0.0, length), chance)
            if not victim:
                break
            ours, wrong = ours + 1, wrong + bad
            victims[victim] += 1
        code, others = finish(paper), []
        if code or (others := differing(results(paper), results(clean))):
            wrong.append(f"killed-{number - 1} ended with {code}, {others}, {said(paper)[-300:]}")
        elif not wrong:
            held += ours
    note = "; ".join(wrong) or ", ".join(f"{name} {count}" for name, count in sorted(victims.items()))
    trial.row("Kills", "a build killed at a random moment of it, then built on", victims.total(), held, note)
