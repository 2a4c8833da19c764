"""The stage that names what writes features: the planted heads and no others, and nothing where nothing is."""

import json
from pathlib import Path

import networkx as nx
import pytest

from formation.artifacts import Run
from formation.errors import MeasureError
from formation.features import files
from formation.features.causes.lineages import GRAPH_SCHEMA, NOTHING, PLOT_SCHEMA, chosen_steps, feature_lineage
from tests.formation.features.swept_planted import LAST, STAGE, WINDOW, copied

pytestmark = pytest.mark.usefixtures("own_artifacts")
PREVIOUS, RETRIEVAL = "layer_0.head_1", "layer_1.head_0"


@pytest.fixture(scope="module")
def traced(rising: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run with the lineage of its last checkpoint."""
    run = copied(rising, tmp_path_factory.mktemp("traced"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FORMATION_ARTIFACTS", raising=False)
        feature_lineage(run, [STAGE], LAST)
    return run


def lineage(run: Run, step: int = LAST) -> dict:
    return run.json(files.place(STAGE, files.lineage(step)), files.LINEAGE_SCHEMA)


def test_the_planted_heads_are_behind_all_useful_features_and_nothing_else_is(traced: Run) -> None:
    data = lineage(traced)
    assert data["meaningful"] > 10
    assert {edge["writer"] for edge in data["edges"]} == {PREVIOUS, RETRIEVAL}
    assert {edge["feature"] for edge in data["edges"]} == {one["feature"] for one in data["features"]}
    assert all(one["feature"] < 32 for one in data["features"])


def test_the_head_that_writes_them_is_told_from_the_one_that_says_where_to_look(traced: Run) -> None:
    """Under zero or a mean both matter; only one writes at the answer position."""
    rows = {(row["ablation"], row["writer"]): row for row in lineage(traced)["writers"]}
    for kind in lineage(traced)["kinds"]:
        assert rows[kind, RETRIEVAL]["direct"] > 20 * abs(rows[kind, PREVIOUS]["direct"])
        assert rows[kind, PREVIOUS]["moved"] > 0.1


def test_usefulness_is_told_of_the_other_half_with_its_interval(traced: Run) -> None:
    for one in lineage(traced)["features"]:
        assert one["usefulness"]["low"] <= one["usefulness"]["value"] <= one["usefulness"]["high"]
    assert (lineage(traced)["chosen_on"], lineage(traced)["measured_on"]) == ("selection", "report")


def test_the_graph_is_there_twice_and_says_the_same(traced: Run) -> None:
    place = traced.path(files.place(STAGE, f"graphs/lineage_{LAST}.json"))
    data = traced.json(str(place.relative_to(traced.folder)), GRAPH_SCHEMA)
    graph, other = nx.node_link_graph(data, edges="edges"), nx.read_graphml(place.with_suffix(".graphml"))
    assert set(graph.nodes) == set(other.nodes)
    assert graph.number_of_edges() == other.number_of_edges() == len(lineage(traced)["edges"])
    plot = traced.json(files.place(STAGE, f"plots/lineage_{LAST}.json"), PLOT_SCHEMA)
    matrix = plot["kinds"]["resample_key"]["moved"]
    assert (len(matrix), len(matrix[0])) == (len(plot["kinds"]["resample_key"]["writers"]), len(plot["features"]))


def test_where_nothing_is_useful_there_is_no_lineage_and_it_says_so(
    random_weights: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(random_weights, tmp_path)
    for step in (0, LAST):
        feature_lineage(run, [STAGE], step)
        data = lineage(run, step)
        assert (data["meaningful"], data["features"], data["edges"], data["writers"]) == (0, [], [], [])
        assert data["reason"] == NOTHING
    assert capsys.readouterr().out.count("no lineage: no feature costs more margin") == 2
    graph = json.loads(run.path(files.place(STAGE, f"graphs/lineage_{LAST}.json")).read_text())
    assert graph["nodes"] == []


def test_by_default_it_is_the_end_of_retrievals_window_and_of_the_training(rising: Run) -> None:
    assert chosen_steps(rising, None) == [WINDOW[1], LAST]
    with pytest.raises(MeasureError, match="--step 45: no checkpoint"):
        chosen_steps(rising, 45)
