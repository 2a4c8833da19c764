"""Features, what writes them, and the families they form, as one graph (node-link JSON, as networkx reads it)."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import networkx as nx

from formation.components.ablation import Component
from formation.features.causes.lineage import Edge
from formation.features.causes.writers import Neuron, Writer
from formation.features.families.families import Family


class NodeKind(StrEnum):
    """What a node is."""

    FEATURE = "feature"
    HEAD = "head"
    MLP = "mlp"
    NEURON = "neuron"
    FAMILY = "family"


class Relation(StrEnum):
    """What joins two nodes; edges point from what makes to what is made, from the part to the whole."""

    WRITES = "writes"  # writer → feature, one edge for each kind of ablation, by which it is keyed
    PART_OF = "part_of"  # neuron → MLP block
    MEMBER_OF = "member_of"  # feature → family


def feature_name(feature: int) -> str:
    """The node of a feature: `feature_27`."""
    return f"feature_{feature}"


def lineage_graph(
    stage: str,
    step: int,
    edges: Iterable[Edge],
    families: Sequence[Family] = (),
    about: Mapping[int, Mapping[str, Any]] | None = None,
) -> nx.MultiDiGraph:
    """The graph of one stage at one checkpoint: the edges given, their writers and features, and these' families.

    `about` has more to say of features: usefulness, births. A family appears with those of its members that have an
    edge or are in `about`.
    """
    graph = nx.MultiDiGraph(stage=stage, step=step)
    for feature, said in (about or {}).items():
        graph.add_node(feature_name(feature), **{**said, "kind": NodeKind.FEATURE.value, "feature": feature})
    for edge in edges:
        _add_edge(graph, edge)
    for family in families:
        _add_family(graph, family)
    return graph


def as_json(graph: nx.MultiDiGraph) -> dict[str, Any]:
    """The graph as node-link JSON."""
    return dict(nx.node_link_data(graph, edges="edges"))


def _add_edge(graph: nx.MultiDiGraph, edge: Edge) -> None:
    name, target = edge.writer.name, feature_name(edge.feature)
    graph.add_node(target, kind=NodeKind.FEATURE.value, feature=edge.feature)
    graph.add_node(name, kind=_kind(edge.writer).value, layer=edge.writer.layer)
    if isinstance(edge.writer, Neuron):
        block = Component(edge.writer.layer, None)
        graph.add_node(block.name, kind=NodeKind.MLP.value, layer=block.layer)
        graph.add_edge(name, block.name, key=Relation.PART_OF.value, relation=Relation.PART_OF.value)
    graph.add_edge(
        name,
        target,
        key=edge.kind.value,
        relation=Relation.WRITES.value,
        ablation=edge.kind.value,
        moved=edge.moved.value,
        moved_low=edge.moved.low,
        moved_high=edge.moved.high,
        lost=edge.lost.value,
        lost_low=edge.lost.low,
        lost_high=edge.lost.high,
        n=edge.moved.n,
        activation_lost=edge.activation_lost,
        gradient=edge.gradient,
        direct=edge.direct,
        share=edge.share,
    )


def _add_family(graph: nx.MultiDiGraph, family: Family) -> None:
    members = [feature for feature in family.features if feature_name(feature) in graph]
    if members:
        graph.add_node(family.name, kind=NodeKind.FAMILY.value, members=list(family.features), stable=family.stable)
    for feature in members:
        graph.add_edge(
            feature_name(feature), family.name, key=Relation.MEMBER_OF.value, relation=Relation.MEMBER_OF.value
        )


def _kind(writer: Writer) -> NodeKind:
    if isinstance(writer, Neuron):
        return NodeKind.NEURON
    return NodeKind.MLP if writer.head is None else NodeKind.HEAD
