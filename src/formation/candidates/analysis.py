"""The `candidate-analyze` stage: from trajectories of features to candidate circuits, one single stage after the other.

Each has a command of its own; together they are one step of the paper, so that a process is started once.
"""

from collections.abc import Sequence
from pathlib import Path

from formation.artifacts import Run
from formation.candidates.claims import feature_evidence
from formation.candidates.registering import candidate_circuit_registry
from formation.candidates.tracing import feature_family_trace
from formation.features.families.family_lineage import feature_family_lineage
from formation.features.families.grouping import feature_family_cluster
from formation.features.families.ranking import feature_family_rank
from formation.features.families.subpatching import feature_family_subpatch
from formation.features.families.subset_births import feature_family_birth, subset_birth
from formation.features.families.subset_sweep import subset_trajectory

PARTS = (
    feature_family_cluster,
    feature_family_rank,
    subset_trajectory,
    subset_birth,
    feature_family_birth,
    feature_family_subpatch,
    feature_family_lineage,
    candidate_circuit_registry,
    feature_family_trace,
    feature_evidence,
)


def candidate_analyze(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Families, subsets, candidates, their trace and the evidence of each stage; return the paths of all files."""
    return [path for part in PARTS for path in part(run, stages)]
