"""The sweep of components: every checkpoint once, in the same bytes whatever stopped it, never mixed with another's."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from formation import artifacts
from formation.artifacts import Run, open_run
from formation.components import sweep
from formation.components.files import FOLDER, METRICS
from formation.components.rows import SCHEMA, ComponentRow, as_json, from_json
from formation.components.store import components_path, load_rows, load_sums
from formation.components.sweep import component_sweep
from formation.errors import ArtifactError, FormationError, TrainingError
from formation.record.lines import Source
from formation.record.probe_set import generate_probe_set, load_probe_set
from formation.record.sources import source_of
from formation.record.windows import analyze_birth_windows
from formation.training import checkpoints
from tests.formation.projects import STEPS, copied, kill_after

pytestmark = pytest.mark.usefixtures("own_artifacts")


class Stop(Exception):
    """Raised in place of a measurement."""


@pytest.fixture
def measured(measured_project: Path, tmp_path: Path) -> Run:
    """A copy of the measured run, to be damaged at will."""
    return copied(measured_project, tmp_path / "project")


def source(run: Run) -> Source:
    return source_of(run, load_probe_set(run))


def lines(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.path(METRICS).read_text().splitlines()]


def recorded(run: Run) -> dict[str, tuple[bytes, int]]:
    """Every finished file of a sweep with the time it was written."""
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in sorted(run.path(FOLDER).glob("step_*"))}


def stopped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep that stops where it would measure something."""

    def stop(*_: object) -> None:
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "_measure", stop)
        with pytest.raises(Stop):
            component_sweep(run)


# --- rows ------------------------------------------------------------------------------------------------------------


def test_every_checkpoint_has_a_row_that_keeps_the_schema(measured: Run) -> None:
    assert [line["step"] for line in lines(measured)] == STEPS
    for line in lines(measured):
        assert line["schema"] == SCHEMA
        assert as_json(from_json(line)) == line
        row = from_json(line)
        assert row.checkpoint == artifacts.file_digest(checkpoints.path(measured, row.step))
        assert row.source == source(measured)
    beside = lines(measured)[3]["beside"]
    digests = {step: artifacts.file_digest(checkpoints.path(measured, step)) for step in STEPS}
    assert beside == {"previous": digests[8], "before_previous": digests[4], "final": digests[28]}
    assert lines(measured)[0]["beside"] == {"final": digests[28]}


def test_a_row_says_the_same_as_the_sums_behind_it(measured: Run) -> None:
    for row in load_rows(measured, source(measured))[::3]:
        for split, sums in load_sums(measured, row).items():
            for (component, metric), place in sums.index.items():
                total = sums.counts[place].sum()
                value = row.metrics[split][component][metric]
                assert (value is None) == (total == 0)
                assert value is None or value == pytest.approx(sums.sums[place].sum() / total, abs=2e-5, rel=1e-4)


@pytest.mark.parametrize("place", [(), ("source",), ("spectra", "embed/query_key")])
def test_a_key_too_many_is_refused_in_one_line(measured: Run, place: tuple[str, ...]) -> None:
    rows = lines(measured)
    inside = rows[2]
    for key in place:
        inside = inside[key]
    inside["surplus"] = 1
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        from_json(rows[2])
    artifacts.write_jsonl(measured.path(METRICS), rows)
    field = r"\.".join((*place, "surplus"))
    with pytest.raises(
        ArtifactError, match=rf"metrics.jsonl: step 8: {field}: Extra inputs .*; run: formation component-"
    ):
        load_rows(measured, source(measured))


# --- resuming --------------------------------------------------------------------------------------------------------


def test_a_second_sweep_measures_nothing_and_touches_no_file(measured: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before, table = recorded(measured), measured.path(METRICS).read_bytes()
    monkeypatch.setattr(sweep, "_measure", lambda *_: pytest.fail("a finished checkpoint was measured again"))
    component_sweep(measured)
    assert recorded(measured) == before
    assert measured.path(METRICS).read_bytes() == table


def test_only_what_is_missing_damaged_or_foreign_is_measured_again_in_the_same_bytes(
    measured: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, table = recorded(measured), measured.path(METRICS).read_bytes()
    components_path(measured, 4).unlink()
    half = components_path(measured, 12)
    half.write_bytes(half.read_bytes()[:-7])
    flipped = bytearray(components_path(measured, 20).read_bytes())
    flipped[-100] ^= 4
    components_path(measured, 20).write_bytes(flipped)
    shutil.copy(components_path(measured, 16), components_path(measured, 24))
    measured.path(METRICS).unlink()
    again, measure = [], sweep._measure
    monkeypatch.setattr(
        sweep, "_measure", lambda run, models, step, *rest: again.append(step) or measure(run, models, step, *rest)
    )
    component_sweep(measured)
    assert again == [4, 12, 20, 24]
    after = recorded(measured)
    assert {name: data for name, (data, _) in after.items()} == {name: data for name, (data, _) in before.items()}
    for step in (0, 8, 16, 28):
        name = components_path(measured, step).name
        assert after[name] == before[name]
    assert measured.path(METRICS).read_bytes() == table
    said = capsys.readouterr().out
    assert "from step 12 on are measured again: " in said
    assert "step_000020.safetensors: damaged" in said
    assert "from step 24 on are measured again: " in said


def test_a_killed_sweep_goes_on_to_the_same_bytes_and_keeps_what_was_finished(measured: Run) -> None:
    before, table = recorded(measured), measured.path(METRICS).read_bytes()
    for step in STEPS[2:]:
        components_path(measured, step).unlink()
    measured.path(METRICS).unlink()
    kill_after(measured, component_sweep, FOLDER, 3)
    assert not measured.path(METRICS).exists()
    kept = recorded(measured)
    assert 3 <= len(kept) < len(STEPS)
    component_sweep(measured)
    after = recorded(measured)
    assert {name: after[name] for name in kept} == kept
    assert {name: data for name, (data, _) in after.items()} == {name: data for name, (data, _) in before.items()}
    assert measured.path(METRICS).read_bytes() == table


# --- other sides -----------------------------------------------------------------------------------------------------


def test_another_probe_set_is_measured_anew_and_said_so(
    measured: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = load_probe_set(measured).digest
    overrides = measured.json("params.json", "params/1")["overrides"]
    other = open_run("smoke-s1", measured.root, [*overrides, "record.probe_seed=8"])
    with pytest.raises(ArtifactError, match=r"probe_seed is 7, but the run has 8; run: formation generate-probe-set"):
        component_sweep(other)
    generate_probe_set(other)
    new = load_probe_set(other).digest
    for reader in (lambda: load_rows(other, source(other)), lambda: analyze_birth_windows(other)):
        with pytest.raises(ArtifactError, match=f"probe_set is {old[:12]}, but the run has {new[:12]}; run: formation"):
            reader()
    stopped(other, monkeypatch)
    said = capsys.readouterr().out
    assert f"8 checkpoint(s) from step 0 on are measured again: probe_set was {old[:12]}, now {new[:12]}" in said


def test_a_probe_set_of_another_benchmark_is_refused(measured: Run) -> None:
    path = measured.path("analysis/probe_set.json")
    data = json.loads(path.read_text())
    artifacts.write_json(path, data | {"benchmark": "0123456789abcdef"})
    with pytest.raises(
        ArtifactError, match=r"probe_set.json: benchmark is 0123456789ab, but the run has [0-9a-f]{12}; run"
    ):
        component_sweep(measured)


def test_another_architecture_is_refused(measured: Run) -> None:
    with pytest.raises(
        FormationError, match=r"run smoke-s1 was made with parameters [0-9a-f]{12}, now they are [0-9a-f]{12}"
    ):
        open_run("smoke-s1", measured.root, ["model.layers=3"])
    path = checkpoints.path(measured, 8)
    arrays, about = artifacts.read_arrays(path, checkpoints.SCHEMA)
    about["architecture"] = about["architecture"] | {"layers": 3}
    artifacts.write_arrays(path, arrays, about)
    with pytest.raises(TrainingError, match=r"step_000008\.safetensors: not a checkpoint of .*layers 3, expected 2"):
        component_sweep(measured)


def test_a_missing_step_is_refused(measured: Run) -> None:
    before = recorded(measured)
    checkpoints.path(measured, 28).unlink()
    with pytest.raises(ArtifactError, match=r"training is at step 24 of 28, .*run: formation train --run smoke-s1"):
        component_sweep(measured)
    assert recorded(measured) == before


def test_a_changed_checkpoint_is_measured_again_and_so_are_those_compared_with_it(
    measured: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkpoints.path(measured, 8)
    arrays, about = artifacts.read_arrays(path, checkpoints.SCHEMA)
    arrays["model.norm.bias"] = arrays["model.norm.bias"] + 0.5
    artifacts.write_arrays(path, arrays, about)
    stopped(measured, monkeypatch)
    said = capsys.readouterr().out
    assert "1 checkpoint(s) from step 8 on are measured again: the checkpoint's file has changed since" in said
    assert "2 checkpoint(s) from step 12 on are measured again: a checkpoint they are compared with has changed" in said


def test_rows_and_sums_of_another_run_or_sweep_are_refused(measured: Run) -> None:
    rows, sides = load_rows(measured, source(measured)), source(measured)
    artifacts.write_jsonl(measured.path(METRICS), [line | {"run": "smoke-s2"} for line in lines(measured)])
    with pytest.raises(ArtifactError, match=r"run is 'smoke-s2', expected 'smoke-s1'; run: formation component-sweep"):
        load_rows(measured, sides)
    artifacts.write_jsonl(measured.path(METRICS), [line | {"schema": "other/1"} for line in lines(measured)])
    with pytest.raises(ArtifactError, match=r"schema is 'other/1', expected 'component-metrics/2'"):
        load_rows(measured, sides)
    measured.path(METRICS).write_bytes(b'{"schema": "component-me')
    with pytest.raises(ArtifactError, match=r"line 1 is not valid JSON; .*run: formation component-sweep"):
        load_rows(measured, sides)
    shutil.copy(components_path(measured, 4), components_path(measured, 8))
    with pytest.raises(ArtifactError, match=r"step_000008\.safetensors: is of another sweep than analysis/component_"):
        load_sums(measured, rows[2])
    measured.path(METRICS).unlink()
    assert load_rows(measured, sides) == []


def test_documentation_names_every_field_of_a_row() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "artifacts.md").read_text()
    assert {name for name in ComponentRow.model_fields if f"`{name}" not in text and f".{name}" not in text} == set()
