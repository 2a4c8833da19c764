"""Artifacts: round trips, damage is noticed, nothing half-written, reads are recorded."""

import errno
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from formation import artifacts
from formation.cli import main
from formation.errors import ArtifactError, FormationError
from formation.presets import load

ROOT = Path(__file__).resolve().parents[2]

arrays = st.dictionaries(
    st.text("abc.", min_size=1, max_size=4),
    hnp.arrays(
        st.sampled_from([np.float32, np.int64, np.bool_, np.uint8]),
        hnp.array_shapes(min_dims=0, max_side=4, min_side=0),
    ),
    min_size=1,
    max_size=3,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(arrays)
def test_arrays_come_back_as_they_were(tmp_path: Path, named: dict[str, np.ndarray]) -> None:
    path = tmp_path / "a.safetensors"
    artifacts.write_arrays(path, named, {"schema": "t/1", "note": "ä"})
    back, about = artifacts.read_arrays(path, "t/1")
    assert about == {"schema": "t/1", "note": "ä"}
    assert back.keys() == named.keys()
    for name, array in named.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype


def test_equal_arrays_are_equal_bytes(tmp_path: Path) -> None:
    for number in range(12):
        named = {"b": np.arange(3.0), "a": np.arange(4)}
        artifacts.write_arrays(tmp_path / f"{number}", named, {"schema": "t/1", "z": 1, "a": "ä"})
    assert len({file.read_bytes() for file in tmp_path.iterdir()}) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.data())
def test_any_flipped_bit_is_noticed(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.safetensors"
    artifacts.write_arrays(path, {"w": np.arange(20, dtype=np.float32)}, {"schema": "t/1"})
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        back, about = artifacts.read_arrays(path, "t/1")
    except ArtifactError:
        return
    # the flip fell into padding that carries nothing
    np.testing.assert_array_equal(back["w"], np.arange(20, dtype=np.float32))
    assert about == {"schema": "t/1"}


def test_a_truncated_array_file_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    artifacts.write_arrays(path, {"w": np.arange(20.0)}, {"schema": "t/1"})
    whole = path.read_bytes()
    for length in (0, 4, 20, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match=r"a\.safetensors"):
            artifacts.read_arrays(path, "t/1")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_non_finite_numbers_are_refused_by_pointer(tmp_path: Path, value: float) -> None:
    with pytest.raises(ArtifactError, match="#/a/0/b"):
        artifacts.write_json(tmp_path / "x.json", {"schema": "t/1", "a": [{"b": value}]})
    assert list(tmp_path.iterdir()) == []


REFUSALS = {
    errno.ENOSPC: r"x\.json: the disk is full: 31 bytes do not fit, [\d,]+ are free; the old file stands; make room",
    errno.EDQUOT: r"x\.json: the disk quota is used up: 31 bytes do not fit; the old file stands; make room",
    errno.EFBIG: r"x\.json: no file may be larger than its file system takes: 31 bytes do not fit; the old file stands",
}


@pytest.mark.parametrize("number", REFUSALS)
def test_a_refused_write_leaves_the_old_file_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "x.json"
    artifacts.write_json(path, {"schema": "t/1", "n": 1})

    def fail(_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(artifacts.os, "fsync", fail)
    with pytest.raises(FormationError, match=REFUSALS[number]):
        artifacts.write_json(path, {"schema": "t/1", "n": 12})
    assert artifacts.read_json(path, "t/1")["n"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]
    with pytest.raises(FormationError, match=r"new/x\.json: .*; nothing was written"):
        artifacts.write_json(tmp_path / "new" / "x.json", {"schema": "t/1", "n": 12})


def test_what_is_not_about_room_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").write_text("a file where a folder must be")
    monkeypatch.setenv("FORMATION_ARTIFACTS", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["formation", "create-run", "--run", "smoke-s1"])
    with pytest.raises(SystemExit, match="2"):
        main()
    said = capsys.readouterr().err
    assert said.startswith(f"formation: {tmp_path}/runs/smoke-s1: ")
    assert said.count("\n") == 1


def test_missing_foreign_and_broken_json_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with pytest.raises(ArtifactError, match=r"x\.json: not found; run: formation train --run a"):
        artifacts.read_json(path, "t/1", "formation train --run a")
    path.write_text("{")
    with pytest.raises(ArtifactError, match=r"x\.json: not valid JSON"):
        artifacts.read_json(path, "t/1")
    artifacts.write_json(path, {"schema": "other/1"})
    with pytest.raises(ArtifactError, match=r"'other/1', expected 't/1'"):
        artifacts.read_json(path, "t/1")


def test_a_half_written_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    artifacts.write_jsonl(path, [{"schema": "t/1", "n": n} for n in range(3)])
    assert [row["n"] for row in artifacts.read_jsonl(path, "t/1")] == [0, 1, 2]
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ArtifactError, match="line 3"):
        artifacts.read_jsonl(path, "t/1")


def test_reads_are_recorded_found_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "reads"
    monkeypatch.setenv("LIVINGPAPER_READS", str(log))
    artifacts.write_json(tmp_path / "x.json", {"schema": "t/1"})
    artifacts.read_json(tmp_path / "x.json", "t/1")
    with pytest.raises(ArtifactError):
        artifacts.read_json(tmp_path / "y.json", "t/1")
    seen = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(Path(entry["path"]).name, entry["found"]) for entry in seen] == [("x.json", True), ("y.json", False)]


def test_sections_of_the_parameters_are_recorded_once_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading and the identity that guards a run's folder read all of them, and depend on none."""
    log = tmp_path / "reads"
    monkeypatch.setenv("LIVINGPAPER_READS", str(log))
    params = load("smoke", ROOT)
    params.identity(1)
    assert not log.exists()
    assert params.training.steps == params.section("training")["steps"]
    assert params.windows.seed >= 0
    assert [json.loads(line) for line in log.read_text().splitlines()] == [
        {"section": "training"},
        {"section": "windows"},
    ]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FORMATION_ARTIFACTS", str(tmp_path))
    return tmp_path


def test_a_run_made_with_other_parameters_is_refused_with_both_digests(elsewhere: Path) -> None:
    made = artifacts.create_run("smoke-s1", ROOT, ["training.steps=7"])
    assert artifacts.open_run("smoke-s1", ROOT).params.training.steps == 7  # its own overrides are remembered
    with pytest.raises(ArtifactError) as caught:
        artifacts.open_run("smoke-s1", ROOT, ["training.steps=8"])
    other = artifacts.open_run("smoke-s2", ROOT, ["training.steps=8"])
    assert made.params.identity(1)[:12] in str(caught.value)
    assert other.params.identity(1)[:12] in str(caught.value)


def test_no_path_leaves_a_run(elsewhere: Path) -> None:
    run = artifacts.create_run("smoke-s1", ROOT)
    os.symlink("/", run.folder / "out")
    for path in ("../smoke-s2/params.json", "/etc/hostname", "out/etc/hostname", "analysis/../../x"):
        with pytest.raises(ArtifactError, match="leaves the folder"):
            run.path(path)
    assert run.path("analysis/x.json").is_relative_to(run.folder.resolve())


def test_replacing_a_run_keeps_the_old_one(elsewhere: Path) -> None:
    old = artifacts.create_run("smoke-s1", ROOT, ["training.steps=7"])
    artifacts.write_json(old.folder / "x.json", {"schema": "t/1"})
    same = artifacts.create_run("smoke-s1", ROOT, ["training.steps=7"], replace=True)
    assert (same.folder / "x.json").is_file()
    new = artifacts.create_run("smoke-s1", ROOT, ["training.steps=8"], replace=True)
    assert not (new.folder / "x.json").exists()
    assert new.params.training.steps == 8
    kept = elsewhere / "replaced" / f"smoke-s1-{old.params.identity(1)[:12]}"
    assert (kept / "x.json").is_file()
    artifacts.create_run("smoke-s1", ROOT, ["training.steps=7"], replace=True)
    artifacts.create_run("smoke-s1", ROOT, ["training.steps=8"], replace=True)
    assert len(list((elsewhere / "replaced").iterdir())) == 3
