"""The benchmarks themselves: each runs at its smallest size and says what it found; no test looks at a time."""

import sys
from pathlib import Path

import pytest

from benchmarks import digesting, noop
from benchmarks.__main__ import main
from benchmarks.figure import draw
from benchmarks.measuring import BenchmarkError, Contender, Measured, Sample, interleaved, timed
from benchmarks.report import page
from benchmarks.results import Results, Row, Series, beside

BURN = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
CHILDREN = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])\nblock = bytearray(80_000_000)"


def python(code: str, folder: Path, name: str = "one", says: str = "") -> Contender:
    return Contender(name, [sys.executable, "-c", code], folder, says=says)


def sample(cpu: float) -> Measured:
    return Measured((Sample(cpu * 2, cpu, 40.0),))


def test_the_time_of_children_and_the_largest_memory_count(tmp_path: Path) -> None:
    found = timed(python(CHILDREN, tmp_path))
    assert found.cpu >= 0.2
    assert found.wall >= 0.2
    assert 80 <= found.megabytes < 250


def test_the_memory_of_the_benchmark_itself_does_not_count(tmp_path: Path) -> None:
    block = bytearray(300_000_000)
    block[::4096] = b"x" * len(block[::4096])
    assert timed(python("pass", tmp_path)).megabytes < 100


def test_contenders_take_turns_and_the_first_turn_does_not_count(tmp_path: Path) -> None:
    order: list[str] = []
    both = [
        Contender(name, [sys.executable, "-c", "pass"], tmp_path, before=lambda name=name: order.append(name))
        for name in ("a", "b")
    ]
    measured = interleaved(both, 2)
    assert order == ["a", "b"] * 3
    assert {name: len(found.samples) for name, found in measured.items()} == {"a": 2, "b": 2}


@pytest.mark.parametrize(
    ("code", "says", "message"),
    [
        ("import sys; sys.exit('it is broken')", "", r"exit code 1\): it is broken"),
        ("print('1 of 3 executed')", "0 of", r"expected '0 of', but it said: 1 of 3 executed"),
    ],
)
def test_what_did_not_do_what_is_timed_has_no_time(tmp_path: Path, code: str, says: str, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        timed(python(code, tmp_path, says=says))


def test_a_straight_line_has_its_slope_and_no_bend() -> None:
    straight = Series("a", "runs", tuple((n, sample(1 + 0.1 * n)) for n in (3, 10, 30, 100)))
    square = Series("a", "runs", tuple((n, sample(0.01 * n * n)) for n in (3, 10, 30, 100)))
    assert straight.slope == pytest.approx(0.1)
    assert straight.bend == pytest.approx(1.0)
    assert square.bend == pytest.approx((100 + 30) / (10 + 3))
    assert Series("a", "runs", straight.points[:2]).bend is None


def test_the_page_says_what_was_held_by_whom_and_what_is_missing(tmp_path: Path) -> None:
    own, peer = python("a", tmp_path, "own"), python("b", tmp_path, "peer")
    measured = {"own": sample(0.5), "peer": sample(1.0)}
    rows = [*beside("a build", own, measured, {"tool 1.2": peer}, 0.9), Row("alone", "x | y", sample(3), 10.0)]
    series = Series("a build", "runs (2 chapters)", tuple((n, sample(n)) for n in (1, 2, 4)))
    text = page(Results(rows, [series], missing=["snakemake (not installed: pip install snakemake)"]), "growth.svg")
    lines = text.splitlines()
    assert any(line.startswith("| a build | ≤ 0.9 s: **missed** | 1.00 s (1.00 s–1.00 s)") for line in lines)
    assert any("| tool 1.2 | 0.5 (0.5) |" in line for line in lines)
    assert any("| alone | ≤ 10 s: held |" in line and r"x \| y" in line for line in lines)
    assert any("1: 1.00 s, 2: 2.00 s, 4: 4.00 s" in line and "| 1000 ms | 1.0 |" in line for line in lines)
    assert "- Not measured: snakemake (not installed: pip install snakemake)." in lines


def test_the_figure_is_the_same_bytes_for_the_same_numbers(tmp_path: Path) -> None:
    series = [Series("a build", over, tuple((n, sample(n)) for n in (1, 3))) for over in ("runs", "chapters")]
    for name in ("a.svg", "b.svg"):
        draw(series, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b"chapters" in (tmp_path / "a.svg").read_bytes()


def test_a_grown_paper_is_built_and_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.peers.find", lambda name: None)
    results = Results()
    noop.measure(tmp_path, results, 1, runs=2, chapters=1)
    assert [row.what for row in results.rows] == ["no-op build, 2 runs × 1 chapters"]
    assert len(results.missing) == 2  # without its peers it goes on, and says so
    assert (tmp_path / "paper-2x1" / "_site" / "runs").is_dir()


def test_files_are_digested_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.peers.find", lambda name: None)
    results = Results()
    digesting.measure(tmp_path, results, 1, megabytes=2)
    assert [row.what.partition(", ")[2] for row in results.rows if not row.peer] == [
        "unchanged",
        "one file changed",
        "for the first time",
    ]


def test_an_unknown_name_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--no-install", "noops"]) == 2
    assert "benchmarks: name 'noops': expected one of noop, paper, chapter" in capsys.readouterr().err
