"""Studies of different size side by side: what each run says of itself, and every lack named."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from formation import artifacts, presets
from formation.errors import ArtifactError
from formation.figures import sizes as figures
from formation.record.curves import CURVES as CURVES_FILE
from formation.record.curves import SCHEMA as CURVES_SCHEMA
from formation.replication import sizes
from formation.replication.sizes import CURVES, MORE, compare_studies, load_sizes
from tests.formation.replication.screening import give_evidence, project

STEPS = [0, 2, 4, 6]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FORMATION_ARTIFACTS", raising=False)
    monkeypatch.delenv("LIVINGPAPER_PUBLISHED", raising=False)
    return project(tmp_path)


def give_run(root: Path, preset: str, births: list[float]) -> None:
    """Evidence, curves and the training's record of runs; a curve ends at its place among the curves, in tenths."""
    give_evidence(root, preset, births)
    for seed in range(1, len(births) + 1):
        run = artifacts.open_run(f"{preset}-s{seed}", root)
        path = run.path("analysis/claims_evidence.json")
        data = json.loads(path.read_text())
        entry = {"value": 0.25, "low": 0.2, "high": 0.3, "n": 10, "unit": "fraction", "what": "a share"}
        artifacts.write_json(path, data | dict.fromkeys(MORE, entry))
        curves = [
            {"split": split, "metric": metric, "value": [0.0, 0.1, 0.2, place / 10]}
            for place, (split, metric) in enumerate(CURVES.values())
        ]
        artifacts.write_json(run.path(CURVES_FILE), {"schema": CURVES_SCHEMA, "steps": STEPS, "curves": curves})
        artifacts.write_json(
            run.path("training.json"), {"schema": "training/1", "parameters": 1234, "dtype": "float32"}
        )


def compare(root: Path, *names: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(compare_studies(names, root).read_text())
    return data


def test_every_run_stands_with_its_births_ends_and_curves(root: Path) -> None:
    give_run(root, "smoke", [20, float("inf")])
    give_run(root, "colour-red", [40])
    data = compare(root, "smoke", "colour-red")
    smoke, red = data["studies"]
    assert [run["run"] for run in smoke["runs"]] == [f"smoke-s{seed}" for seed in presets.load("smoke", root).seeds][:2]
    assert smoke["runs"][0]["entries"]["retrieval_birth_step"]["value"] == 20
    assert red["runs"][0]["entries"]["retrieval_birth_step"]["value"] == 40
    assert red["heads"] == 1 != smoke["heads"]
    ends = {name: curve[-1] for name, curve in red["runs"][0]["curves"].items()}
    assert ends == {name: place / 10 for place, name in enumerate(CURVES)}
    assert load_sizes(root) == data


def test_what_lacks_is_named_with_its_reason(root: Path) -> None:
    give_run(root, "smoke", [20])
    data = compare(root, "smoke", "colour-red")
    missing = data["studies"][1]["missing"]
    assert missing
    assert all("colour-red-s" in one["run"] and one["reason"] for one in missing)
    assert not any(str(root) in one["reason"] for one in missing)
    with pytest.raises(ArtifactError, match="no evidence of colour-red-s1"):
        compare(root, "colour-red")


def test_a_run_of_other_parameters_than_the_preset_has_is_not_shown(root: Path) -> None:
    give_run(root, "smoke", [20])
    base = root / "params" / "smoke.yml"
    base.write_text(base.read_text().replace("warmup: 10", "warmup: 3"))
    with pytest.raises(ArtifactError, match="no evidence of smoke-s1"):
        compare(root, "smoke")


def test_figure_and_table_show_every_run_and_the_source_study(root: Path) -> None:
    give_run(root, "smoke", [20, 24])
    data = compare(root, "smoke", "colour-red")
    source = yaml.safe_load(Path(sizes.__file__).with_name("source_study.yml").read_text())
    for panel, name in zip(figures.accuracy(data).panels, figures.PANELS, strict=True):
        assert [line.x for line in panel.series] == [[2.0, 4.0, 6.0]] * 2  # a logarithmic axis has no step 0
        assert panel.levels[0].y == source["accuracy"][name]
    rows = figures.rows(data)
    assert [row["run"] for row in rows][:2] == ["smoke-s1", "smoke-s2"]
    assert rows[2]["retrieval"] == "not measured yet"
    assert (rows[-1]["run"], rows[-1]["heldout_final"]) == ("source study", source["accuracy"]["heldout"])


def test_without_a_comparison_the_page_says_how_to_make_one() -> None:
    assert "formation compare-studies" in figures.beside_source(None)
    assert "formation compare-studies" in figures.rows(None)[0]["run"]
    assert len(figures.draw_sizes(None).texts) == 1
