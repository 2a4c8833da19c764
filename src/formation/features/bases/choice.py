"""Which of the bases that were tried becomes a stage's shared basis: aims, and a rule that leaves nothing to taste.

Every number of latents is tried with every k, each with several fit seeds. The rule is `RULE`; it looks at held-out
checkpoints alone, on probe streams of the validation split.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Any

import numpy as np

from formation.errors import MeasureError
from formation.features.bases.material import Judged
from formation.features.bases.quality import coded, measure_quality, summarise_quality
from formation.features.bases.stability import matched_cosines
from formation.features.basis import Basis
from formation.features.params import Section

RULE = (
    "Of the bases that meet all aims, the most stable one. If none does: of those that miss the fewest aims, the most "
    "stable one. Equally stable ones: the one with fewer latents, then with smaller k. Judged at held-out checkpoints, "
    "on probe streams of the validation split; stability is the mean matched cosine over all pairs of its fits."
)


class Aim(StrEnum):
    """What is asked of a basis."""

    SPARSE = "mean_active_fraction"
    EXPLAINS = "explained_variance_without_token_means"
    STABLE = "stability"
    ALIVE = "dead_fraction"


@dataclass(frozen=True)
class Tried:
    """One number of latents and one k, as the first of its fits does; stability is of all its fits."""

    latents: int
    k: int
    fits: int
    mean_active_fraction: float
    explained_variance_without_token_means: float | None
    explained_variance: float | None
    l0: float
    dead_fraction: float
    stability: float
    missed: tuple[Aim, ...]

    @property
    def place(self) -> tuple[float, ...]:
        """The smallest is chosen by `RULE`."""
        return len(self.missed), -self.stability, self.latents, self.k


def tried(bases: Sequence[Basis], checkpoints: Sequence[Judged], section: Section) -> Tried:
    """What came of fits with several seeds, on held-out checkpoints."""
    found = summarise_quality(
        [measure_quality(coded(bases[0], at.choice.x), at.step, at.choice.token) for at in checkpoints]
    )
    figures = {
        "mean_active_fraction": found["mean_active_fraction"],
        "explained_variance_without_token_means": found["explained_variance_without_token_means"],
        "dead_fraction": found["dead_fraction"],
        "stability": _agreement(bases),
    }
    return Tried(
        latents=bases[0].latents,
        k=bases[0].k,
        fits=len(bases),
        explained_variance=found["explained_variance"],
        l0=found["l0"],
        missed=missed(figures, section),
        **figures,
    )


def missed(figures: dict[str, Any], section: Section) -> tuple[Aim, ...]:
    """The aims that are not met; what could not be measured meets none."""
    met = {
        Aim.SPARSE: figures[Aim.SPARSE] <= section.most_active,
        Aim.EXPLAINS: (figures[Aim.EXPLAINS] or 0.0) >= section.least_explained,
        Aim.STABLE: figures[Aim.STABLE] >= section.least_stability,
        Aim.ALIVE: figures[Aim.ALIVE] <= section.most_dead,
    }
    return tuple(aim for aim in Aim if not met[aim])


def choose(every: Sequence[Tried]) -> Tried:
    """The one that `RULE` says."""
    if not every:
        raise MeasureError("no basis was tried: name at least one number of latents and one k")
    return min(every, key=lambda one: one.place)


def aims(section: Section) -> dict[str, float]:
    """The bound of every aim, as JSON has it."""
    return {
        Aim.SPARSE: section.most_active,
        Aim.EXPLAINS: section.least_explained,
        Aim.STABLE: section.least_stability,
        Aim.ALIVE: section.most_dead,
    }


def _agreement(bases: Sequence[Basis]) -> float:
    pairs = combinations(bases, 2)
    return float(np.mean([matched_cosines(one.decoder, other.decoder).mean() for one, other in pairs]))
