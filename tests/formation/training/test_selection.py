"""Reference selection on planted score tables."""

import json
from pathlib import Path

import pytest

from formation import artifacts
from formation.benchmark.streams import SplitName, TwinKind
from formation.errors import ParamsError, TrainingError
from formation.record.lines import Source
from formation.record.reads import METRICS
from formation.record.rows import Means, Quantiles, ReadsRow, Row, SplitRow, TokensRow, TwinRow, UnaffectedRow
from formation.record.rows import as_json as row_json
from formation.training.loop import RECORD
from formation.training.loop import SCHEMA as RECORD_SCHEMA
from formation.training.selection import METRIC, SCHEMA, select_reference
from tests.formation.training.tiny import ROOT, tiny_run

Scores = tuple[float, float, float]  # held-out, structural OOD and IID accuracy
STEPS = (0, 7, 14, 21, 28, 30)
LOW: Scores = (0.1, 0.1, 0.1)


def split_row(accuracy: float) -> SplitRow:
    means = Means(n=9, accuracy=accuracy, log_prob=-1.0, margin=0.0)
    quantiles = Quantiles(q05=0, q25=0, q50=0, q75=0, q95=0)
    reads = ReadsRow(**means.model_dump(), streams=3, margin_quantiles=quantiles, by={}, shortcuts={})
    return SplitRow(streams=3, tokens=TokensRow(n=50, loss=1.0, accuracy=0.5), reads=reads, stale_reads=None)


def twin_row(flip: float) -> TwinRow:
    unaffected = UnaffectedRow(n=0, log_prob_change=None, log_prob_shift=None)
    return TwinRow(
        streams=3, n=9, flip=flip, base_accuracy=1.0, twin_accuracy=flip, base_right=9,
        twin_right_given_base_right=flip, unaffected=unaffected,
    )  # fmt: skip


def plant(folder: Path, name: str, table: dict[int, Scores], trained: bool = True, params: str | None = None) -> None:
    """A run whose checkpoints were measured as `table` says, all others as `LOW`."""
    run = tiny_run(folder, name)
    if trained:
        artifacts.write_json(run.path(RECORD), {"schema": RECORD_SCHEMA})
    source = Source(params=params or run.params.identity(run.seed), benchmark="b", probe_set="p", record="r")
    splits = (SplitName.HELDOUT_PAIRS, SplitName.STRUCTURAL_OOD, SplitName.TEST_IID)
    rows = [
        Row(
            run=name,
            step=step,
            source=source,
            checkpoint="c",
            splits={split: split_row(score) for split, score in zip(splits, table.get(step, LOW), strict=True)},
            twins={SplitName.HELDOUT_PAIRS: {TwinKind.KEY: twin_row(0.25), TwinKind.VALUE: twin_row(0.75)}},
        )
        for step in STEPS
        if step >= min(table, default=0)
    ]
    artifacts.write_jsonl(run.path(METRICS), map(row_json, rows))


def selected() -> dict[str, object]:
    return artifacts.read_json(select_reference("smoke", ROOT), SCHEMA)


def test_the_best_checkpoint_of_all_runs_by_heldout_accuracy(tmp_path: Path) -> None:
    plant(tmp_path, "smoke-s1", {0: LOW, 14: (0.8, 1.0, 1.0), 30: (0.7, 1.0, 1.0)})
    plant(tmp_path, "smoke-s2", {0: LOW, 21: (0.9, 0.2, 0.3), 28: (0.85, 1.0, 1.0)})
    plant(tmp_path, "smoke-s3", {})
    found = selected()
    assert (found["run"], found["step"], found["metric"]) == ("smoke-s2", 21, METRIC)
    assert found["scores"] == {"heldout_pairs": 0.9, "structural_ood": 0.2, "test_iid": 0.3}
    assert found["key_twin_flips"] == {"heldout_pairs": 0.25}
    table = found["table"]
    assert isinstance(table, list)
    assert [(row["run"], row["step"], row["scores"]["heldout_pairs"]) for row in table] == [
        ("smoke-s1", 14, 0.8),
        ("smoke-s2", 21, 0.9),
        ("smoke-s3", 0, 0.1),
    ]
    assert found["incomplete"] == []


@pytest.mark.parametrize(
    ("second", "reference"),
    [
        ({0: LOW, 7: (0.9, 0.6, 0.1)}, ("smoke-s2", 7)),  # better on OOD
        ({0: LOW, 28: (0.9, 0.5, 0.8)}, ("smoke-s2", 28)),  # then on IID
        ({0: LOW, 7: (0.9, 0.5, 0.7)}, ("smoke-s2", 7)),  # then earlier
        ({0: LOW, 14: (0.9, 0.5, 0.7)}, ("smoke-s1", 14)),  # then by the order of the seeds
    ],
)
def test_ties_are_broken_as_stated(tmp_path: Path, second: dict[int, Scores], reference: tuple[str, int]) -> None:
    plant(tmp_path, "smoke-s1", {0: LOW, 14: (0.9, 0.5, 0.7), 21: (0.9, 0.5, 0.7)})
    plant(tmp_path, "smoke-s2", second)
    found = selected()
    assert (found["run"], found["step"]) == reference


def test_runs_that_are_not_complete_are_listed_and_not_chosen(tmp_path: Path) -> None:
    plant(tmp_path, "smoke-s1", {0: (1.0, 1.0, 1.0)}, trained=False)
    plant(tmp_path, "smoke-s2", {7: (1.0, 1.0, 1.0)})  # step 0 was not measured
    plant(tmp_path, "smoke-s3", {})
    found = selected()
    assert found["run"] == "smoke-s3"
    listed = json.dumps(found["incomplete"])
    assert "training.json: not found; run: formation train --run smoke-s1" in listed
    assert "no row for step 0 (1 missing); run: formation checkpoint-sweep --run smoke-s2" in listed


def test_rows_of_other_parameters_do_not_count(tmp_path: Path) -> None:
    plant(tmp_path, "smoke-s1", {0: (1.0, 1.0, 1.0)}, params="0" * 64)
    plant(tmp_path, "smoke-s2", {})
    found = selected()
    assert found["run"] == "smoke-s2"
    assert "step 0 is of other parameters" in json.dumps(found["incomplete"])


def test_a_row_that_lacks_a_field_is_named(tmp_path: Path) -> None:
    plant(tmp_path, "smoke-s1", {})
    run = artifacts.open_run("smoke-s1", ROOT)
    rows = artifacts.read_jsonl(run.path(METRICS), "checkpoint-metrics/2")
    del rows[0]["splits"]["test_iid"]["reads"]["accuracy"]
    artifacts.write_jsonl(run.path(METRICS), rows)
    with pytest.raises(TrainingError, match=r"metrics\.jsonl: step 0: splits\.test_iid\.reads\.accuracy: Field"):
        select_reference("smoke", ROOT)


def test_a_row_that_lacks_a_split_is_named(tmp_path: Path) -> None:
    plant(tmp_path, "smoke-s1", {})
    run = artifacts.open_run("smoke-s1", ROOT)
    rows = artifacts.read_jsonl(run.path(METRICS), "checkpoint-metrics/2")
    del rows[2]["splits"]["structural_ood"]
    artifacts.write_jsonl(run.path(METRICS), rows)
    with pytest.raises(TrainingError, match=r"step 14 has no split structural_ood; run: formation checkpoint-sweep"):
        select_reference("smoke", ROOT)


def test_without_a_complete_run_every_reason_is_told_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"preset smoke: no run is complete.*--run smoke-s1.*smoke-s2.*smoke-s3"):
        select_reference("smoke", ROOT)
    assert not (tmp_path / "studies").exists()


def test_an_unknown_preset_names_those_that_exist() -> None:
    with pytest.raises(ParamsError, match=r"no such preset.*quick"):
        select_reference("quack", ROOT)
