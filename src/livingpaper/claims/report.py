"""All claims of a study judged, and `build/claims.json`, the same for machines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from livingpaper.claims.evidence import Found, find_evidence
from livingpaper.claims.judging import Judgement, RunJudgement, judge, judge_run
from livingpaper.claims.model import Claim, load_claims
from livingpaper.claims.seals import Sealing, seal_state
from livingpaper.files import write_json
from livingpaper.params import Study
from livingpaper.project import Project
from livingpaper.published.homes import Homes

Trouble = Callable[[Claim, str, str], str | None]  # claim, run, evidence's path → why its evidence may not be used


def judge_claims(
    project: Project,
    study: Study,
    trouble: Trouble = lambda claim, run, path: None,
    written: Callable[[str], bool] = lambda path: True,
    homes: Homes | None = None,
) -> list[Judgement]:
    """The judgement of every claim over the runs of a study; `written` says whether any stage writes an artifact."""
    homes = homes or Homes(project)
    claims, document = load_claims(project.root, list(project.chapters))
    out = []
    for number, claim in enumerate(claims):
        found = [find_evidence(homes, claim, run, document, number) for run in study.runs]
        runs = [_judged(claim, one, trouble, written) for one in found]
        out.append(judge(claim, runs))
    return out


def _judged(claim: Claim, found: Found, trouble: Trouble, written: Callable[[str], bool]) -> RunJudgement:
    waiting = "not run yet" if written(found.path) else "no stage writes this artifact yet"
    return judge_run(claim, found, trouble(claim, found.run, found.path), waiting)


def evidence_exists(project: Project, claims: Sequence[Claim]) -> dict[str, bool]:
    """Whether any run ever computed here, or published, holds the artifact behind each claim, whatever its preset."""
    homes = [project.artifacts, *project.results.glob("*")]
    folders = [folder for home in homes for folder in (home / "runs").glob("*") if folder.is_dir()]
    return {claim.id: any((folder / claim.pointer.file).is_file() for folder in folders) for claim in claims}


def write_claims(
    project: Project,
    study: Study,
    judgements: Sequence[Judgement],
    seals: Mapping[str, Sealing],
    guests: Sequence[tuple[Study, Sequence[Judgement]]] = (),
) -> None:
    """Write `build/claims.json`: the claims over a study, and over each of its guests."""
    body = {"schema": "claims/1", **_over(study, judgements, seals)}
    body["guests"] = [_over(guest, judged, seals) for guest, judged in guests]
    write_json(project.build / "claims.json", body)


def _over(study: Study, judgements: Sequence[Judgement], seals: Mapping[str, Sealing]) -> dict[str, Any]:
    claims = [_plain(judgement, seals) for judgement in judgements]
    return {"preset": study.preset, "runs": list(study.runs), "claims": claims}


def _plain(judgement: Judgement, seals: Mapping[str, Sealing]) -> dict[str, Any]:
    claim = judgement.claim
    return {
        "id": claim.id,
        "chapter": claim.chapter,
        "says": claim.says,
        "status": judgement.status.value,
        "quorum": {"met": judgement.met, "judged": judgement.judged, "needed": judgement.needed},
        "rule": claim.rule,
        "rule_sha256": claim.rule_digest,
        "seal": seal_state(claim, seals).value,
        "next": claim.next,
        "runs": [_run(run) for run in judgement.runs],
    }


def _run(run: RunJudgement) -> dict[str, Any]:
    evidence = {name: value for name, value in asdict(run.evidence).items() if name != "reason"} if run.evidence else {}
    return {
        "run": run.run,
        "status": run.status.value,
        "artifact": run.path,
        "sha256": run.digest or None,
        "reason": run.reason or None,
        **{name: evidence.get(name) for name in ("value", "low", "high", "n", "unit")},
    }
