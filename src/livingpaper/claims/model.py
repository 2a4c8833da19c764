"""`paper/claims.yml`: each claim with its evidence and the two rules that judge it. No status is ever written there."""

import re
import string
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, RootModel, model_validator

from livingpaper.errors import ClaimsError, PointerError
from livingpaper.files import digest
from livingpaper.formats import spell
from livingpaper.pointers import Pointer, parse_pointer
from livingpaper.validation import Strict, nearest, validate
from livingpaper.yamlfile import Document, read_yaml

CLAIMS = "paper/claims.yml"
FIELDS = ("value", "low", "high", "n", "unit", "run")  # what `says` may hold


def _share(text: Any) -> Any:
    """A share written as k/n."""
    match = re.fullmatch(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})", text) if isinstance(text, str) else None
    if match is None or int(match[1]) > int(match[2]):
        raise ValueError("expected a share of the runs, such as 4/5 or 1/1")
    return Fraction(int(match[1]), int(match[2]))


def _pointer(text: str) -> str:
    try:
        pointer = parse_pointer(text)
    except PointerError as error:
        raise ValueError(str(error)) from None
    if pointer.study:
        raise ValueError("evidence is an artifact of each run, without study:")
    return text


def _sentence(text: str) -> str:
    """A sentence whose fields exist and whose formats fit."""
    try:
        for _, name, form, conversion in string.Formatter().parse(text):
            if name is None:
                continue
            if name not in FIELDS or conversion:
                field = f"{name}!{conversion}" if conversion else name
                raise ValueError(f"unknown field {{{field[:80]}}}; allowed: {', '.join(f'{{{f}}}' for f in FIELDS)}")
            spell("x" if name in ("unit", "run") else 1 if name == "n" else 1.5, form or "")
    except ValueError as error:
        raise ValueError(f"not a usable sentence: {error}") from None
    return text


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number")  # YAML reads yes and on as true
    return value


Threshold = Annotated[float, Field(strict=False), BeforeValidator(_number)]


class Rule(Strict):
    """A threshold that the interval has to clear, on one side of it, in a share of the judged runs (rounded up)."""

    above: Threshold | None = None
    below: Threshold | None = None
    quorum: Annotated[Fraction, BeforeValidator(_share)]

    @model_validator(mode="after")
    def _one_side(self) -> "Rule":
        if (self.above is None) == (self.below is None):
            raise ValueError("expected exactly one of above, below")
        return self

    @property
    def threshold(self) -> float:
        """The threshold itself."""
        return self.above if self.above is not None else self.below if self.below is not None else 0.0

    def plain(self) -> dict[str, Any]:
        """As written, for the seal and for machines."""
        side = "above" if self.above is not None else "below"
        return {side: self.threshold, "quorum": f"{self.quorum.numerator}/{self.quorum.denominator}"}


class Claim(Strict):
    """One claim."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
    chapter: str
    says: Annotated[str, AfterValidator(_sentence)]
    evidence: Annotated[str, AfterValidator(_pointer)]
    supported: Rule
    refuted: Rule
    control: Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$")]
    next: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _rules_fit(self) -> "Claim":
        """Both rules cannot hold at once, so a status is never a matter of order."""
        if (self.supported.above is None) == (self.refuted.above is None):
            raise ValueError("supported and refuted point the same way: one needs above, the other below")
        if self.sign * self.refuted.threshold > self.sign * self.supported.threshold:
            raise ValueError(
                f"supported ({self.supported.plain()}) and refuted ({self.refuted.plain()}) overlap: "
                "no interval may satisfy both"
            )
        if self.supported.quorum + self.refuted.quorum <= 1:
            raise ValueError("the quorums of supported and refuted can both be met: their sum must exceed 1")
        return self

    @property
    def sign(self) -> int:
        """1 if larger values support the claim, -1 if smaller ones do."""
        return 1 if self.supported.above is not None else -1

    @property
    def pointer(self) -> Pointer:
        """Where the evidence lies in each run."""
        return parse_pointer(self.evidence)

    @property
    def rule(self) -> dict[str, Any]:
        """What a seal covers: evidence, both rules and the control."""
        return {
            "evidence": self.evidence,
            "supported": self.supported.plain(),
            "refuted": self.refuted.plain(),
            "control": self.control,
        }

    @property
    def rule_digest(self) -> str:
        """SHA-256 (hex) of the rule."""
        return digest(self.rule)


class ClaimsFile(RootModel[list[Claim]]):
    """The whole file."""


def load_claims(root: Path, chapters: list[str]) -> tuple[list[Claim], Document]:
    """The claims of a project and the document they stand in; none if it has no `paper/claims.yml`."""
    path = root / CLAIMS
    if not path.exists():
        return [], Document(CLAIMS, [], {})
    document = read_yaml(path, CLAIMS, ClaimsError)
    if document.data is None:
        return [], document
    claims = validate(ClaimsFile, document, ClaimsError).root
    seen: set[str] = set()
    for number, claim in enumerate(claims):
        if claim.id in seen:
            raise ClaimsError(f"{document.place((number, 'id'))}: {number}.id = {claim.id!r}: used twice; ids differ")
        seen.add(claim.id)
        if claim.chapter not in chapters:
            raise ClaimsError(
                f"{document.place((number, 'chapter'))}: {number}.chapter = {claim.chapter!r}: no such chapter in "
                f"_quarto.yml; there are: {', '.join(chapters)}{nearest(claim.chapter, chapters)}"
            )
    return claims, document
