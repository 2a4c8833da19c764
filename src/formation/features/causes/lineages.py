"""The `feature-lineage` stage: heads, MLP blocks and neurons behind the features that matter, at chosen checkpoints.

Features are chosen on one half of the probe streams (`formation.features.meaning`), and edges measured on the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from jaxtyping import Float

from formation import artifacts
from formation.artifacts import Run
from formation.components.material import Material, materials
from formation.components.store import DATED
from formation.features import files, store
from formation.features.causes.graph import as_json, lineage_graph
from formation.features.causes.lineage import Edge, Lineage, edges, measure_lineage
from formation.features.causes.writers import mean_outputs, sites, stand_in, writers_before
from formation.features.halves import part_of
from formation.features.meaning import meaningful_features, reported_usefulness
from formation.features.metrics import Firing, Half
from formation.features.moments import default_pair, require_step, schedule
from formation.features.plain import plain
from formation.features.snapshots import Snapshot
from formation.features.store import StoredBasis
from formation.params import Ablation
from formation.record.probe_set import load_probe_set
from formation.record.resumable import one_thread
from formation.statistics import Estimate, resamples
from formation.training import checkpoints

KINDS = (Ablation.RESAMPLE_KEY, Ablation.MEAN)  # those that name a head most sharply
LEAST = 0.1  # of a feature's strongest edge: weaker ones are single neurons by the dozen
MOST = 24  # features followed: a backward pass each; the most useful ones
PLOT_SCHEMA = "feature-plot-lineage/1"
GRAPH_SCHEMA = "feature-graph/1"
NOTHING = "no feature costs more margin than random directions in its place"


@dataclass(frozen=True)
class Setting:
    """What is the same at every checkpoint of a stage."""

    run: Run
    stored: StoredBasis
    material: Material  # of the split whose births are dated, all probe streams

    @property
    def kinds(self) -> list[Ablation]:
        """Kinds of ablation, of those the run's record uses."""
        return [kind for kind in KINDS if kind in self.run.params.record.ablations]


@dataclass(frozen=True)
class Found:
    """What was found at one checkpoint; `usefulness` is that of `features` on the reported half."""

    step: int
    features: list[int]
    meaningful: int
    usefulness: list[Estimate]
    active: list[float]
    lineages: Mapping[Ablation, Lineage]
    edges: list[Edge]


def feature_lineage(run: Run, stages: Sequence[str] | None = None, step: int | None = None) -> list[Path]:
    """Write `feature_lineage_<step>.json`, graphs and figure's data of each stage and step; return the former.

    Without a step: the last checkpoint, and the end of the window in which retrieval was born. Raises `MeasureError`
    for a step without a checkpoint and `ArtifactError` where the stage was not swept.
    """
    steps = chosen_steps(run, step)
    probe = load_probe_set(run)
    material = materials(probe, run.params.record)[DATED]
    paths = []
    for stage in store.chosen_stages(run, stages):
        setting = Setting(run, store.load_basis(run, stage, probe.benchmark), material)
        with one_thread():
            paths += [_write(setting, _find(setting, one)) for one in steps]
    return paths


def chosen_steps(run: Run, step: int | None) -> list[int]:
    """The checkpoints to look at, in order."""
    every = schedule(run)
    if step is not None:
        require_step(run, every, step, "--step")
        return [step]
    return sorted({default_pair(run, every).target, every[-1]})


def _find(setting: Setting, step: int) -> Found:
    """The meaningful features of a checkpoint and the edges into them."""
    run, basis = setting.run, setting.stored.basis
    (snapshot,) = store.load_snapshots(run, basis.stage, [step], setting.stored.digest)
    every = meaningful_features(snapshot, run.params)
    features = every[:MOST]
    lineages = _lineages(setting, snapshot, step, features) if features else {}
    found: list[Edge] = []
    for lineage in lineages.values():
        found += edges(lineage, _weights(run, lineage), run.params.windows.confidence, LEAST)
    usefulness = reported_usefulness(snapshot, features, run.params)
    active = snapshot.splits[DATED].values(Firing.ACTIVE, Half.REPORT)[features]
    return Found(step, features, len(every), usefulness, active.tolist(), lineages, found)


def _lineages(setting: Setting, snapshot: Snapshot, step: int, features: list[int]) -> dict[Ablation, Lineage]:
    model, basis, batch = (
        checkpoints.load_model(setting.run, step),
        setting.stored.basis,
        setting.run.params.record.batch,
    )
    reported = part_of(setting.material, snapshot.splits[DATED].halves[Half.REPORT])
    # what a writer gives on average is better known from all streams
    means = mean_outputs(model, setting.material, sites(writers_before(model, basis.stage)), batch)
    return {
        kind: measure_lineage(model, basis, reported, features, kind, stand_in(kind, model, reported, means), batch)
        for kind in setting.kinds
    }


def _weights(run: Run, lineage: Lineage) -> Float[np.ndarray, "draw stream"]:
    return resamples(len(lineage.counts), run.params.record.bootstrap_draws, run.params.windows.seed)


# --- written ---------------------------------------------------------------------------------------------------------


def _write(setting: Setting, found: Found) -> Path:
    run, stage = setting.run, setting.stored.basis.stage
    origin = {"run": run.name, "stage": stage, "basis": setting.stored.digest, "step": found.step}
    path = run.path(files.place(stage, files.lineage(found.step)))
    about = {
        "split": DATED.value,
        "chosen_on": Half.SELECTION.value,
        "measured_on": Half.REPORT.value,
        "confidence": run.params.windows.confidence,
        "kinds": [kind.value for kind in setting.kinds],
        "meaningful": found.meaningful,
        "left_out": found.meaningful - len(found.features),
        "reason": None if found.features else NOTHING,
    }
    data = {"features": _features(found), "writers": writer_table(found), "edges": [_edge(one) for one in found.edges]}
    artifacts.write_json(path, {"schema": files.LINEAGE_SCHEMA, **origin, **about, **plain(data)})
    _write_graph(setting, found, origin)
    plot = run.path(files.place(stage, f"{files.PLOTS}/lineage_{found.step}.json"))
    artifacts.write_json(plot, {"schema": PLOT_SCHEMA, **origin, **plain(_matrices(found))})
    print(_line(run, stage, found))
    return path


def _features(found: Found) -> list[dict[str, Any]]:
    rows = zip(found.features, found.usefulness, found.active, strict=True)
    return [{"feature": feature, "usefulness": useful, "active_fraction": on} for feature, useful, on in rows]


def _edge(edge: Edge) -> dict[str, Any]:
    return {
        "writer": edge.writer.name,
        "feature": edge.feature,
        "ablation": edge.kind.value,
        "moved": edge.moved,
        "lost": edge.lost,
        "activation_lost": edge.activation_lost,
        "gradient": edge.gradient,
        "direct": edge.direct,
        "share": edge.share,
    }


def writer_table(found: Found) -> list[dict[str, Any]]:
    """Heads and blocks by how much of the features they move: for how many features each is the strongest, by kind.

    `moved` and `direct` are means over the features, each in units of its own mean score.
    """
    rows = []
    for kind, lineage in found.lineages.items():
        moved = lineage.moved.sum(-1) / lineage.counts.sum()
        scale = np.where(lineage.score > 0, lineage.score, np.inf)
        blocks = [index for index, writer in enumerate(lineage.writers) if not _is_neuron(writer.name)]
        strongest = np.bincount(moved[blocks].argmax(0), minlength=len(blocks))
        for place, index in enumerate(blocks):
            rows.append(
                {
                    "ablation": kind.value,
                    "writer": lineage.writers[index].name,
                    "strongest": int(strongest[place]),
                    "moved": float((moved[index] / scale).mean()),
                    "direct": float((lineage.direct[index] / scale).mean()),
                }
            )
    return sorted(rows, key=lambda row: (row["ablation"], -row["moved"]))


def _is_neuron(name: str) -> bool:
    return ".neuron_" in name


def _write_graph(setting: Setting, found: Found, origin: Mapping[str, Any]) -> None:
    """The graph twice: node-link JSON and GraphML."""
    stage, step = setting.stored.basis.stage, found.step
    about = {
        row["feature"]: plain({"usefulness": row["usefulness"].value, "active_fraction": row["active_fraction"]})
        for row in _features(found)
    }
    graph = lineage_graph(stage, step, found.edges, about=about)
    where = setting.run.path(files.place(stage, f"{files.GRAPHS}/lineage_{step}.json"))
    artifacts.write_json(where, {"schema": GRAPH_SCHEMA, **origin, **plain(as_json(graph))})
    text = "\n".join(nx.generate_graphml(graph)) + "\n"
    artifacts.write_bytes(where.with_suffix(".graphml"), text.encode())


def _matrices(found: Found) -> dict[str, Any]:
    """What a heat map of writers by features needs: every head, block and neuron looked at, weak edges too."""
    matrices = {}
    for kind, lineage in found.lineages.items():
        matrices[kind.value] = {
            "writers": [writer.name for writer in lineage.writers],
            "moved": np.round(lineage.moved.sum(-1) / lineage.counts.sum(), 4),
            "direct": np.round(lineage.direct, 4),
            "score": lineage.score,
        }
    return {"features": found.features, "usefulness": [one.value for one in found.usefulness], "kinds": matrices}


def _line(run: Run, stage: str, found: Found) -> str:
    where = f"{run.name}: {stage}: step {found.step}:"
    if not found.features:
        return f"{where} no lineage: {NOTHING}"
    table = [row for row in writer_table(found) if row["ablation"] == next(iter(found.lineages)).value]
    top = ", ".join(f"{row['writer']} ({row['strongest']})" for row in table[:3])
    return f"{where} {found.meaningful} meaningful features, {len(found.edges)} edges; most is moved by {top}"
