"""The graph of lineage and families: every node and edge is there once, and JSON reads back."""

import json

import networkx as nx

from formation.components.ablation import Component
from formation.features.causes.graph import NodeKind, Relation, as_json, lineage_graph
from formation.features.causes.lineage import Edge
from formation.features.causes.writers import Neuron, Writer
from formation.features.families.families import Family
from formation.params import Ablation
from formation.statistics import Estimate

FAMILY = Family("family_0", (2, 5, 9), 0.8, 0.5, 0.9, 0.01)


def edge(writer: Writer, feature: int, kind: Ablation = Ablation.ZERO, value: float = 1.0) -> Edge:
    return Edge(
        writer, feature, kind, Estimate(value, 0.5, 1.5, 90), Estimate(-value, -1.5, -0.5, 90), 0.1, 0.2, 0.3, 0.4
    )


EDGES = [
    edge(Component(0, 1), 2),
    edge(Component(0, 1), 2, Ablation.RESAMPLE_KEY, 2.0),
    edge(Component(1, None), 5),
    edge(Neuron(1, 7), 5),
]


def graph(about: dict[int, dict[str, float]] | None = None) -> nx.MultiDiGraph:
    return lineage_graph("layer_1_post_mlp", 40, EDGES, [FAMILY], about)


def test_nodes_have_their_kind() -> None:
    kinds = dict(graph().nodes(data="kind"))
    assert kinds == {
        "layer_0.head_1": NodeKind.HEAD,
        "layer_1.mlp": NodeKind.MLP,
        "layer_1.neuron_7": NodeKind.NEURON,
        "feature_2": NodeKind.FEATURE,
        "feature_5": NodeKind.FEATURE,
        "family_0": NodeKind.FAMILY,
    }


def test_every_kind_of_ablation_has_its_own_edge_with_its_figures() -> None:
    both = graph()["layer_0.head_1"]["feature_2"]
    assert set(both) == {"zero", "resample_key"}
    assert (both["resample_key"]["moved"], both["resample_key"]["lost"], both["zero"]["direct"]) == (2.0, -2.0, 0.3)
    assert (both["zero"]["moved_low"], both["zero"]["moved_high"], both["zero"]["n"]) == (0.5, 1.5, 90)


def test_parts_point_to_wholes_and_only_members_that_are_shown_to_their_family() -> None:
    relations = [(one, other, what) for one, other, what in graph().edges(data="relation") if what != Relation.WRITES]
    assert sorted(relations) == [
        ("feature_2", "family_0", Relation.MEMBER_OF),
        ("feature_5", "family_0", Relation.MEMBER_OF),
        ("layer_1.neuron_7", "layer_1.mlp", Relation.PART_OF),
    ]
    assert graph().nodes["family_0"]["members"] == [2, 5, 9]


def test_features_keep_what_is_said_about_them() -> None:
    with_about = graph({9: {"usefulness": 0.7}, 2: {"usefulness": 1.4}})
    assert with_about.nodes["feature_9"] == {"usefulness": 0.7, "kind": "feature", "feature": 9}
    assert with_about.nodes["feature_2"]["usefulness"] == 1.4
    assert with_about.has_edge("feature_9", "family_0")


def test_a_family_without_members_shown_is_left_out() -> None:
    other = Family("family_1", (30,), None, 0.0, 0.2, None)
    assert "family_1" not in lineage_graph("final_norm", 0, EDGES, [other])


def test_node_link_json_reads_back() -> None:
    found = graph({2: {"usefulness": 1.4}})
    again = nx.node_link_graph(json.loads(json.dumps(as_json(found))), edges="edges")
    assert nx.utils.graphs_equal(found, again)
    assert again.graph == {"stage": "layer_1_post_mlp", "step": 40}
