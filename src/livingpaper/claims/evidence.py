"""Evidence: what one run has to say on a claim, read from an artifact as `{value, low, high, n, unit}`."""

import math
from dataclasses import dataclass
from typing import Any

from livingpaper.claims.model import Claim
from livingpaper.errors import ClaimsError, PointerError
from livingpaper.errors import shown as cut
from livingpaper.files import bytes_digest
from livingpaper.pointers import follow, read_artifact
from livingpaper.published.homes import Homes
from livingpaper.yamlfile import Document


@dataclass(frozen=True)
class Evidence:
    """A value with its interval; a `value` of `None` was looked for and is not there, for a stated `reason`."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    unit: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Found:
    """Evidence of a run, where it lies and its file's digest; no `evidence`: the artifact was not made yet."""

    run: str
    path: str  # relative to the project
    evidence: Evidence | None = None
    digest: str = ""


def find_evidence(homes: Homes, claim: Claim, run: str, document: Document, number: int) -> Found:
    """The evidence of a run for a claim; evidence of another form, or a key that is not there, is an error."""
    where = f"{document.place((number, 'evidence'))}: {number}.evidence"
    try:
        path = claim.pointer.path(homes.root, run, "")
    except PointerError as error:
        raise ClaimsError(f"{where}: {error}") from None
    shown = homes.project.relative(path)
    if not path.is_file():
        return Found(run, shown)
    try:
        data = follow(read_artifact(path, shown), claim.pointer, shown)
        evidence = parse_evidence(data, f"{shown}#/{'/'.join(claim.pointer.keys)}")
        return Found(run, shown, evidence, bytes_digest(path.read_bytes()))
    except (PointerError, OSError) as error:
        raise ClaimsError(f"{where}: {error}") from None


def parse_evidence(data: Any, shown: str) -> Evidence:
    """Evidence as it stands in an artifact; what cannot be judged is a `PointerError` naming the entry."""
    if not isinstance(data, dict) or "value" not in data:
        raise PointerError(f"{shown}: expected {{value, low, high, n, unit}}, found {_kind(data)}")
    numbers = {name: _number(data.get(name), f"{shown}/{name}") for name in ("value", "low", "high", "n")}
    value, low, high, n = (numbers[name] for name in ("value", "low", "high", "n"))
    reason = data.get("reason")
    if value is None and not (isinstance(reason, str) and reason.strip()):
        raise PointerError(f"{shown}: value is null without a 'reason'; evidence that is not there must say why")
    if (low is None) != (high is None) or (low is not None and high is not None and low > high):
        raise PointerError(f"{shown}: low = {low}, high = {high}: expected an interval with low at most high")
    unit = data.get("unit")
    return Evidence(
        value=value,
        low=low if value is not None else None,
        high=high if value is not None else None,
        n=None if n is None else int(n),
        unit=unit if isinstance(unit, str) else "",
        reason=reason.strip() if isinstance(reason, str) else "",
    )


def _number(value: Any, shown: str) -> float | None:
    if value is None:
        return None
    number = _float(value)
    if number is None or not math.isfinite(number):
        raise PointerError(f"{shown} = {cut(str(value), 60)}: expected a finite number or null")
    return number


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _kind(data: Any) -> str:
    if not isinstance(data, dict):
        return type(data).__name__
    return f"an entry with {', '.join(str(key)[:40] for key in list(data)[:12])}"
