"""Factor screens: known answers from evidence written by hand, and every lack named."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from formation import presets
from formation.errors import ArtifactError, ParamsError
from formation.replication.factors import compare_all, compare_factor, compared, load_screen, values_of
from formation.replication.levels import factor_names, load_factor
from tests.formation.replication.screening import ROOT, give_evidence, project

NEVER = math.inf


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FORMATION_ARTIFACTS", raising=False)
    monkeypatch.delenv("LIVINGPAPER_PUBLISHED", raising=False)
    return project(tmp_path)


def screen(root: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(compare_factor("colour", root).read_text())
    return data


def level(data: dict[str, Any], preset: str) -> dict[str, Any]:
    return next(entry for entry in data["levels"] if entry["preset"] == preset)


def test_a_later_level_is_found_later(root: Path) -> None:
    give_evidence(root, "smoke", [20, 24, 28])
    give_evidence(root, "colour-red", [40, NEVER, 44])
    data = screen(root)
    red = level(data, "colour-red")["compared"]["retrieval_birth_step"]
    assert red == {
        "n": 3, "undated": 1, "median": 44, "difference": 20, "p": 0.1, "smallest_p": 0.1, "later": 1.0
    }  # fmt: skip
    baseline = level(data, "smoke")["compared"]["retrieval_birth_step"]
    assert (baseline["median"], baseline["difference"], baseline["p"]) == (24, None, None)
    runs = level(data, "colour-red")["runs"]
    assert [run["entries"]["retrieval_birth_step"]["value"] for run in runs] == [40, None, 44]
    assert runs[1]["entries"]["retrieval_birth_step"]["reason"] == "not born by step 60"
    assert (runs[0]["entries"]["retrieval_birth_step"]["low"], data["last_step"]) == (38, 60)


def test_equal_levels_are_not_told_apart(root: Path) -> None:
    give_evidence(root, "smoke", [20, 24, 28])
    give_evidence(root, "colour-red", [28, 24, 20])
    found = level(screen(root), "colour-red")["compared"]
    assert (found["iid_birth_step"]["p"], found["iid_birth_step"]["later"]) == (1.0, 0.5)
    assert found["iid_accuracy_final"]["difference"] == 0
    assert found["iid_accuracy_final"]["median"] == pytest.approx(0.88)


def test_what_differs_and_what_it_was_made_from_is_said(root: Path) -> None:
    give_evidence(root, "smoke", [20, 24, 28])
    give_evidence(root, "colour-red", [28, 24, 20])
    data = screen(root)
    red = level(data, "colour-red")
    assert red["changes"] == [{"parameter": "model.heads", "baseline": 2, "level": 1}]
    assert red["level"] == "red one"
    assert red["runs"][0]["params"] == presets.load("colour-red", root).identity(1)
    assert len(red["runs"][0]["evidence_sha256"]) == 64
    assert data["measures"]["retrieval_birth_step"]["unit"] == "steps"
    assert len(json.dumps(data)) < 100_000


def test_missing_runs_are_listed_with_the_reason_and_no_path_of_this_machine(root: Path) -> None:
    give_evidence(root, "smoke", [20, 24, 28])
    give_evidence(root, "colour-red", [28])
    data = screen(root)
    assert [entry["run"] for entry in level(data, "colour-blue")["missing"]] == [f"colour-blue-s{n}" for n in (1, 2, 3)]
    lacking = level(data, "colour-red")["missing"][0]
    assert lacking["reason"].startswith("artifacts/runs/colour-red-s2/analysis/claims_evidence.json: not found")
    assert lacking["command"] == "formation screen --factor colour"
    assert str(root) not in json.dumps(data)
    one = level(data, "colour-red")["compared"]["retrieval_birth_step"]
    assert (one["n"], one["median"], one["difference"], one["p"]) == (1, 28, 4, None)
    none = level(data, "colour-blue")["compared"]["retrieval_birth_step"]
    assert (none["n"], none["median"], none["p"]) == (0, None, None)


def test_evidence_of_other_parameters_counts_as_missing(root: Path) -> None:
    give_evidence(root, "smoke", [20, 24, 28])
    give_evidence(root, "colour-red", [28, 24, 20])
    file = root / "artifacts/runs/colour-red-s1/analysis/claims_evidence.json"
    file.write_text(file.read_text().replace(presets.load("colour-red", root).identity(1), "0" * 64))
    assert "params is 000000000000" in level(screen(root), "colour-red")["missing"][0]["reason"]


def test_evidence_computed_here_goes_before_what_was_published(root: Path) -> None:
    give_evidence(root, "smoke", [20, 24, 28])
    give_evidence(root, "colour-red", [28, 24, 20])
    record = root / "results/smoke-s1/publication.json"
    record.parent.mkdir(parents=True)
    about = {"params": {}, "files": {"runs/smoke-s1/analysis/dataset_geometry.json": {}}}
    record.write_text(json.dumps({"schema": "publication/1", **about}))
    assert level(screen(root), "smoke")["missing"] == []
    (root / "artifacts/runs/smoke-s1/analysis/claims_evidence.json").unlink()
    assert level(screen(root), "smoke")["missing"][0]["reason"].startswith("results/smoke-s1/runs/smoke-s1/analysis/")


def test_nothing_to_compare_is_an_error_that_says_what_to_run(root: Path) -> None:
    give_evidence(root, "smoke", [20, 24, 28])
    with pytest.raises(ArtifactError, match=r"colour-red-s1.*run: formation screen --factor colour"):
        compare_factor("colour", root)
    assert compare_all(root) == []


def test_trainings_of_different_length_are_not_ranked(root: Path) -> None:
    give_evidence(root, "smoke", [20, 24, 28])
    give_evidence(root, "colour-red", [28, 24, 20], last_step=80)
    with pytest.raises(ArtifactError, match="colour-red-s1 ends at step 80, smoke-s1 at 60"):
        compare_factor("colour", root)


def test_the_same_evidence_gives_the_same_bytes(root: Path) -> None:
    give_evidence(root, "smoke", [20, 24, 28])
    give_evidence(root, "colour-blue", [28, NEVER, 20])
    assert compare_factor("colour", root).read_bytes() == compare_factor("colour", root).read_bytes()


def test_a_median_among_undated_runs_is_no_number() -> None:
    found = compared([100, NEVER, NEVER], [100, 200, 300])
    assert (found["undated"], found["median"], found["difference"]) == (2, None, None)
    assert found["p"] > 0


def test_only_what_was_measured_counts() -> None:
    def entry(value: int | None, n: int) -> dict[str, Any]:
        return {"value": value, "n": n}

    assert values_of([entry(7, 9), entry(None, 9), entry(None, 0)]) == [7, NEVER]


def test_factors_of_this_project() -> None:
    assert {"initialisation", "reads", "learning-rate"} <= set(factor_names(ROOT))
    factor = load_factor("reads", ROOT)
    assert [level.preset for level in factor.all] == ["quick", "reads-fewer", "reads-more"]
    assert factor.levels[0].changes == (("benchmark.iid.reads.low", 9, 6), ("benchmark.iid.reads.high", 10, 7))


def test_an_unknown_factor_is_answered_with_those_there_are(root: Path) -> None:
    with pytest.raises(ParamsError, match="factor 'color': no preset varies it; there are: colour"):
        load_factor("color", root)


def test_levels_of_a_factor_vary_one_preset(root: Path) -> None:
    (root / "params/factors/colour-green.yml").write_text("factor: {name: colour, level: green}\n")
    with pytest.raises(ParamsError, match=r"'colour-green': over = None: expected the levels .*such as over: smoke"):
        load_factor("colour", root)


def test_a_screen_is_read_here_or_as_published(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_screen("colour", root) is None
    give_evidence(root, "smoke", [20, 24, 28])
    give_evidence(root, "colour-red", [28, 24, 20])
    path = compare_factor("colour", root)
    found = load_screen("colour", root)
    assert found is not None
    assert found["factor"] == "colour"
    published = root / "results/factors/studies/factors/colour.json"
    published.parent.mkdir(parents=True)
    published.write_text(path.read_text().replace('"smoke"', '"published"'))
    monkeypatch.setenv("LIVINGPAPER_PUBLISHED", "factors")
    found = load_screen("colour", root)
    assert found is not None
    assert found["baseline"] == "published"
