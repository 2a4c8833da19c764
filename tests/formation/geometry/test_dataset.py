"""The dataset report of a run: counted evidence, and what it leaves out."""

import json
from pathlib import Path
from typing import Any

import pytest

from formation.artifacts import Run, open_run
from formation.benchmark.heuristics import Heuristic, Shortcuts
from formation.benchmark.stage import generate_for_run, load_for_run
from formation.benchmark.streams import SplitName
from formation.errors import ArtifactError
from formation.figures import dataset as figures
from formation.figures import event_graph as graph_figure
from formation.figures import style
from formation.geometry.dataset import dataset_geometry_report
from formation.presets import project_root

ROOT = project_root(Path(__file__).parent)
SMALL = ["benchmark.train_streams=40", "benchmark.evaluation_streams=12"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORMATION_ARTIFACTS", str(tmp_path_factory.mktemp("artifacts")))
        run = open_run("smoke-s1", ROOT, SMALL)
        generate_for_run(run, SMALL)
        yield run


@pytest.fixture(scope="module")
def report(run: Run) -> dict[str, Any]:
    return dict(json.loads(dataset_geometry_report(run).read_text()))


def test_evidence_entries_are_whole(report: dict[str, Any]) -> None:
    assert set(report["claims"]) == {
        "worst_heuristic_on_stale_reads",
        "worst_limited_on_stale_reads",
        "heldout_leakage",
        "oracle_minimum",
    }
    for entry in report["claims"].values():
        assert {"value", "low", "high", "n", "unit", "what"} <= set(entry)
        assert entry["low"] <= entry["value"] <= entry["high"]
        assert entry["n"] > 0


def test_the_worst_heuristic_is_the_worst(run: Run, report: dict[str, Any]) -> None:
    splits = load_for_run(run).splits
    best = 0.0
    for name in SplitName:
        stale = splits[name].reads.stale > 0
        shortcuts = Shortcuts(splits[name], fitted_on=stale)
        best = max(best, *(shortcuts.scores(heuristic)[stale].mean() for heuristic in Heuristic))
    assert report["claims"]["worst_heuristic_on_stale_reads"]["value"] == pytest.approx(best)
    assert report["heuristics"][0]["best_on_stale"] == pytest.approx(best)


def test_leakage_and_oracle_are_counted_over_all_splits_and_twins(report: dict[str, Any]) -> None:
    assert report["claims"]["heldout_leakage"]["value"] == 0
    assert report["claims"]["oracle_minimum"]["value"] == 1
    assert report["claims"]["oracle_minimum"]["n"] == sum(entry["answers"] for entry in report["oracle"].values())
    assert len(report["oracle"]) == 6 + 5 * 2


def test_the_relation_adds_up(report: dict[str, Any]) -> None:
    held = report["relation"]["heldout"]
    train = report["relation"]["writes"]["train"]
    answers = report["relation"]["answers"]["heldout_pairs"]
    for key in range(report["keys"]):
        for value in range(report["values"]):
            assert not (held[key][value] and train[key][value])
            assert held[key][value] or not answers[key][value]
    assert sum(map(sum, answers)) == report["splits"]["heldout_pairs"]["reads"]


def test_a_run_without_benchmark_is_told_what_to_run(run: Run) -> None:
    with pytest.raises(ArtifactError, match="formation generate-benchmark --run smoke-s7"):
        dataset_geometry_report(open_run("smoke-s7", ROOT))


def test_the_report_is_the_same_bytes_again(run: Run, report: dict[str, Any]) -> None:
    path = run.analysis / "dataset_geometry.json"
    before = path.read_bytes()
    dataset_geometry_report(run)
    assert path.read_bytes() == before


def test_figures_draw_without_clipping_and_repeat_byte_by_byte(report: dict[str, Any]) -> None:
    graphs = report["event_graphs"]
    drawn = [
        lambda: graph_figure.draw(graphs["base"], graphs["target_position"]),
        lambda: graph_figure.draw(graphs["key_twin"]),
        lambda: figures.relation_matrix(report["relation"]),
        lambda: figures.heuristics_chart(report["heuristics"], 0.5),
        lambda: figures.lag_by_stale(report["splits"]),
    ]
    for draw in drawn:
        figure = draw()
        assert style.svg(figure) == style.svg(draw())
        width, height = figure.get_size_inches()
        with style.house_style():
            box = figure.get_tightbbox()
        assert width == style.WIDTH
        assert box.x0 > -0.05
        assert box.y0 > -0.05
        assert box.x1 < width + 0.05
        assert box.y1 < height + 0.05


def test_the_event_figure_ties_every_read_to_one_write(report: dict[str, Any]) -> None:
    graph = report["event_graphs"]["base"]
    figure = graph_figure.draw(graph)
    colours = [style.VERMILION for edge in graph["edges"] if edge["relation"] == "latest_write"]
    arrows = [patch for patch in figure.axes[0].patches if type(patch).__name__ == "FancyArrowPatch"]
    reads = [node for node in graph["nodes"] if node["kind"] == "read"]
    assert len(colours) == len(reads)
    assert len(arrows) == sum(edge["relation"] != "overwrites" for edge in graph["edges"])
