"""Two builds at once: one works, the other says who does; and no lock outlives its holder."""

import json
import os
import random
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.livingpaper.conftest import Paper
from tests.trials.conftest import Trial
from tests.trials.killing import differing, finish, left_after, mortal_paper, results, said, start

HELD = (
    r"livingpaper: build/lock: another build is at work here since (\S+) \(process (\d+) on (\S+)\); "
    r"wait for it or end it\n"
)


def holder(paper: Paper, first: int) -> bool:
    """Whether the lock is held by the first build by now."""
    try:
        return bool(json.loads((paper.root / "build/lock").read_text())["pid"] == first)
    except (OSError, ValueError):
        return False


def refused(paper: Paper, second: Paper, first: int) -> list[str]:
    """What is wrong with how a second build is refused."""
    code = start(second).wait(60)
    match = re.fullmatch(HELD, said(second))
    if code != 2 or match is None:
        return [f"exit code {code}: {said(second)}"]
    about = json.loads((paper.root / "build/lock").read_text())
    wanted = (about["since"], str(first), socket.gethostname())
    return [] if match.groups() == wanted else [f"{match.groups()} instead of {wanted}"]


def test_two_builds_at_once(trial: Trial, tmp_path: Path) -> None:
    """The first is stopped at a random moment, so that the second surely meets it; then it is killed or goes on."""
    tried = trial.amount(20, 0) or pytest.skip("done by make trials; the press's own tests do one")
    chance, held, wrong = random.Random(9), 0, []
    clean = mortal_paper(tmp_path / "clean", False)
    assert finish(clean) == 0, said(clean)
    for number in range(tried):
        paper = mortal_paper(tmp_path / f"paper-{number}", False)
        link = tmp_path / f"second-{number}"
        link.symlink_to(paper.root)
        first = start(paper)
        while not holder(paper, first.pid):
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.5))
        os.kill(first.pid, signal.SIGSTOP)
        bad = refused(paper, Paper(link), first.pid) if first.poll() is None else []
        if chance.random() < 0.5:
            first.kill()
        os.kill(first.pid, signal.SIGCONT)
        code = first.wait(60)
        if code not in (0, -signal.SIGKILL):
            bad.append(f"the first ended with {code}: {said(paper)[-300:]}")
        bad += [f"left running: {words}" for words in left_after(paper.root).values()]
        if finish(paper) or differing(results(paper), results(clean)):
            bad.append(f"not the same: {differing(results(paper), results(clean))}: {said(paper)[-300:]}")
        held, wrong = held + (not bad), wrong + bad
    trial.row("Kills", "a second build beside a first, which is then killed or goes on", tried, held, "; ".join(wrong))
