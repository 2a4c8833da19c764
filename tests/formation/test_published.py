"""Evidence is read where it was computed, else where it was published; stages never work on a publication."""

import json
from pathlib import Path

import pytest

from formation import presets
from formation.artifacts import create_run, write_json
from formation.errors import ArtifactError
from formation.published import RECORD, SCHEMA, evidence_run, published_home

FILE = "runs/smoke-s1/analysis/x.json"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the real parameters and one published run."""
    for name in ("LIVINGPAPER_PUBLISHED", "FORMATION_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    source = presets.project_root(Path(__file__).parent)
    (tmp_path / "params").mkdir()
    for name in ("base.yml", "smoke.yml"):
        (tmp_path / "params" / name).write_bytes((source / "params" / name).read_bytes())
    home = tmp_path / "results" / "smoke-s1"
    params = presets.load("smoke", source).model_dump(mode="json")
    params["training"]["steps"] = 7
    write_json(home / RECORD, {"schema": SCHEMA, "params": params, "files": {FILE: {}}})
    write_json(home / FILE, {"schema": "x/1", "from": "published"})
    return tmp_path


def test_a_run_not_computed_here_is_read_as_published(project: Path) -> None:
    run = evidence_run("smoke-s1", project)
    assert run.json("analysis/x.json", "x/1")["from"] == "published"
    assert run.home == project / "results" / "smoke-s1"
    assert run.params.training.steps == 7, "a published run bears the parameters it was published with"


def test_a_run_computed_here_is_read_here_once_it_is_complete(project: Path) -> None:
    create_run("smoke-s1", project)
    assert published_home("smoke-s1", project) == project / "results" / "smoke-s1", "half a run is not evidence"
    write_json(project / "artifacts" / FILE, {"schema": "x/1", "from": "here"})
    run = evidence_run("smoke-s1", project)
    assert run.json("analysis/x.json", "x/1")["from"] == "here"
    assert run.home == project / "artifacts"


def test_the_press_may_decide(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(project / "artifacts" / FILE, {"schema": "x/1", "from": "here"})
    monkeypatch.setenv("LIVINGPAPER_PUBLISHED", "other-s1,smoke-s1")
    assert evidence_run("smoke-s1", project).json("analysis/x.json", "x/1")["from"] == "published"
    monkeypatch.setenv("LIVINGPAPER_PUBLISHED", "")
    assert published_home("smoke-s1", project) is None


def test_a_run_never_published_is_one_to_compute(project: Path) -> None:
    run = evidence_run("smoke-s2", project)
    assert run.folder == project / "artifacts" / "runs" / "smoke-s2"


def test_of_a_published_study_an_unpublished_run_has_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(project / "artifacts/runs/smoke-s2/analysis/x.json", {"schema": "x/1", "from": "here"})
    monkeypatch.setenv("LIVINGPAPER_PUBLISHED", "smoke-s1,smoke-s2")
    run = evidence_run("smoke-s2", project)
    assert run.home == project / "results" / "smoke-s2"
    assert not run.path("analysis/x.json").is_file(), "never mixed with what lies here"


def test_a_preset_may_be_gone(project: Path) -> None:
    (project / "params" / "smoke.yml").unlink()
    assert evidence_run("smoke-s1", project).params.training.steps == 7


def test_parameters_of_an_unknown_version_are_refused_in_one_line(project: Path) -> None:
    path = project / "results" / "smoke-s1" / RECORD
    data = json.loads(path.read_text())
    data["params"]["model"]["flavour"] = "vanilla"
    write_json(path, data)
    with pytest.raises(ArtifactError, match=r"publication.json: params: published by a version .* livingpaper publish"):
        evidence_run("smoke-s1", project)
