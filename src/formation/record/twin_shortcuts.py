"""How often a shortcut follows a twin: right in the base and in the twin, on the reads the twin affects.

Shortcuts that look at the key follow the key twin in part, so a key-twin flip is retrieval only as far as it exceeds
theirs on the same reads.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from formation.benchmark.events import twin_split
from formation.benchmark.heuristics import Heuristic, Shortcuts
from formation.benchmark.streams import Split, Twin


@dataclass(frozen=True)
class ShortcutFlips:
    """A heuristic and the probability that it is right in base and twin."""

    heuristic: Heuristic
    flips: Float[np.ndarray, "affected"]

    @property
    def rate(self) -> float:
        """Share of the affected reads on which it follows the twin."""
        return float(self.flips.mean())


def best_flips(base: Split, twin: Twin) -> ShortcutFlips | None:
    """The heuristic that follows the twin on most affected reads, fitted ones fitted there; null without such a read.

    It is chosen for its score on the reads it is compared on, so the rate errs to the high side.
    """
    affected = twin.affected
    if not affected.any():
        return None
    here = Shortcuts(base, fitted_on=affected)
    there = Shortcuts(twin_split(base, twin), fitted_on=affected)
    every = (ShortcutFlips(name, (here.scores(name) * there.scores(name))[affected]) for name in Heuristic)
    return max(every, key=lambda found: found.rate)
