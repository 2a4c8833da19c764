"""Candidate circuits: named subsets of a family's features with the components that write them (`docs/measures.md` §6).

Which features make up a candidate, and its rank, is decided on one half of the probe streams; all else that a
`Candidate` says is measured on the other. Its `status` is the strongest of these that holds, read from the top:

- `no_gain`: at the end it is worth no more to the answers than at the beginning: the interval of its useful delta
  reaches 0;
- `undated`: it gains, but no rise of its usefulness passes the gate;
- `late`: it rose too close to the end to be seen lasting;
- `useful`: it was born useful, but its gain on held-out pairs is not beyond doubt;
- `generalises`: it was born useful, and gains on held-out pairs too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float
from pydantic import Field

from formation.features.families.subsets import Subset
from formation.params import Frozen
from formation.record.births import Change, Outcome
from formation.record.series import Series
from formation.statistics import Estimate, difference

LAST = 3  # checkpoints averaged at either end, as at the end of a run everywhere


class Status(StrEnum):
    """What became of a candidate."""

    NO_GAIN = "no_gain"
    UNDATED = "undated"
    LATE = "late"
    USEFUL = "useful"
    GENERALISES = "generalises"


class Dated(Frozen):
    """A birth as the record has it; steps are null where nothing was dated or no bound exists."""

    outcome: Annotated[Outcome, Field(strict=False)]
    step: int | None
    low: int | None
    high: int | None


class Gain(Frozen):
    """A mean difference in nats with its interval, over `n` reads."""

    value: float
    low: float
    high: float
    n: int


class Candidate(Frozen):
    """One candidate circuit of a stage."""

    id: str  # `family_7.top2`
    stage: str
    family: str
    features: list[int]  # the most useful first
    unstable: list[int]  # those of them that other fits of the basis do not find again
    components: list[str]  # heads, MLP blocks and neurons, the strongest first
    birth: Dated  # of its score
    useful_birth: Dated  # of the margin lost without it
    selected_delta: Gain  # the next on the half that selects: what it is ranked by
    useful_delta: Gain  # usefulness at the end minus at the beginning, IID streams
    heldout_delta: Gain  # the same on held-out pairs
    status: Annotated[Status, Field(strict=False)]


@dataclass(frozen=True)
class Deltas:
    """What a candidate gained in usefulness: on the half that selects, on the other, and there on held-out streams."""

    selected: Estimate
    useful: Estimate
    heldout: Estimate


def delta(series: Series, weights: Float[np.ndarray, "draw stream"], confidence: float) -> Estimate:
    """Mean of the last checkpoints minus mean of the first, with a paired bootstrap over streams.

    The series begins behind the warm-up.
    """
    values, draws = series.values(), series.draws(weights)
    value = float(values[-LAST:].mean() - values[:LAST].mean())
    return difference(draws[:, -LAST:].mean(1), draws[:, :LAST].mean(1), value, series.n, confidence)


def status_of(useful_birth: Change, useful_delta: Estimate, heldout_delta: Estimate) -> Status:
    """The status by the rule above."""
    if useful_delta.low <= 0:
        return Status.NO_GAIN
    if useful_birth.outcome is Outcome.NOT_BORN:
        return Status.UNDATED
    if useful_birth.outcome is Outcome.CENSORED:
        return Status.LATE
    return Status.GENERALISES if heldout_delta.low > 0 else Status.USEFUL


def candidate(
    stage: str,
    subset: Subset,
    unstable: Iterable[int],
    components: Sequence[str],
    births: tuple[Change, Change],
    deltas: Deltas,
) -> Candidate:
    """A family's subset as a candidate with its status; `births` are that of its score and the useful one."""
    birth, useful_birth = births
    return Candidate(
        id=subset.name,
        stage=stage,
        family=subset.family,
        features=list(subset.features),
        unstable=sorted(set(unstable) & set(subset.features)),
        components=list(components),
        birth=_dated(birth),
        useful_birth=_dated(useful_birth),
        selected_delta=Gain(**vars(deltas.selected)),
        useful_delta=Gain(**vars(deltas.useful)),
        heldout_delta=Gain(**vars(deltas.heldout)),
        status=status_of(useful_birth, deltas.useful, deltas.heldout),
    )


def by_rank(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Candidates as a scoreboard has them: by useful delta on the half that selects, the largest first.

    Ranked by what is reported of it, the first would be told too well of.
    """
    return sorted(candidates, key=lambda one: (-one.selected_delta.value, one.id))


def as_json(candidates: Iterable[Candidate]) -> list[dict[str, Any]]:
    """The scoreboard as JSON data."""
    return [one.model_dump(mode="json") for one in by_rank(candidates)]


def from_json(data: Iterable[Any]) -> list[Candidate]:
    """Candidates from JSON data."""
    return [Candidate.model_validate(one) for one in data]


def _dated(change: Change) -> Dated:
    return Dated(outcome=change.outcome, step=change.step, low=change.low, high=change.high)
