"""A claim as a callout: its sentence with the printed run's numbers, its status, quorum, seal, and where it all is.

A callout has one of five types, which stand for the five statuses in this order: `tip` Supported, `note` Current best
hypothesis, `caution` Next test, `warning` Unsupported, `important` Negative result.
"""

import os
import string
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from livingpaper.claims.evidence import Evidence
from livingpaper.claims.judging import Judgement, RunJudgement, Status
from livingpaper.claims.model import Claim
from livingpaper.claims.seals import Sealing, SealState, seal_sentence, seal_state
from livingpaper.formats import spell
from livingpaper.markdown import attribute, code, escape, link, table

_TYPES = {
    Status.SUPPORTED: ("tip", "supported"),
    Status.HYPOTHESIS: ("note", "hypothesis"),
    Status.NEXT_TEST: ("caution", "next-test"),
    Status.UNSUPPORTED: ("warning", "unsupported"),
    Status.NEGATIVE: ("important", "negative"),
}


def callout(judgement: Judgement, run: str, chapter: str, params: str, seals: Mapping[str, Sealing], root: Path) -> str:
    """Markdown of a claim's callout in the printing of `run`; `chapter` and `params` are files of the project."""
    kind, name = _TYPES[judgement.status]
    mark = " .claim-rule-edited" if seal_state(judgement.claim, seals) in (SealState.EDITED, SealState.BROKEN) else ""
    title = attribute(f"{judgement.status} · {quorum(judgement)}")
    parts = [
        f"::: {{.callout-{kind} .claim .claim-{name}{mark} title={title} icon=false}}",
        sentence(judgement.claim, judgement.of(run)),
        run_table(judgement, root),
        rule_sentence(judgement.claim) + " " + seal_sentence(judgement.claim, seals),
        " · ".join(_links(judgement, run, chapter, params, root)),
        f"Next: {judgement.claim.next}",
        ":::",
    ]
    return "\n\n".join(part for part in parts if part)


def badge(status: Status) -> str:
    """A status with its own colour and sign, for tables."""
    return f"[{status}]{{.claim-status .claim-{_TYPES[status][1]}}}"


def quorum(judgement: Judgement) -> str:
    """How many runs decide: `3/3 runs`, with what is missing."""
    if not judgement.judged:
        return "no run yet" if judgement.status is Status.NEXT_TEST else f"0/{len(judgement.runs)} runs"
    refuted = "refuted in " if judgement.status is Status.NEGATIVE else ""
    missing = len(judgement.runs) - judgement.judged
    return f"{refuted}{judgement.met}/{judgement.judged} runs" + (f", {missing} not judged" if missing else "")


def sentence(claim: Claim, judgement: RunJudgement | None) -> str:
    """What the claim says, with the numbers of one run, or why that run has none."""
    evidence = judgement.evidence if judgement else None
    if judgement is None or evidence is None or evidence.value is None:
        why = judgement.reason if judgement else "this run is not part of the study"
        who = escape(judgement.run) if judgement else "this run"
        return f"{_fill(claim.says, None, '')} *No value in {who}:* {escape(why)}."
    return _fill(claim.says, evidence, judgement.run)


def run_table(judgement: Judgement, root: Path) -> str:
    """Value, interval and status of every run."""
    return _run_table(judgement.runs, tuple(os.path.isfile(f"{root}/{run.path}") for run in judgement.runs))


@lru_cache(maxsize=256)
def _run_table(runs: tuple[RunJudgement, ...], there: tuple[bool, ...]) -> str:
    """The table, made once for the printings of all runs; a run whose artifact is `there` leads to it."""
    rows = [
        [
            link(escape(run.run), run.path) if exists else escape(run.run),
            _value(run),
            _interval(run.evidence),
            "" if run.evidence is None or run.evidence.n is None else str(run.evidence.n),
            run.status.value,
        ]
        for run, exists in zip(runs, there, strict=True)
    ]
    unit = next((run.evidence.unit for run in runs if run.evidence and run.evidence.unit), "")
    return table(["run", f"value ({escape(unit)})" if unit else "value", "interval", "n", "status"], rows)


def rule_sentence(claim: Claim) -> str:
    """The claim's rules in words."""
    up = claim.sign > 0
    ends, sides = ("lower", "upper")[:: 1 if up else -1], ("above", "below")[:: 1 if up else -1]
    return (
        f"Supported if the interval's {ends[0]} end is {sides[0]} {claim.supported.threshold:g} "
        f"in {_share(claim.supported.quorum)}; refuted if its {ends[1]} end is {sides[1]} "
        f"{claim.refuted.threshold:g} in {_share(claim.refuted.quorum)}."
    )


def _share(quorum: Any) -> str:
    return f"{quorum.numerator}/{quorum.denominator} of the judged runs"


def _links(judgement: Judgement, run: str, chapter: str, params: str, root: Path) -> list[str]:
    claim, own = judgement.claim, judgement.of(run)
    out = []
    if own is not None:
        shown = code(claim.evidence)
        there = bool(own.digest) and (root / own.path).is_file()
        out.append("Evidence " + (f"{link(shown, own.path)} (sha256 {code(own.digest[:12])})" if there else shown))
    out.append(f"Chapter {link(escape(claim.chapter), chapter)}")
    out.append(f"Parameters {link(code(params), params)}")
    return out


def _value(run: RunJudgement) -> str:
    if run.evidence is None or run.evidence.value is None:
        return f"— ({escape(run.reason)})"
    return f"{run.evidence.value:.4g}"


def _interval(evidence: Evidence | None) -> str:
    if evidence is None or evidence.low is None or evidence.high is None:
        return "—"
    return f"\\[{evidence.low:.4g}, {evidence.high:.4g}\\]"


def _fill(says: str, evidence: Evidence | None, run: str) -> str:
    """The sentence with its fields filled in; a dash for each where there is no value. Its own Markdown stays."""
    values: dict[str, Any] = {} if evidence is None else {**asdict(evidence), "run": run}
    out = []
    for text, name, form, _ in string.Formatter().parse(says):
        out.append(text)
        if name is not None:
            value = values.get(name)
            shown = "—" if value is None else spell(value, form or "")
            out.append(escape(shown) if isinstance(value, str) else shown)
    return "".join(out)
