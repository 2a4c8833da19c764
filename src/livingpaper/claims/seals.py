"""Seals: when each claim's rule was fixed, and whether evidence for it existed by then.

`paper/seals.json` is tracked, so a fresh clone knows. A build never writes it; `livingpaper claims --seal` does.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from livingpaper.claims.model import Claim
from livingpaper.errors import ClaimsError
from livingpaper.files import read_json, write_json

SEALS = "paper/seals.json"
_SCHEMA = "seals/1"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_COMMAND = "livingpaper claims --seal"


class SealState(StrEnum):
    """What the seals say of a claim's rule."""

    SEALED = "sealed"  # fixed before there was evidence, never changed since
    LATE = "sealed late"  # evidence existed when it was fixed first
    EDITED = "edited"  # a rule was replaced after evidence for it existed
    BROKEN = "not the sealed one"  # the rule in claims.yml is not the one that was sealed
    OPEN = "not sealed"


@dataclass(frozen=True)
class Seal:
    """One rule, by digest: the day it was sealed and whether evidence for it existed that day."""

    rule: str
    sealed: str
    evidence_existed: bool


@dataclass(frozen=True)
class Sealing:
    """The seals of a claim: the standing one and those it replaced, oldest first."""

    seal: Seal
    history: tuple[Seal, ...] = ()
    edited_late: bool = False  # some replacement happened when evidence existed


Seals = dict[str, Sealing]


def load_seals(root: Path) -> Seals:
    """The seals by claim id; none without a file; a damaged file is refused."""
    path = root / SEALS
    if not path.exists():
        return {}
    data = read_json(path)
    try:
        if data["schema"] != _SCHEMA:
            raise ValueError
        return {name: _sealing(entry) for name, entry in data["claims"].items()}
    except (TypeError, KeyError, ValueError, AttributeError):
        raise ClaimsError(
            f"{SEALS}: not a file of seals ({_SCHEMA}); restore it from the repository's history"
        ) from None


def seal_state(claim: Claim, seals: Mapping[str, Sealing]) -> SealState:
    """What the seals say of a claim as it stands now."""
    sealing = seals.get(claim.id)
    if sealing is None:
        return SealState.OPEN
    if sealing.seal.rule != claim.rule_digest:
        return SealState.BROKEN
    if sealing.edited_late:
        return SealState.EDITED
    return SealState.LATE if sealing.seal.evidence_existed and not sealing.history else SealState.SEALED


def seal_sentence(claim: Claim, seals: Mapping[str, Sealing]) -> str:
    """The seal of a claim in one sentence, for its callout."""
    state, sealing = seal_state(claim, seals), seals.get(claim.id)
    if sealing is None:
        return f"Rule not sealed yet (`{_COMMAND}`)."
    day = sealing.seal.sealed
    if state is SealState.BROKEN:
        return f"**This rule is not the one that was sealed on {day}.**"
    if state is SealState.EDITED:
        first = (sealing.history or (sealing.seal,))[0].sealed
        return f"**Rule edited on {day} after evidence for it existed** (first sealed on {first})."
    late = " when evidence for it already existed" if state is SealState.LATE else ""
    return f"Rule sealed on {day}{late}."


def renew_seals(root: Path, claims: Sequence[Claim], evidence: Mapping[str, bool]) -> list[str]:
    """Seal every rule that is new or edited and write the file; one sentence for each.

    `evidence` says by claim id whether evidence for it exists today.
    """
    seals, today = load_seals(root), datetime.now(UTC).date().isoformat()
    said = []
    for claim in claims:
        fresh = Seal(claim.rule_digest, today, evidence[claim.id])
        old = seals.get(claim.id)
        if old is None:
            seals[claim.id] = Sealing(fresh)
            said.append(f"{claim.id}: sealed" + (", evidence exists already" if fresh.evidence_existed else ""))
        elif old.seal.rule != fresh.rule:
            late = fresh.evidence_existed or old.seal.evidence_existed
            seals[claim.id] = replace(
                old, seal=fresh, history=(*old.history, old.seal), edited_late=old.edited_late or late
            )
            said.append(f"{claim.id}: rule edited; sealed anew" + (", after evidence existed" if late else ""))
    if said:
        body = {name: asdict(sealing) for name, sealing in seals.items()}
        write_json(root / SEALS, {"schema": _SCHEMA, "claims": body})
    return said


def _sealing(entry: Any) -> Sealing:
    return Sealing(_seal(entry["seal"]), tuple(_seal(old) for old in entry["history"]), bool(entry["edited_late"]))


def _seal(entry: Any) -> Seal:
    rule, day, existed = entry["rule"], entry["sealed"], entry["evidence_existed"]
    if not _DIGEST.fullmatch(rule) or not isinstance(existed, bool):
        raise ValueError
    return Seal(rule, date.fromisoformat(day).isoformat(), existed)
