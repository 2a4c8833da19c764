"""The commands of the features' layer, added to `formation`: each parses and calls."""

from typing import Annotated

import typer

RunName = Annotated[str, typer.Option("--run", help="Run to work on, <preset>-s<seed>.", show_default=False)]
Stages = Annotated[
    list[str] | None,
    typer.Option("--stage", help="Residual stage; may be repeated. Default: those of the parameters."),
]


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


_COMMANDS = {
    "shared-feature-fit": shared_feature_fit,
}
