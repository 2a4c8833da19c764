"""The learning curve: cut back exactly, damage ends it, nothing is written twice."""

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formation import artifacts
from formation.errors import ArtifactError, TrainingError
from formation.training.curve import SCHEMA, LearningCurve, curve_from, is_logged, logged_rows, whole_lines
from formation.training.state import StepReport


def report(step: int, loss: float = 0.1) -> StepReport:
    return StepReport(step, loss + step / 3, 1.0, 1e-3, 100)


def write(path: Path, first: int, last: int, every: int) -> None:
    with curve_from(path, first, every) as rows:
        for step in range(first + 1, last + 1):
            rows.add(report(step))
        rows.flush()


@given(step=st.integers(0, 200), every=st.integers(1, 20))
def test_the_number_of_rows_up_to_a_step(step: int, every: int) -> None:
    assert logged_rows(step, every) == sum(is_logged(s, every) for s in range(1, step + 1))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data(), every=st.integers(1, 6))
def test_cut_anywhere_and_gone_on_it_is_the_same(tmp_path: Path, data: st.DataObject, every: int) -> None:
    """Whatever a kill leaves of the file, from any step whose rows are whole the same bytes follow."""
    path = tmp_path / "curve.jsonl"
    path.unlink(missing_ok=True)
    write(path, 0, 20, every)
    whole = path.read_bytes()
    left = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:left])
    rows = len(whole_lines(path, every))
    assert rows == whole[:left].count(b"\n")
    step = data.draw(st.sampled_from([s for s in range(21) if logged_rows(s, every) <= rows]))
    write(path, step, 20, every)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("damage", [b"{}\n", b'{"schema":"learning-curve/1","step":2}\n', b"\xff\n", b"[1]\n", b"3\n"])
def test_a_foreign_or_damaged_line_ends_what_is_whole(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "curve.jsonl"
    write(path, 0, 9, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], damage, *lines[2:]]))
    assert whole_lines(path, 3) == lines[:2]


def test_rows_are_read_back_as_an_artifact(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    write(path, 0, 7, 3)
    rows = artifacts.read_jsonl(path, SCHEMA)
    assert [row["step"] for row in rows] == [1, 3, 6]
    assert rows[2]["loss"] == report(6).loss
    with curve_from(path, 7, 3) as curve, pytest.raises(ArtifactError, match="/loss"):
        curve.add(report(9, loss=float("nan")))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_named_with_what_to_do() -> None:
    with open("/dev/full", "ab", buffering=0) as full:
        rows = LearningCurve(Path("curve.jsonl"), 1, full)
        with pytest.raises(TrainingError, match=r"curve\.jsonl: the disk is full: 121 bytes.*last checkpoint"):
            rows.add(report(1))


class Filling(io.FileIO):
    """A disk with room for few bytes at a time: what it takes of a write it says by the length alone."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        return super().write(data[:50])


def test_a_row_the_disk_takes_in_pieces_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    with Filling(path, "ab") as file:
        rows = LearningCurve(path, 1, file)
        for step in (1, 2, 3):
            rows.add(report(step))
    assert [row["step"] for row in artifacts.read_jsonl(path, SCHEMA)] == [1, 2, 3]
