"""Names and schemas of the features' artifacts, by stage; readers of figures need these alone, and no torch.

The layout follows the plan of the shared feature layer, with safetensors for tensors: all files of a stage lie in
`analysis/shared_features/<stage>/`.
"""

FOLDER = "analysis/shared_features"

BASIS, BASIS_SCHEMA = "shared_feature_basis.safetensors", "shared-feature-basis/1"
QUALITY, QUALITY_SCHEMA = "shared_feature_basis.json", "shared-feature-quality/1"
FEATURES, FEATURES_SCHEMA = "shared_feature_basis_features.json", "shared-feature-list/1"

SNAPSHOTS, SNAPSHOT_SCHEMA = "snapshots", "feature-snapshot/1"
TRAJECTORIES, TRAJECTORIES_SCHEMA = "feature_trajectories.jsonl", "feature-trajectories/1"
SUMMARY, SUMMARY_SCHEMA = "feature_checkpoint_summary.json", "feature-checkpoint-summary/1"
PROFILES, PROFILES_SCHEMA = "feature_split_profiles.json", "feature-split-profiles/1"
BIRTHS, BIRTHS_SCHEMA = "feature_births.json", "feature-births/1"
BIRTH_SUMMARY, BIRTH_SUMMARY_SCHEMA = "feature_birth_summary.json", "feature-birth-summary/1"

COMPARE_SCHEMA = "feature-compare/1"
PATCH_SCHEMA = "feature-patch/1"
LINEAGE_SCHEMA = "feature-lineage/1"
CARDS, CARDS_SCHEMA = "feature_cards.json", "feature-cards/1"

FAMILIES, FAMILIES_SCHEMA = "feature_families.json", "feature-families/1"
FAMILY_BIRTHS, FAMILY_BIRTHS_SCHEMA = "feature_family_births.json", "feature-family-births/1"
FAMILY_RANKS, FAMILY_RANKS_SCHEMA = "feature_family_ranks.json", "feature-family-ranks/1"
FAMILY_SUBPATCHES, FAMILY_SUBPATCHES_SCHEMA = "feature_family_subpatches.json", "feature-family-subpatches/1"
FAMILY_LINEAGE, FAMILY_LINEAGE_SCHEMA = "feature_family_lineage.json", "feature-family-lineage/1"
FAMILY_TRACE, FAMILY_TRACE_SCHEMA = "feature_family_trace.json", "feature-family-trace/1"
SUBSET_SNAPSHOTS = "subsets/snapshots"
SUBSETS, SUBSETS_SCHEMA = "subsets/subset_trajectories.json", "subset-trajectories/1"
SUBSET_BIRTHS, SUBSET_BIRTHS_SCHEMA = "subsets/subset_births.json", "subset-births/1"
REGISTRY, REGISTRY_SCHEMA = "candidate_circuit_registry.json", "candidate-circuit-registry/1"

ALTERNATIVES, ALTERNATIVES_SCHEMA = "alternatives.json", "feature-alternatives/1"
EVIDENCE, EVIDENCE_SCHEMA = "analysis/feature_claims_evidence.json", "feature-claims-evidence/1"  # of the whole run

GRAPHS = "graphs"
PLOTS = "plots"


def place(stage: str, name: str) -> str:
    """A file of a stage, below the run's folder; `stage` is the stage's own name, never `last_post_mlp`."""
    return f"{FOLDER}/{stage}/{name}"


def compared(source: int, target: int) -> str:
    """The comparison of two checkpoints."""
    return f"feature_compare_{source}_vs_{target}.json"


def patched(source: int, target: int) -> str:
    """The patches between two checkpoints."""
    return f"feature_patch_{source}_vs_{target}.json"


def lineage(step: int) -> str:
    """The lineage at one checkpoint."""
    return f"feature_lineage_{step}.json"


def snapshot(step: int, folder: str = SNAPSHOTS) -> str:
    """What was measured at one checkpoint, of features or of subsets."""
    return f"{folder}/step_{step:06d}.safetensors"
