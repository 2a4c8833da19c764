"""The stage that dates births: what it writes, what it refuses, and what a study makes of it."""

import json
from pathlib import Path

import pytest

from formation import artifacts, cli
from formation.artifacts import Run, open_run
from formation.errors import ArtifactError, ParamsError
from formation.record.compare import EVENTS, compare_births, order_agreement
from formation.record.evidence import FILE as EVIDENCE
from formation.record.reads import METRICS
from formation.record.reports import FILE as ANALYSIS
from formation.record.windows import analyze_birth_windows
from tests.formation import projects
from tests.formation.projects import copied


@pytest.fixture(scope="session")
def analysed_project(swept_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The swept project with its births dated. Read it, never write to it."""
    root = tmp_path_factory.mktemp("analysed") / "project"
    with projects.own_artifacts():
        analyze_birth_windows(copied(swept_project, root))
    return root


@pytest.fixture
def analysed(analysed_project: Path, tmp_path: Path) -> Run:
    return copied(analysed_project, tmp_path / "analysed")


def test_a_run_of_seconds_bears_nothing_and_says_so(analysed: Run) -> None:
    data = analysed.json(ANALYSIS, "birth-windows/3")
    assert (data["run"], data["preset"], data["seed"]) == ("smoke-s1", "smoke", 1)
    assert data["source"]["params"] == analysed.params.identity(1)
    assert data["checkpoints"]["used_steps"] == [4, 8, 12, 16, 20, 24, 28]
    outcomes = {(birth["split"], birth["metric"]): birth["outcome"] for birth in data["births"]}
    assert len(outcomes) == 4 * 4 + 5 * 2
    assert {outcome for (_, metric), outcome in outcomes.items() if "flip" in metric} == {"not_born"}
    evidence = analysed.json(EVIDENCE, "claims-evidence/1")
    assert evidence["retrieval_born"]["value"] == 0.0
    entry = evidence["retrieval_birth_step"]
    assert (entry["value"], entry["low"], entry["high"]) == (None, None, None)
    assert entry["reason"] == "not born by step 28"
    assert evidence["source"] == data["source"]
    assert evidence["checkpoints"]["count"] == 8


def test_every_entry_has_what_a_claim_needs(analysed: Run) -> None:
    data = analysed.json(EVIDENCE, "claims-evidence/1")
    entries = {name: entry for name, entry in data.items() if isinstance(entry, dict) and "unit" in entry}
    documented = (Path(__file__).resolve().parents[3] / "docs" / "artifacts.md").read_text()
    assert {name for name in entries if f"`{name}`" not in documented} == set()
    for name, entry in entries.items():
        assert {"value", "low", "high", "n", "unit", "what"} <= entry.keys(), name
        assert entry["value"] is not None or entry["reason"], name


def test_the_same_sweep_gives_the_same_bytes(analysed: Run) -> None:
    before = [analysed.path(name).read_bytes() for name in (ANALYSIS, EVIDENCE)]
    analyze_birth_windows(analysed)
    assert [analysed.path(name).read_bytes() for name in (ANALYSIS, EVIDENCE)] == before


def test_an_unfinished_or_missing_sweep_is_refused_and_nothing_is_written(swept: Run) -> None:
    lines = swept.path(METRICS).read_text().splitlines(keepends=True)
    swept.path(METRICS).write_text("".join(lines[:-1]))
    with pytest.raises(ArtifactError, match=r"last step is 24, expected training\.steps = 28; run: formation check"):
        analyze_birth_windows(swept)
    swept.path(METRICS).write_text("".join(lines)[:-30])
    with pytest.raises(ArtifactError, match=r"checkpoint_metrics\.jsonl: line 8 is not valid JSON"):
        analyze_birth_windows(swept)
    swept.path(METRICS).unlink()
    with pytest.raises(ArtifactError, match=r"checkpoint_metrics\.jsonl: not found; run: formation checkpoint-sweep"):
        analyze_birth_windows(swept)
    assert not swept.path(ANALYSIS).exists()
    assert not swept.path(EVIDENCE).exists()


def with_births(root: Path, seed: int, dates: dict[str, int | None]) -> None:
    """A run of the study whose evidence says these dates."""
    run = open_run(f"smoke-s{seed}", root)
    entries = {
        event: {"value": dates.get(event), "low": None, "high": None, "n": 10, "unit": "steps", "what": event}
        for event in EVENTS
    }
    data = {"source": {"params": run.params.identity(seed)}, "checkpoints": {"last_step": 2000}, **entries}
    artifacts.write_json(run.path(EVIDENCE), {"schema": "claims-evidence/1", **data})


def test_births_of_a_study_stand_side_by_side(fresh: Run, capsys: pytest.CaptureFixture[str]) -> None:
    root = fresh.root
    with_births(root, 1, {"shortcut_birth_step": 400, "retrieval_birth_step": 1000})
    with_births(root, 3, {"shortcut_birth_step": 600})
    data = artifacts.read_json(compare_births("smoke", root), "study-births/1")
    assert [run["run"] for run in data["runs"]] == ["smoke-s1", "smoke-s3"]
    assert data["runs"][0]["births"]["retrieval_birth_step"]["value"] == 1000
    (missing,) = data["missing"]
    assert missing["run"] == "smoke-s2"
    assert missing["reason"].endswith("run: formation birth-window-analyze --run smoke-s2")
    assert "retrieval born in 1/2 runs" in capsys.readouterr().out


def test_evidence_of_other_parameters_is_not_compared(fresh: Run) -> None:
    with_births(fresh.root, 1, {"retrieval_birth_step": 1000})
    run = open_run("smoke-s1", fresh.root)
    data = json.loads(run.path(EVIDENCE).read_text())
    artifacts.write_json(run.path(EVIDENCE), {**data, "source": {"params": "e" * 64}})
    with pytest.raises(ArtifactError, match=r"preset smoke: no run has been analysed: .*params is eeeeeeeeeeee"):
        compare_births("smoke", fresh.root)
    with pytest.raises(ParamsError, match="no such preset"):
        compare_births("smoky", fresh.root)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["compare-births", "--preset", "smoke"], "claims_evidence.json: not found; run: formation birth-window"),
        (["compare-births", "--preset", "nosuch"], "params 'nosuch': no such preset in params/; there are: "),
        (["birth-window-analyze", "--run", "smoke-s1"], "probe_set.json: not found; run: formation generate-probe-set"),
        (["checkpoint-sweep", "--run", "smoke-s1"], "probe_set.json: not found; run: formation generate-probe-set"),
        (["generate-probe-set", "--run", "smoke-s2"], "benchmark.json: not found; run: formation generate-benchmark"),
        (["checkpoint-sweep", "--run", "../smoke-s1"], "expected <preset>-s<seed>"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    fresh: Run,
    arguments: list[str],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LIVINGPAPER_PROJECT", str(fresh.root))
    monkeypatch.setattr("sys.argv", ["formation", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert said.startswith("formation: ")
    assert named in said
    assert said.count("\n") == 1


def test_order_agreement_counts_and_correlates() -> None:
    runs = {
        "a": {"shortcut": 100, "retrieval": 500, "heldout": 600},
        "b": {"shortcut": 200, "retrieval": 400, "heldout": 400},
        "c": {"shortcut": 300, "retrieval": None, "heldout": 200},
    }
    found = order_agreement(runs)
    assert [entry["event"] for entry in found["consensus"]] == ["shortcut", "heldout", "retrieval"]
    pairs = {(pair["first"], pair["second"]): pair for pair in found["pairs"]}
    counts = {"before": 2, "same": 0, "after": 1, "n": 3}
    assert pairs["shortcut", "heldout"] == {"first": "shortcut", "second": "heldout", **counts}
    assert {key: pairs["heldout", "retrieval"][key] for key in counts} == {"before": 0, "same": 1, "after": 1, "n": 2}
    # a–b: two of three pairs concordant, one tied in b: 2/√(3·2); a–c and b–c: the one pair both have is reversed
    assert found["kendall_tau_b"]["mean"] == pytest.approx((2 / 6**0.5 - 1 - 1) / 3)
    assert found["kendall_tau_b"]["n"] == 3


def test_runs_without_a_common_order_have_no_agreement() -> None:
    found = order_agreement({"a": {"x": 1, "y": None}, "b": {"x": 2, "y": 3}})
    assert found["kendall_tau_b"] == {"mean": None, "n": 0, "unit": "run pairs"}
    assert found["pairs"][0]["n"] == 1
