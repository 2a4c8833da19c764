"""The commands parse what they are given, call their stage, and refuse in one line with exit code 2."""

import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from formation.artifacts import Run
from formation.cli import app, main
from formation.features import files
from formation.features.commands import add_commands
from tests.formation.features.swept_planted import LAST, STAGE, copied

pytestmark = pytest.mark.usefixtures("own_artifacts")


@pytest.fixture
def run(rising: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the planted run, whose project the commands find."""
    found = copied(rising, tmp_path)
    monkeypatch.setenv("LIVINGPAPER_PROJECT", str(found.root))
    return found


@pytest.mark.parametrize(
    ("words", "written"),
    [
        (["feature-compare", "--source", "0", "--target", "40"], files.compared(0, 40)),
        (
            ["feature-patch", "--source", "0", "--target", "40", "--feature", "3", "--feature", "5"],
            files.patched(0, 40),
        ),
        (["feature-lineage", "--step", "0", "--stage", "last_post_mlp"], files.lineage(0)),
    ],
)
def test_a_command_writes_the_file_of_what_it_was_asked_for(run: Run, words: list[str], written: str) -> None:
    outcome = CliRunner().invoke(app, [words[0], "--run", run.name, *words[1:]])
    assert outcome.exit_code == 0, outcome.output
    assert outcome.output.startswith(f"smoke-s1: {STAGE}: step ")
    assert run.path(files.place(STAGE, written)).is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["feature-compare", "--source", "45"],
            "--source 45: no checkpoint; expected a step that has one",
        ),
        (["feature-patch", "--target", str(LAST + 1)], f"--target {LAST + 1}: no checkpoint"),
        (
            ["feature-lineage", "--step", "7"],
            "--step 7: no checkpoint; expected a step that has one",
        ),
        (["feature-alternatives", "--stage", "layer_9_post_mlp"], "stage = 'layer_9_post_mlp': no residual stage"),
        (
            ["feature-compare", "--stage", "final_norm"],
            "shared-feature-fit --run smoke-s1 --stage final_norm",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    run: Run, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["formation", words[0], "--run", run.name, *words[1:]])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    told = capsys.readouterr().err.strip()
    assert said in told
    assert "\n" not in told


def test_every_command_says_how_it_is_called() -> None:
    other = typer.Typer()
    add_commands(other)
    for command in other.registered_commands:
        assert command.callback is not None
        assert f"Example: `formation {command.name}" in (command.callback.__doc__ or "")
