"""A claim on the page: five types for five statuses, everything foreign escaped."""

from pathlib import Path

import pytest

from livingpaper.claims.callout import callout, quorum, sentence
from livingpaper.claims.evidence import Evidence
from livingpaper.claims.judging import Judgement, Status, judge, judge_run
from livingpaper.claims.seals import Seal, Sealing
from livingpaper.render.pandoc import Pandoc
from tests.livingpaper.claims.helpers import claim, evidence, found, judged


def markdown(judgement: Judgement, root: Path) -> str:
    return callout(judgement, "tiny-s1", "chapters/mean.ipynb", "params/tiny.yml", {}, root)


@pytest.mark.parametrize(
    ("values", "head"),
    [
        ((2, 2, 2), '::: {.callout-tip .claim .claim-supported title="Supported · 3/3 runs" icon=false}'),
        ((2, 2), '::: {.callout-note .claim .claim-hypothesis title="Current best hypothesis · 2/2 runs" icon=false}'),
        ((0, None, 0), '::: {.callout-warning .claim .claim-unsupported title="Unsupported · 0/3 runs" icon=false}'),
        (
            (-1, -1, 2),
            '::: {.callout-important .claim .claim-negative title="Negative result · refuted in 2/3 runs" icon=false}',
        ),
        ((), '::: {.callout-caution .claim .claim-next-test title="Next test · no run yet" icon=false}'),
    ],
)
def test_each_status_has_its_type(tmp_path: Path, values: tuple[float | None, ...], head: str) -> None:
    assert markdown(judged(claim(), *values), tmp_path).splitlines()[0] == head


def test_the_sentence_has_the_numbers_of_its_run() -> None:
    judgement = judged(claim(), 2, 3)
    assert sentence(claim(), judgement.of("tiny-s2")) == "The value is 3.00 [2.90, 3.10]."


def test_a_run_without_a_value_says_why() -> None:
    judgement = judged(claim(), None)
    assert sentence(claim(), judgement.of("tiny-s1")) == (
        r"The value is — [—, —]. *No value in tiny\-s1:* not born by step 60."
    )


def test_runs_that_are_not_judged_are_counted_out() -> None:
    rule = claim()
    assert (
        quorum(judge(rule, [judge_run(rule, found(1, evidence(2))), judge_run(rule, found(2, None))]))
        == "1/1 runs, 1 not judged"
    )
    assert quorum(judge(rule, [judge_run(rule, found(1, evidence(2)), "failed")])) == "0/1 runs"


def test_links_lead_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "artifacts/runs/tiny-s1/evidence.json"
    text = markdown(judged(claim(), 2, 2, 2), tmp_path)
    assert "](/artifacts" not in text
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    text = markdown(judged(claim(), 2, 2, 2), tmp_path)
    assert "[`evidence.json#/it`](/artifacts/runs/tiny-s1/evidence.json) (sha256 `dddddddddddd`)" in text
    assert "[mean](/chapters/mean.ipynb)" in text
    assert "](/artifacts/runs/tiny-s2" not in text


def test_an_edited_rule_is_marked(tmp_path: Path) -> None:
    seals = {"it-holds": Sealing(Seal("another", "2026-01-02", False))}
    text = callout(judged(claim(), 2), "tiny-s1", "c.ipynb", "p.yml", seals, tmp_path)
    assert ".claim-rule-edited" in text.splitlines()[0]
    assert "**This rule is not the one that was sealed on 2026-01-02.**" in text


EVIL = 'x ::: {.a}\n:::\n# head <script>alert(1)</script> [l](javascript:x) `c` $m$ @ref | {{< include x >}} *b* "q"'


def test_whatever_an_artifact_says_is_text(tmp_path: Path) -> None:
    rule = claim(says="It is {value} {unit}.")
    runs = [
        judge_run(rule, found(1, Evidence(2.0, 1.9, 2.1, 3, EVIL))),
        judge_run(rule, found(2, Evidence(None, reason=EVIL))),
    ]
    text = markdown(judge(rule, runs), tmp_path)
    html = Pandoc(tmp_path, tmp_path / "store").run(["-f", "markdown", "-t", "html"], text, []).output
    assert "<script" not in html
    assert 'href="javascript' not in html
    assert "<h1" not in html
    assert html.count("<div") == 1
    assert html.count("alert(1)") == 3  # shown, as text: in the sentence, the table's head and the other run's reason


def test_all_five_are_there() -> None:
    assert [status.value for status in Status] == [
        "Supported",
        "Current best hypothesis",
        "Unsupported",
        "Negative result",
        "Next test",
    ]
