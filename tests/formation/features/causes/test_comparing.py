"""The stage that compares two checkpoints: on a formation that is known, and without a model."""

import subprocess
import sys
from pathlib import Path

import pytest

from formation.artifacts import Run
from formation.errors import ArtifactError
from formation.features import files
from formation.features.causes.comparing import PLOT_SCHEMA, feature_compare
from formation.features.snapshot_store import snapshot_path
from tests.formation.features.swept_planted import STAGE, UNREAD, WINDOW, copied

pytestmark = pytest.mark.usefixtures("own_artifacts")
VALUES = range(32)


def compared(run: Run) -> dict:
    (path,) = feature_compare(run)
    assert path.name == f"feature_compare_{WINDOW[0]}_vs_{WINDOW[1]}.json"
    return run.json(str(path.relative_to(run.folder)), files.COMPARE_SCHEMA)


def test_the_values_directions_become_useful_and_what_nobody_reads_does_not(rising: Run, tmp_path: Path) -> None:
    data = compared(copied(rising, tmp_path))
    rows = data["features"]
    assert [row["feature"] for row in rows] == list(range(len(VALUES) + UNREAD))
    gains = [row["usefulness"]["value"] for row in rows]
    assert sum(gain > 0 for gain in gains[: len(VALUES)]) > 0.8 * len(VALUES)
    # what nobody reads still has a share in the final LayerNorm's deviation
    assert max(map(abs, gains[len(VALUES) :])) < 0.05 * max(gains)
    assert set(data["rankings"]["usefulness"][-UNREAD:]) <= {*range(len(VALUES), len(VALUES) + UNREAD)}
    assert data["counts"]["gained"] + data["counts"]["changed"] > len(VALUES) / 2
    assert sum(data["counts"].values()) == len(rows)
    assert (data["ranked_on"], data["measured_on"]) == ("selection", "report")
    assert "window of retrieval" in data["rule"]


def test_the_figure_has_its_data_and_the_same_inputs_give_the_same_bytes(rising: Run, tmp_path: Path) -> None:
    run = copied(rising, tmp_path)
    (path,) = feature_compare(run)
    plot = path.parent / "plots" / "feature_compare.json"
    before = path.read_bytes(), plot.read_bytes()
    feature_compare(run)
    assert (path.read_bytes(), plot.read_bytes()) == before
    data = run.json(str(plot.relative_to(run.folder)), PLOT_SCHEMA)
    assert len(data["feature"]) + data["left_out"] == len(VALUES) + UNREAD


def test_a_missing_snapshot_names_the_sweep(rising: Run, tmp_path: Path) -> None:
    run = copied(rising, tmp_path)
    snapshot_path(run, STAGE, WINDOW[1]).unlink()
    with pytest.raises(ArtifactError, match="formation feature-trajectory-sweep --run smoke-s1"):
        feature_compare(run)


def test_nothing_of_it_needs_torch() -> None:
    code = "import sys; import formation.features.causes.comparing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
