"""The commands of the features' layer, added to `formation`: each parses and calls."""

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

RunName = Annotated[str, typer.Option("--run", help="Run to work on, <preset>-s<seed>.", show_default=False)]
Stages = Annotated[
    list[str] | None,
    typer.Option("--stage", help="Residual stage; may be repeated. Default: those of the parameters."),
]
Source = Annotated[int | None, typer.Option("--source", help="Earlier checkpoint.", show_default=False)]
Target = Annotated[int | None, typer.Option("--target", help="Later checkpoint.", show_default=False)]


def add_commands(app: typer.Typer) -> None:
    """Add them."""
    for name, command in _COMMANDS.items():
        app.command(name)(command)


def shared_feature_fit(run: RunName, stages: Stages = None) -> None:
    """Fit one sparse basis of a stage on activations of many checkpoints, and judge it.

    Example: `formation shared-feature-fit --run quick-s1 --stage last_post_mlp`
    """
    from formation.artifacts import open_run
    from formation.features.bases.fitting import shared_feature_fit as fit

    fit(open_run(run), stages)


def feature_trajectory_sweep(run: RunName, stages: Stages = None) -> None:
    """Measure every feature at every checkpoint: when it fires, and what it is worth; finished ones are kept.

    Example: `formation feature-trajectory-sweep --run quick-s1 --stage last_post_mlp`
    """
    from formation.artifacts import open_run
    from formation.features.measures.sweep import feature_trajectory_sweep as sweep

    sweep(open_run(run), stages)


def feature_birth_analyze(run: RunName, stages: Stages = None) -> None:
    """Date the birth, usefulness, settling and losses of every feature, with intervals.

    Example: `formation feature-birth-analyze --run quick-s1 --stage last_post_mlp`
    """
    from formation.artifacts import open_run
    from formation.features.measures.dating import feature_birth_analyze as analyze

    analyze(open_run(run), stages)


def feature_compare(
    run: RunName,
    stages: Stages = None,
    source: Source = None,
    target: Target = None,
) -> None:
    """Compare two checkpoints in one basis: which features came, went and changed.

    Example: `formation feature-compare --run quick-s1 --source 920 --target 1160`
    """
    from formation.artifacts import open_run
    from formation.features.causes.comparing import feature_compare as compare

    compare(open_run(run), stages, source, target)


def feature_patch(
    run: RunName,
    stages: Stages = None,
    source: Source = None,
    target: Target = None,
    features: Annotated[
        list[int] | None, typer.Option("--feature", help="Feature to exchange; may be repeated.", show_default=False)
    ] = None,
) -> None:
    """Exchange features between two checkpoints, and say how much of the change they carry.

    Example: `formation feature-patch --run quick-s1 --feature 17 --feature 40`
    """
    from formation.artifacts import open_run
    from formation.features.causes.patching import feature_patch as patch

    patch(open_run(run), stages, source, target, features)


def feature_lineage(
    run: RunName,
    stages: Stages = None,
    step: Annotated[int | None, typer.Option("--step", help="Checkpoint to look at.", show_default=False)] = None,
) -> None:
    """Name the heads, MLP blocks and neurons behind the features that matter.

    Example: `formation feature-lineage --run quick-s1 --step 2000`
    """
    from formation.artifacts import open_run
    from formation.features.causes.lineages import feature_lineage as lineage

    lineage(open_run(run), stages, step)


def feature_cards(
    run: RunName,
    stages: Stages = None,
    step: Annotated[int | None, typer.Option("--step", help="Checkpoint to look at.", show_default=False)] = None,
) -> None:
    """Say what each useful feature fires on: roles, keys, answers, lags, and its strongest streams token by token.

    Example: `formation feature-cards --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.features.cards import feature_cards as cards

    cards(open_run(run), stages, step)


def feature_alternatives(run: RunName, stages: Stages = None) -> None:
    """Date the features of other bases (principal components, neurons, a crosscoder) beside those of the shared one.

    Example: `formation feature-alternatives --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.features.alternatives.comparison import feature_alternatives as alternatives

    alternatives(open_run(run), stages)


def feature_family_cluster(run: RunName, stages: Stages = None) -> None:
    """Group features whose usefulness moves together over training, and say which families are stable.

    Example: `formation feature-family-cluster --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.features.families.grouping import feature_family_cluster as cluster

    cluster(open_run(run), stages)


def feature_family_rank(run: RunName, stages: Stages = None) -> None:
    """Rank the members of each family by what they are worth at the end.

    Example: `formation feature-family-rank --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.features.families.ranking import feature_family_rank as rank

    rank(open_run(run), stages)


def subset_trajectory(run: RunName, stages: Stages = None) -> None:
    """Measure the most useful members of each stable family as one at every checkpoint.

    Example: `formation subset-trajectory --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.features.families.subset_sweep import subset_trajectory as trajectory

    trajectory(open_run(run), stages)


def subset_birth(run: RunName, stages: Stages = None) -> None:
    """Date when each subset came, and came to be worth something.

    Example: `formation subset-birth --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.features.families.subset_births import subset_birth as birth

    birth(open_run(run), stages)


def feature_family_birth(run: RunName, stages: Stages = None) -> None:
    """Date when each family came, and came to be worth something.

    Example: `formation feature-family-birth --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.features.families.subset_births import feature_family_birth as birth

    birth(open_run(run), stages)


def feature_family_subpatch(run: RunName, stages: Stages = None) -> None:
    """Patch ranked subsets across the window of retrieval's birth, and say how much they carry.

    Example: `formation feature-family-subpatch --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.features.families.subpatching import feature_family_subpatch as subpatch

    subpatch(open_run(run), stages)


def feature_family_lineage(run: RunName, stages: Stages = None) -> None:
    """Name the heads, MLP blocks and neurons behind each stable family.

    Example: `formation feature-family-lineage --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.features.families.family_lineage import feature_family_lineage as lineage

    lineage(open_run(run), stages)


def candidate_circuit_registry(run: RunName, stages: Stages = None) -> None:
    """Rank candidate circuits, and say whether they compete.

    Example: `formation candidate-circuit-registry --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.candidates.registering import candidate_circuit_registry as registry

    registry(open_run(run), stages)


def feature_family_trace(run: RunName, stages: Stages = None) -> None:
    """Bring the strongest candidate, its components and the windows onto one time axis.

    Example: `formation feature-family-trace --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.candidates.tracing import feature_family_trace as trace

    trace(open_run(run), stages)


def feature_evidence(run: RunName, stages: Stages = None) -> None:
    """Collect the evidence on features on which claims are judged.

    Example: `formation feature-evidence --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.candidates.claims import feature_evidence as evidence

    evidence(open_run(run), stages)


def feature_analyze(run: RunName, stages: Stages = None) -> None:
    """Say all that is said of a swept stage's features: births, comparison, patches, lineage, cards, other bases.

    Example: `formation feature-analyze --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.features.analysis import feature_analyze as analyze

    analyze(open_run(run), stages)


def candidate_analyze(run: RunName, stages: Stages = None) -> None:
    """Find families, subsets and candidates, trace the strongest, and collect the evidence.

    Example: `formation candidate-analyze --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.candidates.analysis import candidate_analyze as analyze

    analyze(open_run(run), stages)


def compare_candidates(
    preset: Annotated[str, typer.Option("--preset", help="Preset whose runs are compared.", show_default=False)],
) -> None:
    """Match families of different runs by what they do, and lay their candidates side by side.

    Example: `formation compare-candidates --preset quick`
    """
    from formation.candidates.matching import compare_candidates as compare

    compare(preset)


_COMMANDS: Mapping[str, Callable[..., None]] = {
    "shared-feature-fit": shared_feature_fit,
    "feature-trajectory-sweep": feature_trajectory_sweep,
    "feature-birth-analyze": feature_birth_analyze,
    "feature-compare": feature_compare,
    "feature-patch": feature_patch,
    "feature-lineage": feature_lineage,
    "feature-cards": feature_cards,
    "feature-alternatives": feature_alternatives,
    "feature-family-cluster": feature_family_cluster,
    "feature-family-rank": feature_family_rank,
    "subset-trajectory": subset_trajectory,
    "subset-birth": subset_birth,
    "feature-family-birth": feature_family_birth,
    "feature-family-subpatch": feature_family_subpatch,
    "feature-family-lineage": feature_family_lineage,
    "candidate-circuit-registry": candidate_circuit_registry,
    "feature-family-trace": feature_family_trace,
    "feature-evidence": feature_evidence,
    "feature-analyze": feature_analyze,
    "candidate-analyze": candidate_analyze,
    "compare-candidates": compare_candidates,
}
