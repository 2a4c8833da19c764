"""The `formation` command: parses, calls, sets the exit code."""

import sys
from typing import Annotated

import typer

from formation.errors import FormationError
from formation.features.commands import add_commands
from formation.room import told

app = typer.Typer(
    name="formation",
    help="The laboratory: make evidence about how circuits form while a small transformer learns.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

RunName = Annotated[str, typer.Option("--run", help="Run to work on, <preset>-s<seed>.", show_default=False)]
Overrides = Annotated[
    list[str],
    typer.Option("--set", help="Override a parameter, section.key=value; may be repeated.", metavar="KEY=VALUE"),
]


@app.command("create-run")
def create_run(
    run: RunName,
    overrides: Overrides = [],  # noqa: B006
    replace: Annotated[bool, typer.Option(help="Move a run made with other parameters aside.")] = False,
) -> None:
    """Write the run's resolved parameters, or refuse a folder made with others.

    Example: `formation create-run --run quick-s9 --set training.steps=500`
    """
    from formation.artifacts import create_run as create

    create(run, overrides=overrides, replace=replace)


@app.command("generate-benchmark")
def generate_benchmark(run: RunName, overrides: Overrides = []) -> None:  # noqa: B006  (typer's way of a repeatable option)
    """Write the run's dataset, its twins and its sanity report.

    Example: `formation generate-benchmark --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.benchmark.stage import generate_for_run

    generate_for_run(open_run(run, overrides=overrides), overrides)


@app.command("dataset-geometry-report")
def dataset_geometry_report(run: RunName) -> None:
    """Measure the relation the dataset asks for: event graphs, pairs, lags, shortcuts, oracle.

    Example: `formation dataset-geometry-report --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.geometry.dataset import dataset_geometry_report as report

    report(open_run(run))


@app.command()
def train(
    run: RunName,
    overrides: Overrides = [],  # noqa: B006
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train the run's model with dense, replayable checkpoints; run again to resume where it stopped.

    Example: `formation train --run quick-s1`, or `formation train --run quick-s9 --set training.steps=500`
    """
    from formation.artifacts import create_run
    from formation.training.loop import train as train_run

    train_run(create_run(run, overrides=overrides), device=device)


@app.command()
def replay(
    run: RunName,
    first: Annotated[int, typer.Option("--from", help="Step the window begins from.", show_default=False)],
    last: Annotated[int, typer.Option("--to", help="Last step of the window.", show_default=False)],
    every: Annotated[int | None, typer.Option(help="Keep a checkpoint each so many steps.", show_default=False)] = None,
    record: Annotated[
        str, typer.Option(help="Keep a trace of each step: losses, gradients, or both.", show_default=False)
    ] = "",
) -> None:
    """Train a window of the run again, bit for bit, keeping denser checkpoints and a trace of single steps.

    Example: `formation replay --run quick-s1 --from 1000 --to 1100 --every 10 --record gradients,losses`
    """
    from formation.artifacts import open_run
    from formation.training.dense import records, replay_window

    replay_window(open_run(run), first, last, every, records(record))


@app.command("select-reference")
def select_reference(
    preset: Annotated[str, typer.Option("--preset", help="Preset whose runs are compared.", show_default=False)],
) -> None:
    """Choose the best checkpoint by held-out answer accuracy among the preset's completed runs.

    Example: `formation select-reference --preset quick`
    """
    from formation.training.selection import select_reference as select

    select(preset)


@app.command("generate-probe-set")
def generate_probe_set(run: RunName) -> None:
    """Freeze the small stratified probe set on which every checkpoint is measured.

    Example: `formation generate-probe-set --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.record.probe_set import generate_probe_set as generate

    generate(open_run(run))


@app.command("checkpoint-sweep")
def checkpoint_sweep(run: RunName) -> None:
    """Measure every checkpoint of the run; finished checkpoints are never measured again.

    Example: `formation checkpoint-sweep --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.record.sweep import checkpoint_sweep as sweep

    sweep(open_run(run))


@app.command("component-sweep")
def component_sweep(run: RunName) -> None:
    """Measure heads, MLPs, residual states and dynamics at every checkpoint; finished ones are never measured again.

    Example: `formation component-sweep --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.components.sweep import component_sweep as sweep

    sweep(open_run(run))


@app.command("birth-window-analyze")
def birth_window_analyze(run: RunName) -> None:
    """Date the births of each behaviour and find the windows in which it formed.

    Example: `formation birth-window-analyze --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.record.windows import analyze_birth_windows

    analyze_birth_windows(open_run(run))


@app.command("birth-window-compare")
def birth_window_compare(run: RunName) -> None:
    """Patch the ends of each formation window into each other, and replay its inside.

    Example: `formation birth-window-compare --run quick-s1`
    """
    from formation.artifacts import open_run
    from formation.components.window_compare import compare_windows

    compare_windows(open_run(run))


@app.command("compare-births")
def compare_births(
    preset: Annotated[str, typer.Option("--preset", help="Preset whose runs are compared.", show_default=False)],
) -> None:
    """Lay the births of the preset's runs side by side and say how far they agree on their order.

    Example: `formation compare-births --preset quick`
    """
    from formation.record.compare import compare_births as compare

    compare(preset)


@app.command("compare-factors")
def compare_factors(
    factor: Annotated[str | None, typer.Option("--factor", help="Factor to compare the levels of.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every factor of which there are runs.")] = False,
) -> None:
    """Lay births and final accuracies of a factor's levels beside those of the preset they vary.

    Example: `formation compare-factors --factor initialisation`
    """
    from formation.replication.factors import compare_all, compare_factor

    if every == (factor is not None):
        raise FormationError("compare-factors: expected either --factor NAME or --all")
    compare_all() if factor is None else compare_factor(factor)


@app.command("compare-studies")
def compare_studies(
    presets: Annotated[list[str] | None, typer.Argument(help="Presets; default: quick reference source.")] = None,
) -> None:
    """Lay births, ends and accuracy over training of studies of different size side by side.

    Example: `formation compare-studies quick reference source`
    """
    from formation.replication.sizes import PRESETS
    from formation.replication.sizes import compare_studies as compare

    compare(presets or PRESETS)


@app.command()
def screen(
    factor: Annotated[str, typer.Option("--factor", help="Factor to screen.", show_default=False)],
    jobs: Annotated[int, typer.Option(help="Runs side by side, each on the threads its parameters say.")] = 1,
) -> None:
    """Train and measure every run that a factor's comparison lacks, then compare; run again to go on.

    Example: `formation screen --factor reads`
    """
    from formation.replication.screen import screen as run_screen

    run_screen(factor, jobs)


add_commands(app)


def main() -> None:
    """Run the command line; a known error is one line on stderr and exit code 2."""
    try:
        app()
    except FormationError as error:
        print(f"formation: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"formation: {told(error)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
