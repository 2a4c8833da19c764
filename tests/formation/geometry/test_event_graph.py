"""The event graph of a stream by hand, and its agreement with the event table."""

import networkx as nx
import numpy as np

from formation.benchmark.generate import Dataset, generate
from formation.benchmark.streams import SplitName
from formation.geometry.event_graph import Relation, as_json, event_graph

from ..benchmark import planted


def edges(graph: nx.MultiDiGraph, relation: Relation) -> set[tuple[int, int]]:
    return {(a, b) for a, b, data in graph.edges(data=True) if data["relation"] == relation}


def test_by_hand() -> None:
    #                     0  1  2  3   4  5   6
    graph = event_graph(planted.split("a1 b2 a3 a?3 c4 b?2 a?3"), 0)
    assert edges(graph, Relation.LATEST_WRITE) == {(3, 2), (5, 1), (6, 2)}
    assert edges(graph, Relation.STALE) == {(3, 0), (6, 0)}
    assert edges(graph, Relation.OVERWRITES) == {(2, 0)}
    assert graph.nodes[3] == {
        "kind": "read",
        "position": 10,
        "key": "K00",
        "value": "V03",
        "lag": 0,
        "stale": 1,
        "gap": 3,
    }
    assert graph.nodes[4] == {"kind": "write", "position": 13, "key": "K02", "value": "V04", "written": 3}


def test_edges_agree_with_lags_and_stale_counts() -> None:
    dataset: Dataset = generate(planted.params(train_streams=20, evaluation_streams=6), 120)
    split = dataset.splits[SplitName.STRUCTURAL_OOD]
    for stream in range(len(split.tokens)):
        graph = event_graph(split, stream)
        rows = np.flatnonzero(split.reads.stream == stream)
        reads = [node for node, data in graph.nodes(data=True) if data["kind"] == "read"]
        latest = dict(edges(graph, Relation.LATEST_WRITE))
        for row, read in zip(rows, reads, strict=True):
            write = graph.nodes[latest[read]]
            assert write["value"] == graph.nodes[read]["value"]
            assert graph.nodes[read]["gap"] - 1 - write["written"] == split.reads.lag[row]
            assert sum(a == read for a, _ in edges(graph, Relation.STALE)) == split.reads.stale[row]


def test_node_link_json_reads_back() -> None:
    graph = event_graph(planted.split("a1 b2 a3 a?3 b?2"), 0)
    again = nx.node_link_graph(as_json(graph), edges="edges")
    assert nx.utils.graphs_equal(graph, again)
