"""The stage that exchanges features: a planted formation is carried by its values, and what must be nothing is."""

from pathlib import Path

import pytest

from formation.artifacts import Run
from formation.errors import MeasureError
from formation.features import files
from formation.features.causes.patching import PLOT_SCHEMA, TOP, feature_patch, sets_of
from tests.formation.features.swept_planted import LAST, STAGE, UNREAD, copied

pytestmark = pytest.mark.usefixtures("own_artifacts")
VALUES = list(range(32))
NOISE = list(range(32, 32 + UNREAD))


def patched(run: Run, features: list[int] | None = None) -> dict:
    """The patches of the whole training, whose ends differ most."""
    (path,) = feature_patch(run, [STAGE], 0, LAST, features)
    return run.json(str(path.relative_to(run.folder)), files.PATCH_SCHEMA)


def together(data: dict, split: str, direction: str, mode: str) -> dict:
    """All chosen features at once."""
    one = next(e for e in data["exchanges"] if (e["split"], e["direction"]) == (split, direction))
    return [row for row in one["patches"] if row["mode"] == mode][-1]


def test_the_values_carry_the_formation_and_nothing_else_does(rising: Run, tmp_path: Path) -> None:
    """Nearly all of it: what of a direction is below a feature's bias is no activation, and stays."""
    data = patched(copied(rising, tmp_path), VALUES)
    for split in ("test_iid", "heldout_pairs"):
        for direction in ("into_source", "out_of_target"):
            assert together(data, split, direction, "swap")["log_prob_carried"]["value"] > 0.8
            assert abs(together(data, split, direction, "keep")["log_prob_carried"]["value"]) < 0.1


def test_what_nobody_reads_carries_nothing(rising: Run, tmp_path: Path) -> None:
    data = patched(copied(rising, tmp_path), NOISE)
    swapped = together(data, "test_iid", "into_source", "swap")
    assert swapped["features"] == NOISE
    assert swapped["margin_gain"]["value"] == pytest.approx(0, abs=0.02)


def test_beside_every_patch_stands_what_must_be_nothing(rising: Run, tmp_path: Path) -> None:
    data = patched(copied(rising, tmp_path), [0, 1])
    assert len(data["exchanges"]) == 4
    for exchange in data["exchanges"]:
        assert exchange["no_op_error"] == 0
        assert exchange["identity_error"] < 1e-4
        assert min(exchange["donor_error"], exchange["receiver_error"]) > 0
        assert exchange["all_features"]["log_prob_carried"]["value"] > 0.8
        assert len(exchange["patches"]) == 2 * 3


def test_by_default_the_features_are_those_that_came_to_be_useful(rising: Run, tmp_path: Path) -> None:
    run = copied(rising, tmp_path)
    data = patched(run)
    assert len(data["features"]) == TOP
    assert set(data["features"]) <= set(VALUES)
    assert data["chosen_on"] == "selection"
    swapped = together(data, "test_iid", "into_source", "swap")
    assert swapped["margin_gain"]["low"] > 0
    plot = run.json(files.place(STAGE, "plots/feature_patch.json"), PLOT_SCHEMA)
    assert len(plot["bars"]) == 4 * 2 * (TOP + 1)


def test_a_feature_the_basis_does_not_have_is_refused(rising: Run) -> None:
    with pytest.raises(MeasureError, match="--feature 99: expected one of 0 to 35, those of the basis of"):
        feature_patch(rising, [STAGE], 0, LAST, [99])


def test_sets_are_each_feature_and_all_of_them() -> None:
    assert sets_of([3, 5]) == [(3,), (5,), (3, 5)]
    assert sets_of([3]) == [(3,)]
    assert sets_of([]) == [()]
