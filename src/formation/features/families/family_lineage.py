"""The `feature-family-lineage` stage: heads, MLP blocks and neurons behind each stable family (`docs/measures.md` §6).

Edges into the members of a subset are summed: what all their scores together are moved by when a writer's output is
replaced, at the end of training, on the streams that report. Intervals are of the sums.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import networkx as nx

from formation import artifacts
from formation.artifacts import Run
from formation.components.material import materials
from formation.features import files
from formation.features.causes.graph import as_json, lineage_graph
from formation.features.causes.lineage import FAINT, LEAST, Edge, Lineage, edges, measure_lineage
from formation.features.causes.writers import mean_outputs, sites, stand_in, writers_before
from formation.features.families.families import family_from
from formation.features.families.subsets import CLUSTER, Subset, SweptSubsets, load_subsets
from formation.features.halves import part_of
from formation.features.metrics import Half
from formation.features.moments import schedule
from formation.features.source import chosen_stages
from formation.features.store import load_basis
from formation.features.swept import IID
from formation.params import Ablation
from formation.record.resumable import one_thread
from formation.statistics import ratio, resamples
from formation.training import checkpoints

KINDS = (Ablation.RESAMPLE_KEY, Ablation.MEAN)  # those that name a head most sharply, the first of them first
GRAPH_SCHEMA = "feature-graph/1"
MOST = 12  # edges told of a subset and a kind of ablation, the strongest ones


def feature_family_lineage(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Write `feature_family_lineage.json` of each stage; return the paths.

    Raises `ArtifactError` where the subsets of the present families were not measured.
    """
    return [_trace_stage(load_subsets(run, stage)) for stage in chosen_stages(run, stages)]


def _trace_stage(found: SweptSubsets) -> Path:
    step, kinds = schedule(found.stage.run)[-1], kinds_of(found.stage.run)
    subsets = [subset for subset in found.subsets if subset.size is not None]
    lineages: dict[Ablation, Lineage] = {}
    if subsets:
        with one_thread():
            lineages = _measure(found, subsets, step)
    rows = [_subset_json(found, subset, lineages) for subset in subsets]
    _write_graph(found, lineages, step)
    data = {
        "step": step,
        "split": IID.value,
        "measured_on": Half.REPORT.value,
        "kinds": [kind.value for kind in kinds],
        "confidence": found.stage.rule.confidence,
        "subsets": rows,
    }
    print(_line(found, rows))
    return found.stage.write(files.FAMILY_LINEAGE, files.FAMILY_LINEAGE_SCHEMA, data)


def kinds_of(run: Run) -> list[Ablation]:
    """Kinds of ablation looked at, of those the run's record uses."""
    return [kind for kind in KINDS if kind in run.params.record.ablations]


def _measure(found: SweptSubsets, subsets: Sequence[Subset], step: int) -> dict[Ablation, Lineage]:
    """Edges into every member of the subsets, by kind."""
    stage, run = found.stage, found.stage.run
    basis, batch = load_basis(run, stage.stage, stage.probe.benchmark).basis, run.params.record.batch
    model, material = checkpoints.load_model(run, step), materials(stage.probe, run.params.record)[IID]
    reported = part_of(material, stage.half(Half.REPORT))
    features = sorted({feature for subset in subsets for feature in subset.features})
    # what a writer gives on average is better known from all streams
    means = mean_outputs(model, material, sites(writers_before(model, basis.stage)), batch)
    return {
        kind: measure_lineage(model, basis, reported, features, kind, stand_in(kind, model, reported, means), batch)
        for kind in kinds_of(run)
    }


def _subset_json(found: SweptSubsets, subset: Subset, lineages: Mapping[Ablation, Lineage]) -> dict[str, Any]:
    summed = {kind.value: summed_edges(found, subset.features, lineage) for kind, lineage in lineages.items()}
    first = next(iter(summed.values()), [])
    return {**vars(subset), "components": [edge["writer"] for edge in first], "edges": summed}


def summed_edges(found: SweptSubsets, features: Sequence[int], lineage: Lineage) -> list[dict[str, Any]]:
    """Writers by how far they move the features' scores together, those that stand out, the strongest first."""
    members = [lineage.features.index(feature) for feature in features]
    run = found.stage.run
    weights = resamples(len(lineage.counts), run.params.record.bootstrap_draws, run.params.windows.seed)
    score = float(lineage.score[members].sum())
    rows = []
    for place, writer in enumerate(lineage.writers):
        moved, lost = (
            ratio(sums[place, members].sum(0), lineage.counts, weights, run.params.windows.confidence)
            for sums in (lineage.moved, lineage.lost)
        )
        rows.append((writer.name, moved, lost, float(lineage.direct[place, members].sum())))
    floor = max(LEAST * max(moved.value for _, moved, _, _ in rows), FAINT * score)
    kept = sorted((row for row in rows if row[1].value >= floor > 0), key=lambda row: -row[1].value)
    return [
        {
            "writer": name,
            "moved": vars(moved),
            "lost": vars(lost),
            "direct": direct,
            "share": moved.value / score if score else 0.0,
        }
        for name, moved, lost, direct in kept[:MOST]
    ]


def _write_graph(found: SweptSubsets, lineages: Mapping[Ablation, Lineage], step: int) -> None:
    """Writers, the features they move, and the stable families these are of: node-link JSON, and GraphML."""
    run, stage = found.stage.run, found.stage
    every: list[Edge] = []
    for lineage in lineages.values():
        weights = resamples(len(lineage.counts), run.params.record.bootstrap_draws, run.params.windows.seed)
        every += edges(lineage, weights, run.params.windows.confidence)
    families = stage.read(files.FAMILIES, files.FAMILIES_SCHEMA, CLUSTER)["families"]
    stable = [family_from(family) for family in families if family["stable"]]
    graph = lineage_graph(stage.stage, step, every, stable)
    path = stage.write(f"{files.GRAPHS}/family_lineage.json", GRAPH_SCHEMA, {"step": step, **as_json(graph)})
    artifacts.write_bytes(path.with_suffix(".graphml"), ("\n".join(nx.generate_graphml(_flat(graph))) + "\n").encode())


def _flat(graph: nx.MultiDiGraph) -> nx.MultiDiGraph:
    """The graph without lists, which GraphML has not."""
    flat = graph.copy()
    for _, about in flat.nodes(data=True):
        about.pop("members", None)
    return flat


def _line(found: SweptSubsets, rows: Sequence[Mapping[str, Any]]) -> str:
    where = f"{found.stage.run.name}: {found.stage.stage}"
    if not rows:
        return f"{where}: no stable family, so no lineage"
    largest = {row["family"]: row for row in rows}
    told = ", ".join(f"{row['name']} from {', '.join(row['components'][:3])}" for row in largest.values())
    return f"{where}: most moved: {told}"
