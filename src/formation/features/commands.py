"""The commands of the features' layer, added to `formation`: each parses and calls."""

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
    from formation.features.fitting import shared_feature_fit as fit

    fit(open_run(run), stages)


def feature_trajectory_sweep(run: RunName, stages: Stages = None) -> None:
    """Measure every feature at every checkpoint: when it fires, and what it is worth; finished ones are kept.

    Example: `formation feature-trajectory-sweep --run quick-s1 --stage last_post_mlp`
    """
    from formation.artifacts import open_run
    from formation.features.sweep import feature_trajectory_sweep as sweep

    sweep(open_run(run), stages)


def feature_birth_analyze(run: RunName, stages: Stages = None) -> None:
    """Date the birth, usefulness, settling and losses of every feature, with intervals.

    Example: `formation feature-birth-analyze --run quick-s1 --stage last_post_mlp`
    """
    from formation.artifacts import open_run
    from formation.features.dating import feature_birth_analyze as analyze

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
    from formation.features.comparing import feature_compare as compare

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
    from formation.features.patching import feature_patch as patch

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
    from formation.features.lineages import feature_lineage as lineage

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
    from formation.features.alternatives import feature_alternatives as alternatives

    alternatives(open_run(run), stages)


_COMMANDS = {
    "shared-feature-fit": shared_feature_fit,
    "feature-trajectory-sweep": feature_trajectory_sweep,
    "feature-birth-analyze": feature_birth_analyze,
    "feature-compare": feature_compare,
    "feature-patch": feature_patch,
    "feature-lineage": feature_lineage,
    "feature-cards": feature_cards,
    "feature-alternatives": feature_alternatives,
}
