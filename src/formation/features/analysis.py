"""The `feature-analyze` stage: everything that is said of a swept stage's features, one single stage after the other.

Each has a command of its own; together they are one step of the paper, so that a process is started once.
"""

from collections.abc import Sequence
from pathlib import Path

from formation.artifacts import Run
from formation.features.alternatives.comparison import feature_alternatives
from formation.features.cards import feature_cards
from formation.features.causes.comparing import feature_compare
from formation.features.causes.lineages import feature_lineage
from formation.features.causes.patching import feature_patch
from formation.features.measures.dating import feature_birth_analyze

PARTS = (
    feature_birth_analyze,
    feature_compare,
    feature_patch,
    feature_lineage,
    feature_cards,
    feature_alternatives,
)


def feature_analyze(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Births, comparison, patches, lineage, cards and other bases of each stage; return the paths of all files."""
    return [path for part in PARTS for path in part(run, stages)]
