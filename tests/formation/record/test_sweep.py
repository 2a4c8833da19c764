"""The sweep: every checkpoint once, in the same bytes whatever stopped it, and never mixed with another's."""

import json
import os
import shutil
from pathlib import Path

import pytest

from formation import artifacts
from formation.artifacts import Run, open_run
from formation.errors import ArtifactError, TrainingError
from formation.lock import only_one
from formation.record import sweep
from formation.record.probe_set import generate_probe_set, load_probe_set
from formation.record.reads import FOLDER, METRICS, load_outcomes, load_rows, reads_path
from formation.record.reads import SCHEMA as READS_SCHEMA
from formation.record.rows import SCHEMA, Row, as_json, from_json
from formation.record.sources import source_of
from formation.record.summary import SUMMARY
from formation.record.sweep import checkpoint_sweep
from formation.training import checkpoints
from tests.formation.projects import STEPS, kill_after


def recorded(run: Run) -> dict[str, bytes]:
    """Everything a sweep writes, by path."""
    files = [run.path(METRICS), run.path(SUMMARY), *sorted(run.path("analysis/reads").iterdir())]
    return {file.relative_to(run.folder).as_posix(): file.read_bytes() for file in files}


def test_every_checkpoint_has_a_row_that_keeps_the_schema(swept: Run) -> None:
    lines = [json.loads(line) for line in run_lines(swept)]
    assert [line["step"] for line in lines] == STEPS
    for line in lines:
        assert line["schema"] == SCHEMA
        assert as_json(from_json(line)) == line
        row = from_json(line)
        assert row.checkpoint == artifacts.file_digest(checkpoints.path(swept, row.step))
        assert row.source == source_of(swept, load_probe_set(swept))
        assert {split.tokens.n for split in row.splits.values()}
        assert len(row.splits) == 4
        assert len(row.twins) == 5
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        Row.model_validate({**lines[0], "surplus": 1})


def run_lines(run: Run) -> list[str]:
    return run.path(METRICS).read_text().splitlines()


def test_documentation_names_every_field_of_a_row(swept: Run) -> None:
    """`docs/artifacts.md` is where a reader looks a field up."""
    text = (Path(__file__).resolve().parents[3] / "docs" / "artifacts.md").read_text()
    line = json.loads(run_lines(swept)[0])
    split, twin = line["splits"]["test_iid"], line["twins"]["test_iid"]["key"]
    fields = {*line, *split, *split["tokens"], *split["reads"], *split["reads"]["by"], *twin}
    fields |= {"agreement", "defined", "when_wrong", *line["source"]}
    fields -= {"schema", "splits"}  # in the headings, and in every path
    assert {field for field in fields if f"`{field}`" not in text and f".{field}" not in text} == set()


def test_the_loss_falls_and_agrees_with_training(swept: Run) -> None:
    rows = load_rows(swept, source_of(swept, load_probe_set(swept)))
    losses = [row.splits["validation_iid"].tokens.loss for row in rows]
    assert losses[-1] < losses[0] - 0.5
    curve = artifacts.read_jsonl(swept.path("learning_curve.jsonl"), "learning-curve/1")
    late = [row["loss"] for row in curve if row["step"] >= 20]
    assert losses[-1] == pytest.approx(sum(late) / len(late), abs=0.25)


def test_a_second_sweep_measures_nothing_and_changes_nothing(swept: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = recorded(swept)
    monkeypatch.setattr(sweep, "measure", lambda *_: pytest.fail("a finished checkpoint was measured again"))
    checkpoint_sweep(swept)
    assert recorded(swept) == before


def test_only_what_is_missing_or_damaged_is_measured_again_in_the_same_bytes(
    swept: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = recorded(swept)
    reads_path(swept, 4).unlink()
    reads_path(swept, 12).write_bytes(reads_path(swept, 12).read_bytes()[:-7])
    flipped = bytearray(reads_path(swept, 20).read_bytes())
    flipped[-100] ^= 4
    reads_path(swept, 20).write_bytes(flipped)
    swept.path(METRICS).unlink()
    measured = []
    loading = checkpoints.load_model
    monkeypatch.setattr(checkpoints, "load_model", lambda run, step: measured.append(step) or loading(run, step))
    checkpoint_sweep(swept)
    assert measured == [4, 12, 20]
    assert recorded(swept) == before
    said = capsys.readouterr().out
    assert "step_000012.safetensors" in said
    assert "step_000020.safetensors: damaged" in said


def test_a_killed_sweep_goes_on_to_the_same_bytes(swept: Run) -> None:
    """Killed three times with no chance to clean up, each time somewhere else."""
    before = recorded(swept)
    shutil.rmtree(swept.path("analysis/reads"))
    for name in (METRICS, SUMMARY):
        swept.path(name).unlink()
    for wanted in (1, 3, 6):
        kill_after(swept, checkpoint_sweep, FOLDER, wanted)
        assert not swept.path(METRICS).exists()
        assert len(list(swept.path("analysis/reads").glob("step_*"))) >= wanted
    checkpoint_sweep(swept)
    assert recorded(swept) == before


def test_what_a_killed_sweep_left_half_written_is_deleted(swept: Run) -> None:
    half = swept.path("analysis/reads/.step_000004.safetensors.a1b2.part")
    half.write_bytes(b"half")
    checkpoint_sweep(swept)
    assert not half.exists()


def test_two_sweeps_of_a_run_refuse_each_other(swept: Run) -> None:
    """The second names the process that holds the run; what the first is writing is left alone."""
    half = swept.path("analysis/reads/.step_000004.safetensors.a1b2.part")
    with only_one(swept, sweep.LOCK, "measured", ArtifactError):
        half.write_bytes(b"half")
        with pytest.raises(ArtifactError, match=f"is being measured by process {os.getpid()}; wait for it to end"):
            checkpoint_sweep(swept)
        assert half.exists()
    checkpoint_sweep(swept)
    assert not half.exists()


def test_another_probe_set_is_measured_anew_and_said_so(swept: Run, capsys: pytest.CaptureFixture[str]) -> None:
    old = load_probe_set(swept).digest
    other = open_run("smoke-s1", swept.root, [*_short(swept), "record.probe_seed=8"])
    generate_probe_set(other)
    new = load_probe_set(other).digest
    with pytest.raises(ArtifactError, match=f"step 0: probe_set is {old[:12]}, but the run has {new[:12]}; run: form"):
        load_rows(other, source_of(other, load_probe_set(other)))
    checkpoint_sweep(other)
    assert f"8 checkpoint(s) from step 0 on are measured again: probe_set was {old[:12]}" in capsys.readouterr().out
    rows = load_rows(other, source_of(other, load_probe_set(other)))
    assert {row.source.probe_set for row in rows} == {new}


def test_a_changed_checkpoint_is_measured_again(swept: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = recorded(swept)
    path = checkpoints.path(swept, 8)
    arrays, about = artifacts.read_arrays(path, "checkpoint/1")
    arrays["model.norm.bias"] = arrays["model.norm.bias"] + 0.5
    artifacts.write_arrays(path, arrays, about)
    checkpoint_sweep(swept)
    assert "1 checkpoint(s) from step 8 on are measured again: the checkpoint's file has changed" in (
        capsys.readouterr().out
    )
    after = recorded(swept)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {METRICS, "analysis/reads/step_000008.safetensors"}


def test_a_training_that_has_not_ended_is_refused(swept: Run) -> None:
    before = recorded(swept)
    checkpoints.path(swept, 28).unlink()
    with pytest.raises(ArtifactError, match=r"training is at step 24 of 28, .*run: formation train --run smoke-s1"):
        checkpoint_sweep(swept)
    assert recorded(swept) == before


def test_a_foreign_checkpoint_is_refused_with_its_path(swept: Run) -> None:
    shutil.copy(checkpoints.path(swept, 4), checkpoints.path(swept, 8))
    with pytest.raises(TrainingError, match=r"step_000008\.safetensors: not a checkpoint of run smoke-s1"):
        checkpoint_sweep(swept)


def test_outcomes_of_another_sweep_are_refused(swept: Run) -> None:
    rows = load_rows(swept, source_of(swept, load_probe_set(swept)))
    shutil.copy(reads_path(swept, 4), reads_path(swept, 8))
    with pytest.raises(ArtifactError, match=r"step_000008\.safetensors: is of another sweep than analysis/checkpoint_"):
        load_outcomes(swept, rows)
    reads_path(swept, 8).unlink()
    with pytest.raises(ArtifactError, match=r"step_000008\.safetensors: not found; run: formation checkpoint-sweep"):
        load_outcomes(swept, rows)


def test_rows_of_another_run_are_refused(swept: Run) -> None:
    data = [json.loads(line) | {"run": "smoke-s2"} for line in run_lines(swept)]
    artifacts.write_jsonl(swept.path(METRICS), data)
    with pytest.raises(ArtifactError, match=r"run is 'smoke-s2', expected 'smoke-s1'; run: formation checkpoint-sweep"):
        load_rows(swept, source_of(swept, load_probe_set(swept)))


def test_a_key_too_many_is_refused_in_one_line_and_measured_again(
    swept: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before, rows = recorded(swept), [json.loads(line) for line in run_lines(swept)]
    rows[2]["splits"]["test_iid"]["tokens"]["surplus"] = 1
    artifacts.write_jsonl(swept.path(METRICS), rows)
    field = r"metrics\.jsonl: step 8: splits\.test_iid\.tokens\.surplus: Extra inputs .*; run: formation checkpoint-"
    with pytest.raises(ArtifactError, match=field):
        load_rows(swept, source_of(swept, load_probe_set(swept)))
    arrays, about = artifacts.read_arrays(reads_path(swept, 8), READS_SCHEMA)
    artifacts.write_arrays(reads_path(swept, 8), arrays, about | {"row": rows[2]})
    checkpoint_sweep(swept)
    assert "step_000008.safetensors: step 8: splits.test_iid.tokens.surplus" in capsys.readouterr().out
    assert recorded(swept) == before


def test_the_summary_says_where_the_run_ended(swept: Run) -> None:
    summary = swept.json(SUMMARY, "checkpoint-metrics-summary/1")
    last = load_rows(swept, source_of(swept, load_probe_set(swept)))[-1]
    assert (summary["checkpoints"], summary["first_step"], summary["last_step"]) == (8, 0, 28)
    for name, row in last.splits.items():
        final = summary["splits"][name.value]["final"]
        assert final["accuracy"]["value"] == pytest.approx(row.reads.accuracy, abs=1e-6)
        assert final["token_loss"]["value"] == pytest.approx(row.tokens.loss, abs=1e-6)
        assert final["token_accuracy"]["value"] == pytest.approx(row.tokens.accuracy, abs=1e-6)
        assert final["token_loss"]["unit"] == final["log_prob"]["unit"] == "nats"
        assert all(entry["low"] <= entry["value"] <= entry["high"] for entry in final.values())
    for name, twins in last.twins.items():
        for kind, twin in twins.items():
            flip = summary["twins"][name.value][f"{kind.value}_twin_flip"]
            assert flip["value"] == pytest.approx(twin.flip, abs=1e-6)
            assert flip["n"] == twin.n


def _short(run: Run) -> list[str]:
    return list(run.json("params.json", "params/1")["overrides"])
