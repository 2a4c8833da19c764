"""Claims and evidence for tests, without files."""

from typing import Any

from livingpaper.claims.evidence import Evidence, Found
from livingpaper.claims.judging import Judgement, judge, judge_run
from livingpaper.claims.model import Claim

DATA: dict[str, Any] = {
    "id": "it-holds",
    "chapter": "mean",
    "says": "The value is {value:.2f} [{low:.2f}, {high:.2f}].",
    "evidence": "evidence.json#/it",
    "supported": {"above": 1.0, "quorum": "2/3"},
    "refuted": {"below": 0.0, "quorum": "2/3"},
    "control": "shuffled",
    "next": "Look again.",
}


def claim(**changes: Any) -> Claim:
    """A claim, supported above 1 and refuted below 0 in two thirds of the runs."""
    return Claim.model_validate({**DATA, **changes})


def mirrored() -> Claim:
    """The same with smaller values supporting."""
    return claim(supported={"below": -1.0, "quorum": "2/3"}, refuted={"above": 0.0, "quorum": "2/3"})


def found(number: int, evidence: Evidence | None) -> Found:
    """Evidence of the run with a number."""
    run = f"tiny-s{number}"
    return Found(run, f"artifacts/runs/{run}/evidence.json", evidence, "d" * 64 if evidence else "")


def evidence(value: float | None, half: float = 0.1) -> Evidence:
    """A value in the middle of its interval; `None`: looked for and not there."""
    if value is None:
        return Evidence(None, reason="not born by step 60")
    return Evidence(value, value - half, value + half, 10, "nats")


def judged(rule: Claim, *values: float | None, half: float = 0.1) -> Judgement:
    """The judgement over runs with these values."""
    runs = [found(number, evidence(value, half)) for number, value in enumerate(values, 1)]
    return judge(rule, [judge_run(rule, run) for run in runs])
