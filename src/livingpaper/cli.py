"""The `livingpaper` command: parses, calls, sets the exit code.

0: done. 1: something failed on the way (a stage, a chapter, a number without a value); the rest was made. 2: bad input.
130: interrupted.
"""

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from livingpaper.errors import PressError
from livingpaper.printing import Renderer

app = typer.Typer(
    name="livingpaper",
    help="The press: execute chapters, judge claims and print the paper from the artifacts of its runs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog="Exit codes: 0 done, 1 something failed on the way (the rest was made), 2 bad input.",
)


class Unknown(StrEnum):
    """What to do with outputs that no build made."""

    REFUSE = "refuse"
    ADOPT = "adopt"
    ANEW = "anew"


Preset = Annotated[str, typer.Option(help="Preset of params/ whose runs make the paper.", metavar="NAME")]
Jobs = Annotated[int, typer.Option(help="Processes side by side.", min=1, max=1024, metavar="N")]
RendererOption = Annotated[Renderer, typer.Option(help="auto: Quarto if it is on PATH, else the embedded one.")]
UnknownOption = Annotated[
    Unknown,
    typer.Option(
        help="Files a stage would go on from, but no build made: refuse, adopt them, or set them aside (anew)."
    ),
]
Cluster = Annotated[
    str,
    typer.Option(help="Run on the workers of this Dask scheduler, not on this machine.", metavar="ADDRESS"),
]
PublishedOption = Annotated[
    bool, typer.Option("--published", help="Compute no run: take the evidence published in results/.")
]
Port = Annotated[int, typer.Option(help="Port on this machine; 0 takes a free one.", min=0, max=65535)]
CORES = os.cpu_count() or 1


@app.command()
def build(
    preset: Preset = "quick",
    jobs: Jobs = CORES,
    no_render: Annotated[bool, typer.Option("--no-render", help="Stop before the pages are printed.")] = False,
    renderer: RendererOption = Renderer.AUTO,
    unknown: UnknownOption = Unknown.REFUSE,
    published: PublishedOption = False,
    cluster: Cluster = "",
) -> None:
    """Bring the whole paper up to date: run stale stages and chapters, judge the claims, print the pages.

    Example: `livingpaper build`, or `livingpaper build --preset smoke --jobs 2`, or without training anything
    `livingpaper build --published`, or on other machines `livingpaper build --cluster tcp://node1:8786`
    """
    if os.environ.get("LIVINGPAPER_BUILDING"):
        return  # called from within a build, by Quarto's pre-render or by a stage
    from livingpaper.command import run_build

    try:
        shown = None if no_render else renderer.value
        raise typer.Exit(run_build(preset, jobs, shown, unknown.value, published, cluster))
    except KeyboardInterrupt:
        print("livingpaper: interrupted; everything finished is kept, build again to go on", file=sys.stderr)
        raise typer.Exit(130) from None


@app.command()
def render(
    preset: Preset = "quick", renderer: RendererOption = Renderer.AUTO, published: PublishedOption = False
) -> None:
    """Print the pages from what was built before, executing nothing; chapters that are not up to date are stamped.

    Example: `livingpaper render --renderer embedded`
    """
    if os.environ.get("LIVINGPAPER_BUILDING"):
        return
    from livingpaper.command import run_render

    raise typer.Exit(run_render(preset, renderer.value, published))


@app.command()
def claims(
    preset: Preset = "quick",
    seal: Annotated[bool, typer.Option("--seal", help="Seal new and edited rules in paper/seals.json.")] = False,
    published: PublishedOption = False,
) -> None:
    """Judge the claims on the evidence there is and print a table; `--seal` fixes their rules.

    Example: `livingpaper claims`, or `livingpaper claims --seal` after adding a claim
    """
    from livingpaper.command import run_claims

    raise typer.Exit(run_claims(preset, seal, published))


@app.command()
def explain(
    target: Annotated[str, typer.Argument(help="A stage, chapter, run, artifact or page.", show_default=False)],
    preset: Preset = "quick",
    published: PublishedOption = False,
) -> None:
    """Say in one sentence why something would rerun, or why not.

    Example: `livingpaper explain train`, or `livingpaper explain artifacts/runs/quick-s1/training.json`
    """
    from livingpaper.command import run_explain

    raise typer.Exit(run_explain(preset, target, published))


@app.command()
def publish(
    target: Annotated[
        str, typer.Argument(help="A run, a collection, or a preset: its runs and its study.", show_default=False)
    ],
) -> None:
    """Keep the evidence of a run in results/, so that the paper can be printed where the run was not computed.

    Everything the run's pages show must be up to date. Example: `livingpaper publish reference-s1`, or
    `livingpaper publish quick`
    """
    from livingpaper.command import run_publish

    raise typer.Exit(run_publish(target))


@app.command()
def serve(port: Port = 8080) -> None:
    """Show the printed paper on this machine only.

    Example: `livingpaper serve --port 8080`
    """
    from livingpaper.project import find_project
    from livingpaper.serve import serve as serve_site

    serve_site(find_project().site, port)


@app.command()
def preview(
    preset: Preset = "quick",
    port: Port = 8080,
    jobs: Jobs = CORES,
    renderer: RendererOption = Renderer.AUTO,
    no_run: Annotated[bool, typer.Option("--no-run", help="Execute nothing: only print what was written.")] = False,
    run_stages: Annotated[bool, typer.Option("--run-stages", help="Run stale stages too, training included.")] = False,
    published: PublishedOption = False,
) -> None:
    """Show the paper while you write it: build again at every change, and reload the open page where you were.

    Runs stale chapters; what a stale stage leaves out of date is stamped. Example: `livingpaper preview`, or
    `livingpaper preview --preset smoke --run-stages`
    """
    from livingpaper.command import run_preview

    run_preview(preset, port, jobs, renderer.value, no_run, run_stages, published)


def main() -> None:
    """Run the command line; a known error is one line on stderr and exit code 2."""
    try:
        app()
    except PressError as error:
        print(f"livingpaper: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        print(f"livingpaper: {named}{error.strerror or error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
