"""Which checkpoints are compared: the rule by default, what is asked for, and what is refused."""

from pathlib import Path

import pytest

from formation.artifacts import Run
from formation.errors import ArtifactError, MeasureError
from formation.features.moments import chosen_pair, schedule
from formation.record.reports import FILE as ANALYSIS
from formation.training import checkpoints
from tests.formation.features.swept_planted import BIRTH, LAST, WINDOW, copied, write_windows

pytestmark = pytest.mark.usefixtures("own_artifacts")


def test_the_schedule_is_that_of_the_training(rising: Run) -> None:
    assert schedule(rising) == checkpoints.schedule(rising)


def test_by_default_it_is_the_window_of_retrieval(rising: Run) -> None:
    pair = chosen_pair(rising, schedule(rising))
    assert (pair.source, pair.target) == WINDOW
    assert f"born at step {BIRTH}" in pair.rule


@pytest.mark.parametrize(
    ("outcome", "windows", "why"),
    [("not_born", (WINDOW,), "is not born"), ("born", ((0, 20), (90, 120)), "in no window")],
)
def test_without_such_a_window_it_is_the_whole_training(
    rising: Run, tmp_path: Path, outcome: str, windows: tuple[tuple[int, int], ...], why: str
) -> None:
    run = copied(rising, tmp_path)
    write_windows(run, outcome, windows)
    pair = chosen_pair(run, schedule(run))
    assert (pair.source, pair.target) == (0, LAST)
    assert why in pair.rule


def test_what_is_asked_for_comes_first(rising: Run) -> None:
    assert chosen_pair(rising, schedule(rising), 10, 30).rule == "the checkpoints asked for"
    half = chosen_pair(rising, schedule(rising), source=0)
    assert (half.source, half.target) == (0, WINDOW[1])
    assert half.rule.endswith("but for the one asked for")


def test_a_step_without_a_checkpoint_is_refused_naming_those_near(rising: Run) -> None:
    with pytest.raises(MeasureError, match=r"smoke-s1: --source 45: no checkpoint; .* near it: 30, 40, 50, 60$"):
        chosen_pair(rising, schedule(rising), 45, 80)
    with pytest.raises(MeasureError, match=r"--target 999: .* near it: 110, 120$"):
        chosen_pair(rising, schedule(rising), 40, 999)


def test_a_pair_in_the_wrong_order_is_refused(rising: Run) -> None:
    with pytest.raises(MeasureError, match="--source 80 and --target 40: expected the source before the target"):
        chosen_pair(rising, schedule(rising), 80, 40)


def test_without_an_analysis_the_command_that_makes_it_is_named(rising: Run, tmp_path: Path) -> None:
    run = copied(rising, tmp_path)
    run.path(ANALYSIS).unlink()
    with pytest.raises(ArtifactError, match="formation birth-window-analyze --run smoke-s1"):
        chosen_pair(run, schedule(run))
    assert chosen_pair(run, schedule(run), 0, 40).source == 0
