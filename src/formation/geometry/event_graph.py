"""The event graph of a stream: its writes and reads, and which write each read must find (`docs/measures.md` §10)."""

from enum import StrEnum
from typing import Any

import networkx as nx
import numpy as np

from formation.benchmark.streams import Split, Vocabulary


class Relation(StrEnum):
    """What joins two events; an edge points back in time."""

    LATEST_WRITE = "latest_write"  # read → the write whose value it must answer with
    STALE = "stale"  # read → an overwritten write of its key
    OVERWRITES = "overwrites"  # write → the write of the same key it replaces


def event_graph(split: Split, stream: int) -> nx.MultiDiGraph:
    """The events of one stream as nodes, numbered in order, joined by `Relation`.

    Nodes have `kind` (write or read), `position` (of the W or R token), `key`, `value` (names); writes have
    `written` (their number among the writes), reads `lag` (writes since the supporting write), `stale` (overwritten
    values of the key) and `gap` (writes before them).
    """
    graph = nx.MultiDiGraph(split=str(split.name), stream=stream)
    for number, event in enumerate(_events(split, stream)):
        graph.add_node(number, **event)
    writes: dict[str, list[int]] = {}
    for number, event in graph.nodes(data=True):
        earlier = writes.setdefault(event["key"], [])
        if event["kind"] == "write":
            if earlier:
                graph.add_edge(number, earlier[-1], relation=str(Relation.OVERWRITES))
            earlier.append(number)
        else:
            graph.add_edge(number, earlier[-1], relation=str(Relation.LATEST_WRITE))
            graph.add_edges_from((number, write, {"relation": str(Relation.STALE)}) for write in earlier[:-1])
    return graph


def as_json(graph: nx.MultiDiGraph) -> dict[str, Any]:
    """The graph as node-link JSON."""
    return dict(nx.node_link_data(graph, edges="edges"))


def _events(split: Split, stream: int) -> list[dict[str, Any]]:
    """Writes and reads of one stream in order of position."""
    writes, reads, vocabulary = split.writes, split.reads, split.vocabulary
    starts = writes.position[writes.stream == stream]
    out: list[dict[str, Any]] = []
    for number, row in enumerate(np.flatnonzero(writes.stream == stream)):
        names = _names(vocabulary, int(writes.key[row]), int(writes.value[row]))
        out.append({"kind": "write", "position": int(writes.position[row]), **names, "written": number})
    for row in np.flatnonzero(reads.stream == stream):
        mark = int(reads.position[row]) - 1
        out.append(
            {
                "kind": "read",
                "position": mark,
                **_names(vocabulary, int(reads.key[row]), int(reads.value[row])),
                "lag": int(reads.lag[row]),
                "stale": int(reads.stale[row]),
                "gap": int((starts < mark).sum()),
            }
        )
    return sorted(out, key=lambda event: event["position"])


def _names(vocabulary: Vocabulary, key: int, value: int) -> dict[str, str]:
    return {"key": vocabulary.name(vocabulary.key(key)), "value": vocabulary.name(vocabulary.value(value))}
