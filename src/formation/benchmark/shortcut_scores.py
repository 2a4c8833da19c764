"""How far each heuristic gets: on all reads and on those with a stale value, and across twins."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from formation.benchmark.events import twin_split
from formation.benchmark.generate import Dataset
from formation.benchmark.heuristics import Heuristic, Shortcuts
from formation.benchmark.streams import Split, SplitName, TwinKind

LIMIT = 0.50  # no limited heuristic may be right more often than this on stale reads of a hardened split
# From this many streams on a score counts as it stands; below, only an interval that lies above the limit breaks it.
ENOUGH_STREAMS = 200

Scores = dict[str, dict[str, Any]]


def split_scores(split: Split) -> Scores:
    """For every heuristic its score on `all` reads and on `stale` ones, with a standard error over streams.

    Fitted heuristics are fitted on the reads they are scored on (other half of the streams).
    """
    stale = split.reads.stale > 0
    every, only_stale = Shortcuts(split), Shortcuts(split, fitted_on=stale)
    return {
        heuristic: {
            "all": _mean(every.scores(heuristic), np.ones_like(stale), split),
            "stale": _mean(only_stale.scores(heuristic), stale, split),
        }
        for heuristic in Heuristic
    }


def worst(scores: Mapping[SplitName, Scores], *, limited: bool = False) -> dict[str, Any]:
    """The heuristic with the highest score on stale reads of any split; with `limited`, of those under the limit."""
    found = [
        {"heuristic": heuristic, "label": Heuristic(heuristic).label, "split": name, **score["stale"]}
        for name, table in scores.items()
        for heuristic, score in table.items()
        if score["stale"]["n"] and (Heuristic(heuristic).limited or not limited)
    ]
    return max(found, key=lambda entry: entry["value"])


def over_limit(scores: Scores) -> list[str]:
    """Limited heuristics that break the limit on stale reads of a split, with their scores."""
    return [
        f"{heuristic} {score['stale']['value']:.3f}"
        for heuristic, score in scores.items()
        if Heuristic(heuristic).limited and score["stale"]["n"] and _lower(score["stale"]) > LIMIT
    ]


def flip_rates(dataset: Dataset, name: SplitName, kind: TwinKind) -> dict[str, dict[str, float | None]]:
    """For every heuristic: share of reads it answers rightly in base *and* twin, of `affected` reads and of `targets`.

    Lag shortcuts follow the value twin; the key twin only what looks at the key can follow. `None`: no such read.
    """
    base, twin = dataset.splits[name], dataset.twins[name, kind]
    here, there = Shortcuts(base), Shortcuts(twin_split(base, twin))
    flips = {heuristic: here.scores(heuristic) * there.scores(heuristic) for heuristic in Heuristic}
    return {
        heuristic: {
            "affected": float(both[twin.affected].mean()) if twin.affected.any() else None,
            "targets": float(both[twin.target].mean()),
        }
        for heuristic, both in flips.items()
    }


def _lower(score: Mapping[str, Any]) -> float:
    """The score itself where there are enough streams, else the lower end of its one-sided 95 % interval."""
    slack = 0.0 if score["streams"] >= ENOUGH_STREAMS else 1.645 * score["standard_error"]
    return float(score["value"] - slack)


def _mean(right: Float[np.ndarray, "read"], rows: Bool[np.ndarray, "read"], split: Split) -> dict[str, Any]:
    """Mean over `rows` with its standard error, streams as clusters (ratio estimator, Cochran 1977, ch. 6)."""
    streams = len(split.tokens)
    count = np.bincount(split.reads.stream[rows], minlength=streams)
    total = np.bincount(split.reads.stream[rows], weights=right[rows], minlength=streams)
    n = int(count.sum())
    value = float(total.sum() / max(n, 1))
    error = float(np.sqrt(((total - value * count) ** 2).sum()) / max(n, 1))
    return {"value": value, "standard_error": error, "n": n, "streams": int((count > 0).sum())}
