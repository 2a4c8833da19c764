"""From evidence to status, per run and over runs. The rules are the paper's; nothing here can be argued with.

Per run the interval decides: it clears the supporting threshold, or the refuting one, or neither; a value between the
rules belongs to the nearer threshold. Over runs:

- A run whose evidence was looked for and is not there (`value: null` with a reason: retrieval was not born) is a judged
  run that supports nothing. It counts in every quorum and is never dropped.
- A quorum is a share of the judged runs, rounded up.
- Fewer than three judged runs give at best *Current best hypothesis*.
- Where neither quorum is met, the median over the judged runs decides between *Current best hypothesis* (nearer the
  supporting threshold) and *Unsupported*; a run without a value counts as the worst there is.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from livingpaper.claims.evidence import Evidence, Found
from livingpaper.claims.model import Claim, Rule

FINDING = 3  # judged runs below which nothing is more than a hypothesis


class Status(StrEnum):
    """What may be said of a claim."""

    SUPPORTED = "Supported"
    HYPOTHESIS = "Current best hypothesis"  # evidence points that way; quorum, interval or number of runs falls short
    UNSUPPORTED = "Unsupported"  # no evidence, or between the rules and nearer the refuting one
    NEGATIVE = "Negative result"  # the refuting rule holds
    NEXT_TEST = "Next test"  # declared, not run


@dataclass(frozen=True)
class RunJudgement:
    """What one run says. `evidence` is `None` where there is none yet, or none that may be used (`reason`)."""

    run: str
    status: Status
    evidence: Evidence | None
    path: str
    digest: str = ""
    reason: str = ""
    supports: bool = False
    refutes: bool = False


@dataclass(frozen=True)
class Judgement:
    """What all runs say: status, runs that met the deciding rule, judged runs, runs the rule needs."""

    claim: Claim
    status: Status
    runs: tuple[RunJudgement, ...]
    met: int
    judged: int
    needed: int

    def of(self, run: str) -> RunJudgement | None:
        """The judgement of one run."""
        return next((judgement for judgement in self.runs if judgement.run == run), None)


def judge_run(claim: Claim, found: Found, trouble: str | None = None, waiting: str = "not run yet") -> RunJudgement:
    """What one run says; with `trouble` (its stage or chapter failed) its evidence may not be used.

    `waiting` says why there is no evidence where there is none yet.
    """
    if trouble:
        return RunJudgement(found.run, Status.UNSUPPORTED, None, found.path, reason=trouble)
    evidence = found.evidence
    if evidence is None:
        return RunJudgement(found.run, Status.NEXT_TEST, None, found.path, reason=waiting)
    supports, refutes = _holds(claim.supported, evidence), _holds(claim.refuted, evidence)
    return RunJudgement(
        run=found.run,
        status=Status.SUPPORTED if supports else Status.NEGATIVE if refutes else _leaning(claim, evidence.value),
        evidence=evidence,
        path=found.path,
        digest=found.digest,
        reason=evidence.reason,
        supports=supports,
        refutes=refutes,
    )


def judge(claim: Claim, runs: Sequence[RunJudgement]) -> Judgement:
    """What all runs of a study say together."""
    judged = [run for run in runs if run.evidence is not None]
    support, refute = sum(run.supports for run in judged), sum(run.refutes for run in judged)
    needed = needed_runs(claim.supported, len(judged))
    if not judged:
        failed = any(run.status is Status.UNSUPPORTED for run in runs)
        status = Status.UNSUPPORTED if failed else Status.NEXT_TEST
    elif support >= needed:
        status = Status.SUPPORTED if len(judged) >= FINDING else Status.HYPOTHESIS
    elif refute >= needed_runs(claim.refuted, len(judged)):
        status = Status.NEGATIVE
        support, needed = refute, needed_runs(claim.refuted, len(judged))
    else:
        status = _leaning(claim, _median(claim, [run.evidence.value for run in judged if run.evidence]))
    return Judgement(claim, status, tuple(runs), support, len(judged), needed)


def needed_runs(rule: Rule, judged: int) -> int:
    """Runs out of `judged` that meet the rule's quorum: its share, rounded up."""
    return math.ceil(rule.quorum * judged)


def _holds(rule: Rule, evidence: Evidence) -> bool:
    """Whether the whole interval lies on the rule's side; without an interval nothing does."""
    if evidence.value is None or evidence.low is None or evidence.high is None:
        return False
    return evidence.low > rule.above if rule.above is not None else evidence.high < rule.threshold


def _leaning(claim: Claim, value: float | None) -> Status:
    """The status of a value that meets neither rule: that of the nearer threshold."""
    middle = (claim.supported.threshold + claim.refuted.threshold) / 2
    nearer = value is not None and claim.sign * (value - middle) > 0
    return Status.HYPOTHESIS if nearer else Status.UNSUPPORTED


def _median(claim: Claim, values: Sequence[float | None]) -> float | None:
    """Median with a missing value as the worst there is; `None` if that reaches the middle."""
    worst = -math.inf
    middle = statistics.median([worst if value is None else claim.sign * value for value in values])
    return claim.sign * middle if math.isfinite(middle) else None
