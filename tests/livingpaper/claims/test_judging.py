"""Statuses: every rule by a known answer, and for any evidence what must never happen."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livingpaper.claims.evidence import Evidence
from livingpaper.claims.judging import Judgement, Status, judge, judge_run, needed_runs
from livingpaper.claims.model import Claim, Rule
from tests.livingpaper.claims.helpers import claim, evidence, found, judged, mirrored

S, H, U, N, X = Status.SUPPORTED, Status.HYPOTHESIS, Status.UNSUPPORTED, Status.NEGATIVE, Status.NEXT_TEST
ORDER = [N, U, H, S]


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ((2, 2, 2), S),
        ((2, 2, 0.5), S),  # two of three are the quorum
        ((2, 2, -9), S),
        ((2, 0.9, 0.9), H),  # quorum missed, median nearer the supporting threshold
        ((2, 0.1, 0.1), U),
        ((-1, -1, -1), N),
        ((-1, -1, 5), N),
        ((-1, 0.4, 0.4), U),
        ((2, 2), H),  # fewer than three runs are at best a hypothesis
        ((2,), H),
        ((-1,), N),
        ((0.6,), H),
        ((0.5,), U),  # in the very middle it is not nearer the supporting threshold
        ((0.4,), U),
        ((2, 2, None), S),
        ((2, None, None), U),  # a run in which it was not born is a judged run that supports nothing
        ((None, None, None), U),
        ((2, 2, 2, None, None), H),
        ((), X),
    ],
)
def test_known_answers(values: tuple[float | None, ...], status: Status) -> None:
    assert judged(claim(), *values).status is status
    flipped = [None if value is None else -value for value in values]
    assert judged(mirrored(), *flipped).status is status


def test_the_interval_decides_not_the_value() -> None:
    assert judged(claim(), 1.2, 1.2, 1.2, half=0.1).status is S
    assert judged(claim(), 1.2, 1.2, 1.2, half=0.3).status is H
    assert judged(claim(), -0.2, -0.2, -0.2, half=0.1).status is N
    assert judged(claim(), -0.2, -0.2, -0.2, half=0.3).status is U


def test_an_end_on_the_threshold_does_not_clear_it() -> None:
    assert judged(claim(), 1.5, 1.5, 1.5, half=0.5).status is H
    assert judged(claim(), -0.5, -0.5, -0.5, half=0.5).status is U


def test_a_value_without_an_interval_supports_and_refutes_nothing() -> None:
    rule = claim()
    assert judge(rule, [judge_run(rule, found(n, Evidence(5.0))) for n in (1, 2, 3)]).status is H
    assert judge(rule, [judge_run(rule, found(n, Evidence(-5.0))) for n in (1, 2, 3)]).status is U


@pytest.mark.parametrize(
    ("share", "judged_runs", "needed"),
    [("4/5", 5, 4), ("4/5", 3, 3), ("2/3", 3, 2), ("2/3", 4, 3), ("1/2", 3, 2), ("1/1", 7, 7), ("1/3", 1, 1)],
)
def test_a_quorum_is_rounded_up(share: str, judged_runs: int, needed: int) -> None:
    assert needed_runs(Rule.model_validate({"above": 0.0, "quorum": share}), judged_runs) == needed


def test_runs_that_are_not_there_yet_are_not_judged() -> None:
    rule = claim()
    runs = [judge_run(rule, found(1, evidence(2))), judge_run(rule, found(2, None)), judge_run(rule, found(3, None))]
    judgement = judge(rule, runs)
    assert (judgement.status, judgement.met, judgement.judged, judgement.needed) == (H, 1, 1, 1)
    assert [run.status for run in judgement.runs] == [S, X, X]


def test_evidence_of_a_failed_chapter_may_not_be_used() -> None:
    rule = claim()
    runs = [judge_run(rule, found(n, evidence(2)), "chapter mean of tiny-s1 failed") for n in (1, 2, 3)]
    judgement = judge(rule, runs)
    assert judgement.status is U
    assert [run.reason for run in judgement.runs] == ["chapter mean of tiny-s1 failed"] * 3


def test_status_of_single_runs() -> None:
    runs = judged(claim(), 2, 0.9, 0.1, -1, None).runs
    assert [run.status for run in runs] == [S, H, U, N, U]


VALUES = st.none() | st.floats(-3, 3)
RUNS = st.lists(st.tuples(VALUES, st.floats(0, 1)), min_size=1, max_size=7)


def judgement_of(rule: Claim, runs: list[tuple[float | None, float]]) -> Judgement:
    return judge(rule, [judge_run(rule, found(n, evidence(*run))) for n, run in enumerate(runs, 1)])


def better(run: tuple[float | None, float], by: float) -> tuple[float | None, float]:
    return (-3.0 if run[0] is None else run[0] + by, run[1])


@given(RUNS, st.data())
def test_better_evidence_never_lowers_a_status(runs: list[tuple[float | None, float]], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(runs) - 1))
    improved = [*runs]
    improved[index] = better(runs[index], data.draw(st.floats(0, 3)))
    if runs[index][0] is None and -3.0 + improved[index][1] < 0:
        return  # a measured value that refutes is not better than none
    before, after = judgement_of(claim(), runs).status, judgement_of(claim(), improved).status
    assert ORDER.index(after) >= ORDER.index(before)


@given(RUNS)
def test_a_mirrored_claim_on_mirrored_evidence_has_the_same_status(runs: list[tuple[float | None, float]]) -> None:
    flipped = [(None if value is None else -value, half) for value, half in runs]
    assert judgement_of(claim(), runs).status is judgement_of(mirrored(), flipped).status


@given(RUNS)
def test_the_order_of_runs_does_not_matter(runs: list[tuple[float | None, float]]) -> None:
    assert judgement_of(claim(), runs).status is judgement_of(claim(), runs[::-1]).status


@given(RUNS)
def test_fewer_than_three_runs_are_never_a_finding_in_favour(runs: list[tuple[float | None, float]]) -> None:
    if len(runs) < 3:
        assert judgement_of(claim(), runs).status is not S


@given(RUNS, RUNS)
def test_nothing_is_supported_and_refuted_at_once(
    one: list[tuple[float | None, float]], other: list[tuple[float | None, float]]
) -> None:
    judgement = judgement_of(claim(), one + other)
    support, refute = sum(run.supports for run in judgement.runs), sum(run.refutes for run in judgement.runs)
    both = (claim().supported, claim().refuted)
    assert not (support >= needed_runs(both[0], judgement.judged) and refute >= needed_runs(both[1], judgement.judged))
    assert not any(run.supports and run.refutes for run in judgement.runs)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5), st.floats(0.01, 2))
def test_negative_control_evidence_around_the_middle_is_never_a_finding(
    a: float, b: float, c: float, half: float
) -> None:
    """Noise that covers both thresholds supports nothing and refutes nothing."""
    wide = [(math.copysign(min(abs(value), 0.4), value) + 0.5, 1.0 + half) for value in (a, b, c)]
    assert judgement_of(claim(), [*wide]).status in (H, U)


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"supported": {"above": 1.0, "below": 2.0, "quorum": "1/1"}}, "exactly one of above, below"),
    ({"supported": {"quorum": "1/1"}}, "exactly one of above, below"),
    ({"refuted": {"above": 0.0, "quorum": "2/3"}}, "point the same way"),
    ({"refuted": {"below": 2.0, "quorum": "2/3"}}, "overlap"),
    (
        {"supported": {"above": 1.0, "quorum": "1/2"}, "refuted": {"below": 0.0, "quorum": "1/2"}},
        "their sum must exceed 1",
    ),
    ({"supported": {"above": 1.0, "quorum": "4/3"}}, "expected a share"),
    ({"supported": {"above": 1.0, "quorum": 0.8}}, "expected a share"),
    ({"supported": {"above": math.inf, "quorum": "1/1"}}, "finite number"),
    ({"evidence": "study:a.json#/b"}, "evidence is an artifact of each run"),
    ({"evidence": "../a.json#/b"}, "expected a path below"),
    ({"says": "It is {valu}."}, "unknown field {valu}; allowed: {value}"),
    ({"says": "It is {value.real}."}, "unknown field {value.real}"),
    ({"says": "It is {value!r:x}."}, "not a usable sentence"),
    ({"says": "It is {value:.3q}."}, "not a usable sentence"),
    ({"says": "It is {value."}, "not a usable sentence"),
    ({"id": "../x"}, "should match pattern"),
    ({"status": "Supported"}, "Extra inputs"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES)
def test_a_rule_that_cannot_be_meant_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("{", r"\{").replace(".", r"\.")):
        claim(**changes)
