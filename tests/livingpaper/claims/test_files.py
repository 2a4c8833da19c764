"""`claims.yml`, evidence and seals as files: what is refused and how it is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from livingpaper.claims.evidence import parse_evidence
from livingpaper.claims.model import load_claims
from livingpaper.claims.report import evidence_exists, judge_claims, write_claims
from livingpaper.claims.seals import SealState, load_seals, renew_seals, seal_sentence, seal_state
from livingpaper.errors import ClaimsError, PointerError
from livingpaper.params import load_study
from livingpaper.project import Project
from tests.livingpaper.claims.helpers import claim
from tests.livingpaper.conftest import Paper

CLAIMS = "paper/claims.yml"

MISTAKES = {
    "an unknown key": (
        "  control: loaded_dice\n  next: Throw",
        "  contrl: loaded_dice\n  next: Throw",
        r"claims.yml:\d+: 0.contrl: unknown key; .*did you mean 'control'\?",
    ),
    "a status": ("  next: Throw", "  status: Supported\n  next: Throw", r"claims.yml:\d+: 0.status: unknown key"),
    "a missing key": ("  next: Throw more often.\n", "", r"claims.yml:3: 0.next: missing"),
    "a wrong quorum": (
        "{above: 3.0, quorum: 2/3}",
        "{above: 3.0, quorum: most}",
        r"claims.yml:\d+: 0.supported.quorum = 'most': expected a share",
    ),
    "a wrong number": (
        "{above: 3.0, quorum: 2/3}",
        "{above: high, quorum: 2/3}",
        r"claims.yml:\d+: 0.supported.above = 'high': Input should be a valid number",
    ),
    "an unknown key in a rule": (
        "{above: 3.0, quorum: 2/3}",
        "{abov: 3.0, quorum: 2/3}",
        r"0.supported.abov: unknown key; allowed here: above, below, quorum; did you mean 'above'\?",
    ),
    "an unknown field": ("{value:.2f} eyes", "{vaule:.2f} eyes", r"claims.yml:\d+: 0.says = .*unknown field {vaule}"),
    "an unknown chapter": (
        "chapter: mean",
        "chapter: maen",
        r"claims.yml:\d+: 0.chapter = 'maen': no such chapter in _quarto.yml; there are: mean.*did you mean 'mean'\?",
    ),
    "an id twice": ("id: sixes-are-rare", "id: die-is-fair", r"claims.yml:\d+: 1.id = 'die-is-fair': used twice"),
    "a way out": (
        "evidence.json#/mean_throw",
        "../x.json#/mean_throw",
        r"claims.yml:\d+: 0.evidence = .*expected a path below",
    ),
    "no list": ("- id: die-is-fair\n  chapter: mean", "die-is-fair:\n  chapter: mean", r"claims.yml"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_file_line_and_key(fresh: Paper, name: str) -> None:
    old, new, message = MISTAKES[name]
    fresh.edit(CLAIMS, old, new)
    with pytest.raises(ClaimsError, match=message) as caught:
        load_claims(fresh.root, ["mean", "spread"])
    assert "\n" not in str(caught.value)


def test_a_paper_without_claims(fresh: Paper) -> None:
    for text in ("", "# none yet\n", "[]\n"):
        (fresh.root / CLAIMS).write_text(text)
        assert load_claims(fresh.root, ["mean"])[0] == []
    (fresh.root / CLAIMS).unlink()
    assert load_claims(fresh.root, ["mean"])[0] == []


def test_an_entry_that_is_not_there_is_answered_with_the_nearest(whole: Paper) -> None:
    whole.edit(CLAIMS, "#/mean_throw", "#/mean_thrwo")
    study = load_study(whole.root, "tiny")
    said = r"claims.yml:\d+: 0.evidence: artifacts/runs/tiny-s1/.*#/: no entry 'mean_thrwo'; there are: mean_throw"
    with pytest.raises(ClaimsError, match=said):
        judge_claims(Project(whole.root), study)


def test_claims_json_is_for_machines(whole: Paper) -> None:
    project, study = Project(whole.root), load_study(whole.root, "tiny")
    write_claims(project, study, judge_claims(project, study), {})
    data = json.loads((whole.root / "build/claims.json").read_text())
    assert data["schema"] == "claims/1"
    statuses = {entry["id"]: entry["status"] for entry in data["claims"]}
    assert statuses == {"die-is-fair": "Supported", "sixes-are-rare": "Unsupported", "sevens-come-late": "Unsupported"}
    first = data["claims"][0]
    assert first["quorum"] == {"met": 3, "judged": 3, "needed": 2}
    assert first["rule"]["supported"] == {"above": 3.0, "quorum": "2/3"}
    run = first["runs"][0]
    assert run["low"] < run["value"] < run["high"]
    assert (run["unit"], run["n"], run["artifact"]) == ("eyes", 400, "artifacts/runs/tiny-s1/evidence.json")
    assert data["claims"][2]["runs"][0]["reason"] == "no throw shows more eyes than the die has sides"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, r"x.json#/it: expected {value, low, high, n, unit}, found int"),
        ({"low": 1}, "found an entry with low"),
        ({"value": "3"}, r"x.json#/it/value = '3': expected a finite number or null"),
        ({"value": True}, "expected a finite number"),
        ({"value": float("nan")}, "expected a finite number"),
        ({"value": 1, "low": 2, "high": 1}, "low = 2.0, high = 1.0"),
        ({"value": 1, "low": 2}, "expected an interval"),
        ({"value": None}, "value is null without a 'reason'"),
        ({"value": None, "reason": "  "}, "without a 'reason'"),
    ],
)
def test_evidence_that_cannot_be_judged_is_refused(data: Any, message: str) -> None:
    with pytest.raises(PointerError, match=message):
        parse_evidence(data, "x.json#/it")


def test_a_rule_is_sealed_once_and_an_edit_is_never_forgotten(tmp_path: Path) -> None:
    (tmp_path / "paper").mkdir()
    first, second = claim(), claim(supported={"above": 0.5, "quorum": "2/3"})
    assert seal_state(first, load_seals(tmp_path)) is SealState.OPEN
    assert renew_seals(tmp_path, [first], {"it-holds": False}) == ["it-holds: sealed"]
    assert seal_state(first, load_seals(tmp_path)) is SealState.SEALED
    assert renew_seals(tmp_path, [first], {"it-holds": True}) == []

    assert seal_state(second, load_seals(tmp_path)) is SealState.BROKEN
    assert "not the one that was sealed" in seal_sentence(second, load_seals(tmp_path))
    assert renew_seals(tmp_path, [second], {"it-holds": True}) == [
        "it-holds: rule edited; sealed anew, after evidence existed"
    ]
    assert seal_state(second, load_seals(tmp_path)) is SealState.EDITED
    assert "after evidence for it existed" in seal_sentence(second, load_seals(tmp_path))

    renew_seals(tmp_path, [first], {"it-holds": False})  # editing it back does not undo the edit
    seals = load_seals(tmp_path)
    assert seal_state(first, seals) is SealState.EDITED
    assert [seal.rule for seal in seals["it-holds"].history] == [first.rule_digest, second.rule_digest]


def test_a_rule_edited_before_evidence_existed_is_sealed_again(tmp_path: Path) -> None:
    (tmp_path / "paper").mkdir()
    renew_seals(tmp_path, [claim()], {"it-holds": False})
    second = claim(control="random_weights")
    renew_seals(tmp_path, [second], {"it-holds": False})
    assert seal_state(second, load_seals(tmp_path)) is SealState.SEALED


def test_a_rule_sealed_late_says_so(tmp_path: Path) -> None:
    (tmp_path / "paper").mkdir()
    renew_seals(tmp_path, [claim()], {"it-holds": True})
    seals = load_seals(tmp_path)
    assert seal_state(claim(), seals) is SealState.LATE
    assert "when evidence for it already existed" in seal_sentence(claim(), seals)


def test_words_are_not_sealed_the_rule_is() -> None:
    assert claim().rule_digest == claim(says="Otherwise put: {value}.", next="Rest.").rule_digest
    for change in ({"evidence": "b.json#/x"}, {"control": "other"}, {"supported": {"above": 1.5, "quorum": "2/3"}}):
        assert claim(**change).rule_digest != claim().rule_digest


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": "seals/1", "claims": {"a": 1}}', '{"schema": "seals/2", "claims": {}}']
)
def test_a_damaged_file_of_seals_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper/seals.json").write_text(text)
    with pytest.raises(ClaimsError, match=r"paper/seals.json: not a file of seals"):
        load_seals(tmp_path)


def test_evidence_of_any_run_counts_for_a_seal(whole: Paper) -> None:
    claims, _ = load_claims(whole.root, ["mean", "spread"])
    assert evidence_exists(Project(whole.root), claims) == dict.fromkeys((one.id for one in claims), True)
    for path in whole.root.rglob("evidence.json"):
        path.unlink()
    assert not any(evidence_exists(Project(whole.root), claims).values())
