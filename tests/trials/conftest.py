"""Trials: the same attack many times over. A plain test run does a few of each; `make trials` does them all.

`make trials` calls `pytest tests/trials --trials` and then writes the table of what was tried into `docs/trials.md`.
"""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.livingpaper.conftest import (  # noqa: F401  (fixtures)
    built_paper,
    built_stages,
    fresh,
    fresh_stages,
    stages,
    whole,
)

ROWS = Path(__file__).resolve().parents[2] / "build" / "trials"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--trials", action="store_true", help="do every trial in full and record it for docs/trials.md")


@dataclass
class Trial:
    """How often to try, and the record of what was tried."""

    test: str
    full: bool

    def amount(self, full: int, short: int) -> int:
        """How many attempts to make."""
        return full if self.full else short

    def row(self, area: str, what: str, tried: int, held: int, note: str = "") -> None:
        """Record that of `tried` attempts `held` ended as they must, and fail the test if that is not all of them."""
        if self.full:
            row = {"area": area, "what": what, "tried": tried, "held": held, "note": note, "test": self.test}
            row["commit"] = commit()
            name = hashlib.sha256(f"{self.test} {area} {what}".encode()).hexdigest()[:16]
            ROWS.mkdir(parents=True, exist_ok=True)
            (ROWS / f"{name}.json").write_text(json.dumps(row))
        assert tried > 0, f"{area}: {what}: nothing was tried"
        assert held == tried, f"{area}: {what}: {tried - held} of {tried} did not hold. {note}"


@cache
def commit() -> str:
    """The commit that is tried, empty outside a repository."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROWS.parents[1], capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> Trial:
    return Trial(request.node.nodeid, request.config.getoption("--trials"))
