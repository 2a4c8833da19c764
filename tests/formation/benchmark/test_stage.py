"""The stage of a run: dataset, reports, pointer; and its refusals."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from formation import artifacts
from formation.artifacts import Run, open_run
from formation.benchmark.stage import folder_of_run, generate_for_run, load_for_run, sanity_for_run
from formation.benchmark.streams import SplitName
from formation.cli import app
from formation.errors import ArtifactError, BenchmarkError, FormationError
from formation.presets import project_root

ROOT = project_root(Path(__file__).parent)
SMALL = ["benchmark.train_streams=20", "benchmark.evaluation_streams=6"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("FORMATION_ARTIFACTS", str(tmp_path))
    return open_run("smoke-s1", ROOT, SMALL)


def test_dataset_reports_and_pointer(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = generate_for_run(run, SMALL)
    assert folder == folder_of_run(run)
    assert {"benchmark.json", "sanity.json", "examples.txt"} <= {file.name for file in folder.iterdir()}
    pointer = json.loads((run.folder / "benchmark.json").read_text())
    assert pointer["schema"] == "benchmark-pointer/1"
    assert (artifacts.artifacts_folder(ROOT) / pointer["folder"]).samefile(folder)
    assert len(load_for_run(run).splits[SplitName.TRAIN].tokens) == 20
    assert sanity_for_run(run)["verdict"] == "passed"
    assert (run.folder / "params.json").is_file()
    assert capsys.readouterr().out.count("\n") == 1


def test_examples_mark_where_twins_differ(run: Run) -> None:
    text = (generate_for_run(run, SMALL) / "examples.txt").read_text()
    lines = {line.split()[0] + line.split()[1]: line for line in text.splitlines() if " twin" in line}
    assert lines["keytwin"].count("·") >= 3  # two keys and at least the target's answer
    assert lines["valuetwin"].count("·") >= 2
    assert "<pad>" not in text


def test_a_stale_report_is_renewed_and_the_dataset_kept(run: Run) -> None:
    folder = generate_for_run(run, SMALL)
    before = (folder / "train.safetensors").stat().st_mtime_ns
    report = (folder / "sanity.json").read_bytes()
    (folder / "sanity.json").write_text('{"schema": "sanity/1", "verdict": "of older code"}')
    generate_for_run(run, SMALL)
    assert (folder / "sanity.json").read_bytes() == report
    assert (folder / "train.safetensors").stat().st_mtime_ns == before


def test_impossible_parameters_write_nothing(run: Run, tmp_path: Path) -> None:
    changes = [*SMALL, "benchmark.iid.active_keys.high=9"]
    with pytest.raises(BenchmarkError, match=r"benchmark\.iid\.active_keys\.high = 9"):
        generate_for_run(open_run("smoke-s1", ROOT, changes), changes)
    assert list(tmp_path.iterdir()) == []


def test_a_shortcut_setting_writes_nothing(run: Run, tmp_path: Path) -> None:
    changes = [
        "benchmark.iid.active_keys={low: 4, high: 5}",
        "benchmark.iid.overwrites={low: 2, high: 2}",
        "benchmark.iid.reads={low: 4, high: 5}",
        "benchmark.iid.lags={low: 0, high: 5}",
    ]
    with pytest.raises(BenchmarkError, match="shortcut_limit"):
        generate_for_run(open_run("smoke-s1", ROOT, changes), changes)
    assert list(tmp_path.iterdir()) == []


def test_without_a_dataset_the_command_is_named(run: Run) -> None:
    with pytest.raises(ArtifactError, match="run: formation generate-benchmark --run smoke-s1"):
        load_for_run(run)


def test_a_dataset_of_other_parameters_is_refused_with_both_digests(run: Run) -> None:
    generate_for_run(run, SMALL)
    other = open_run("smoke-s2", ROOT, ["benchmark.seed=8"])
    (other.folder).mkdir(parents=True)
    (other.folder / "benchmark.json").write_bytes((run.folder / "benchmark.json").read_bytes())
    digest = json.loads((run.folder / "benchmark.json").read_text())["params_digest"]
    with pytest.raises(ArtifactError, match=rf"{digest[:12]}, but the run has [0-9a-f]{{12}}; run: formation gen"):
        load_for_run(other)


def test_a_pointer_cannot_lead_out_of_the_datasets(run: Run) -> None:
    generate_for_run(run, SMALL)
    pointer = json.loads((run.folder / "benchmark.json").read_text())
    for digest in ("../runs/smoke-s1", "/etc", ""):
        (run.folder / "benchmark.json").write_text(json.dumps({**pointer, "digest": digest}))
        with pytest.raises(FormationError, match="digest"):
            load_for_run(run)


def test_the_command_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVINGPAPER_PROJECT", str(ROOT))
    options = [word for item in SMALL for word in ("--set", item)]
    result = CliRunner().invoke(app, ["generate-benchmark", "--run", "smoke-s1", *options])
    assert result.exit_code == 0
    assert "smoke-s1: hardened benchmark" in result.output
    assert json.loads((run.folder / "params.json").read_text())["overrides"] == SMALL
    report = CliRunner().invoke(app, ["dataset-geometry-report", "--run", "smoke-s1"])
    assert report.exit_code == 0
    assert (run.analysis / "dataset_geometry.json").is_file()
