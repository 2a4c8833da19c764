"""Dataset geometry of a run (`dataset-geometry/1`): the task's relation made explicit (`docs/measures.md` §10).

Event graphs, the relation matrix, how reads are spread over lag and stale count, how far each shortcut gets, and the
minimal symbolic algorithm with its score. Everything is counted from the dataset; nothing here looks at a model.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from formation import statistics
from formation.artifacts import Run, write_json
from formation.benchmark.events import twin_split
from formation.benchmark.generate import Dataset
from formation.benchmark.heuristics import Heuristic, Shortcuts
from formation.benchmark.stage import folder_of_run, load_for_run, sanity_for_run
from formation.benchmark.streams import Split, SplitName, TwinKind
from formation.geometry.event_graph import as_json, event_graph
from formation.geometry.relation import distractors, identity_classes, relation_matrix

SCHEMA = "dataset-geometry/1"
FILE = "dataset_geometry.json"
_EXAMPLE = SplitName.TEST_IID


def dataset_geometry_report(run: Run) -> Path:
    """Path of the written `analysis/dataset_geometry.json`; `ArtifactError` without a generated benchmark."""
    dataset, sanity = load_for_run(run), sanity_for_run(run)
    claims = _claims(dataset, sanity, run)
    report = {
        "schema": SCHEMA,
        "run": run.name,
        "params_digest": run.params.identity(run.seed),
        "benchmark": folder_of_run(run).name,
        "setting": dataset.params.setting,
        "verdict": sanity["verdict"],
        "keys": dataset.params.keys,
        "values": dataset.params.values,
        "splits": {
            name: sanity["splits"][name] | {"distractors": distractors(split)} for name, split in dataset.splits.items()
        },
        "event_graphs": _graphs(dataset),
        "identity_classes": identity_classes(dataset.splits),
        "relation": relation_matrix(dataset.splits, dataset.heldout),
        "heuristics": _heuristics_table(sanity),
        "oracle": sanity["oracle"],
        "heldout": sanity["heldout"],
        "generation": sanity["generation"],
        "claims": claims,
    }
    path = run.analysis / FILE
    write_json(path, report)
    worst = claims["worst_heuristic_on_stale_reads"]
    print(f"{run.name}: dataset geometry; best shortcut on stale reads {worst['value']:.2f} ({worst['label']})")
    return path


def read_report(run: Run) -> dict[str, Any]:
    """The written report; `ArtifactError` with the command to run if there is none."""
    return run.json(f"analysis/{FILE}", SCHEMA, f"formation dataset-geometry-report --run {run.name}")


def _graphs(dataset: Dataset) -> dict[str, Any]:
    """Event graphs of one stream and of its two twins, as node-link JSON."""
    split = dataset.splits[_EXAMPLE]
    stream = _typical(split)
    twins = {f"{kind}_twin": twin_split(split, dataset.twins[_EXAMPLE, kind]) for kind in TwinKind}
    target = int(dataset.twins[_EXAMPLE, TwinKind.KEY].target[stream])
    return {
        "base": as_json(event_graph(split, stream)),
        **{name: as_json(event_graph(twin, stream)) for name, twin in twins.items()},
        "target_position": int(split.reads.position[target]) - 1,
    }


def _typical(split: Split) -> int:
    """The first stream whose reads have the split's median mean lag and mean stale count, as nearly as any has."""
    streams = len(split.tokens)
    count = np.bincount(split.reads.stream, minlength=streams)
    lag, stale = (
        np.bincount(split.reads.stream, weights=side, minlength=streams) / count
        for side in (split.reads.lag, split.reads.stale)
    )
    return int(np.argmin(np.abs(lag - np.median(lag)) + np.abs(stale - np.median(stale))))


def _heuristics_table(sanity: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per heuristic that is ever right: its scores by split, and its twin flips, best on stale reads first."""
    rows = []
    for heuristic in Heuristic:
        scores = {name: table[heuristic] for name, table in sanity["heuristics"].items()}
        best = max(score["stale"]["value"] for score in scores.values())
        if max(best, *(score["all"]["value"] for score in scores.values())) > 0:
            rows.append(
                {
                    "heuristic": heuristic,
                    "label": heuristic.label,
                    "best_on_stale": best,
                    "scores": scores,
                    "flips": {name: table[heuristic] for name, table in sanity["twin_flips"].items()},
                }
            )
    return sorted(rows, key=lambda row: -row["best_on_stale"])


def _claims(dataset: Dataset, sanity: dict[str, Any], run: Run) -> dict[str, Any]:
    """Evidence entries `{value, low, high, n, unit, what}` for the claims of the chapter."""
    oracle = min(sanity["oracle"].values(), key=lambda entry: entry["score"])
    leaks = _leaks(sanity, dataset)
    return {
        "worst_heuristic_on_stale_reads": _worst(dataset, sanity["worst_heuristic"], run),
        "worst_limited_on_stale_reads": _worst(dataset, sanity["worst_limited"], run),
        "heldout_leakage": {
            **_counted(leaks["leaked"], leaks["checked"]),
            "unit": "pairs",
            "what": "held-out pairs on the wrong side of the split, writes and answers of all splits and twins",
        },
        "oracle_minimum": {
            **_counted(oracle["score"], sum(entry["answers"] for entry in sanity["oracle"].values())),
            "unit": "accuracy",
            "what": "lowest score of the last-write-wins oracle on any split or twin",
        },
    }


def _worst(dataset: Dataset, worst: dict[str, Any], run: Run) -> dict[str, Any]:
    """The best shortcut's score on stale reads with its bootstrap interval over streams.

    The heuristic and the split are chosen for the highest score, so the value errs to the high side.
    """
    split = dataset.splits[SplitName(worst["split"])]
    stale = split.reads.stale > 0
    right = Shortcuts(split, fitted_on=stale).scores(Heuristic(worst["heuristic"]))
    streams, windows = len(split.tokens), run.params.windows
    estimate = statistics.share(
        statistics.stream_sums(right * stale, split.reads.stream, streams),
        statistics.stream_sums(stale.astype(float), split.reads.stream, streams),
        statistics.resamples(streams, run.params.record.bootstrap_draws, windows.seed),
        windows.confidence,
    )
    return {
        **asdict(estimate),
        "unit": "accuracy",
        "heuristic": worst["heuristic"],
        "label": worst["label"],
        "split": worst["split"],
        "what": "highest score of any such shortcut on reads that have a stale value, over all splits",
    }


def _leaks(sanity: dict[str, Any], dataset: Dataset) -> dict[str, int]:
    """Pairs on the wrong side of the held-out matrix, and pairs looked at."""
    kinds = ("writes", "answers") if dataset.params.heldout_scope == "write" else ("answers",)
    leaked = checked = 0
    for name, counts in sanity["leakage"].items():
        for kind in kinds:
            held = counts[f"heldout_{kind}"]
            leaked += counts[kind] - held if name.startswith(SplitName.HELDOUT_PAIRS) else held
            checked += counts[kind]
    return {"leaked": leaked, "checked": checked}


def _counted(value: int | float, n: int) -> dict[str, int | float]:
    """Evidence that was counted in full: its interval is the value itself."""
    return {"value": value, "low": value, "high": value, "n": n}
