"""Candidate circuits: named subsets of a family's features with the components that write them (`docs/measures.md` §6).

Which features make up a candidate is decided on one half of the probe streams; all that a `Candidate` says is measured
on the other. Its `status` is the strongest of these that holds, read from the top:

- `no_gain`: at the end it is worth no more to the answers than at the beginning: the interval of its useful delta
  reaches 0;
- `undated`: it gains, but no rise of its usefulness passes the gate;
- `late`: it rose too close to the end to be seen lasting;
- `useful`: it was born useful, but its gain on held-out pairs is not beyond doubt;
- `generalises`: it was born useful, and gains on held-out pairs too.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float
from pydantic import Field

from formation.features.families import Family
from formation.features.lineage import Edge
from formation.params import Ablation, Frozen
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
    useful_delta: Gain  # usefulness at the end minus at the beginning, IID streams
    heldout_delta: Gain  # the same on held-out pairs
    status: Annotated[Status, Field(strict=False)]


def subset_id(family: Family, size: int) -> str:
    """The name of a family's `size` most useful features: `family_7.top2`."""
    return f"{family.name}.top{size}"


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


def components_of(edges: Iterable[Edge], features: Sequence[int], kind: Ablation) -> list[str]:
    """Writers with an edge into any of the features, by how far they move all their scores together."""
    moved: dict[str, float] = defaultdict(float)
    for edge in edges:
        if edge.feature in features and edge.kind is kind:
            moved[edge.writer.name] += edge.moved.value
    return sorted(moved, key=lambda name: (-moved[name], name))


def candidate(
    stage: str,
    family: Family,
    features: Sequence[int],
    unstable: Iterable[int],
    components: Sequence[str],
    birth: Change,
    useful_birth: Change,
    useful_delta: Estimate,
    heldout_delta: Estimate,
) -> Candidate:
    """A family's features, the most useful first, as a candidate with its status."""
    return Candidate(
        id=subset_id(family, len(features)),
        stage=stage,
        family=family.name,
        features=list(features),
        unstable=sorted(set(unstable) & set(features)),
        components=list(components),
        birth=_dated(birth),
        useful_birth=_dated(useful_birth),
        useful_delta=Gain(**vars(useful_delta)),
        heldout_delta=Gain(**vars(heldout_delta)),
        status=status_of(useful_birth, useful_delta, heldout_delta),
    )


def by_rank(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Candidates as a scoreboard has them: by status, then by useful delta, the strongest first."""
    order = list(Status)
    return sorted(candidates, key=lambda one: (-order.index(one.status), -one.useful_delta.value, one.id))


def as_json(candidates: Iterable[Candidate]) -> list[dict[str, Any]]:
    """The scoreboard as JSON data."""
    return [one.model_dump(mode="json") for one in by_rank(candidates)]


def from_json(data: Iterable[Any]) -> list[Candidate]:
    """Candidates from JSON data."""
    return [Candidate.model_validate(one) for one in data]


def _dated(change: Change) -> Dated:
    return Dated(outcome=change.outcome, step=change.step, low=change.low, high=change.high)
