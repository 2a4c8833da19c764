"""The `candidate-circuit-registry` stage: the scoreboard of candidates, and whether they compete (`measures.md` §6).

The candidates of a stable family are its one, two, … most useful features. Pairs are looked at twice: the strongest
candidate of every two families, and the single features that lead the strongest candidate's family.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from formation.artifacts import Run
from formation.benchmark.streams import SplitName
from formation.candidates.pairs import pairs
from formation.candidates.registry import Candidate, Deltas, as_json, by_rank, candidate, delta
from formation.features import files
from formation.features.families.subset_births import DATED_BY, date
from formation.features.families.subsets import SIZES, Subset, SweptSubsets, load_subsets
from formation.features.metrics import FeatureMetric, Firing, Half, Worth
from formation.features.source import chosen_stages
from formation.features.swept import HELDOUT, IID, LAST, Swept, load_swept
from formation.record.births import Change
from formation.statistics import Estimate

FIT, LINEAGE, SUBPATCH = "shared-feature-fit", "feature-family-lineage", "feature-family-subpatch"
REGISTRY = "candidate-circuit-registry"
COMPONENTS = 6  # told of a candidate, the strongest ones
NOTHING = "no family of features is stable, so there is no candidate"
FEWEST = 2  # of what is laid side by side


def candidate_circuit_registry(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Write `candidate_circuit_registry.json` of each stage; return the paths. Without a stable family it is empty.

    Raises `ArtifactError` where births, lineage or sub-patches of the present families are missing.
    """
    return [_register(load_subsets(run, stage)) for stage in chosen_stages(run, stages)]


def _register(found: SweptSubsets) -> Path:
    stage = found.stage
    candidates = by_rank(_candidates(found))
    data = {
        "ranked_on": Half.SELECTION.value,
        "measured_on": Half.REPORT.value,
        "last_checkpoints": LAST,
        "unit": "nats",
        "confidence": stage.rule.confidence,
        "reason": None if candidates else NOTHING,
        "strongest": candidates[0].id if candidates else None,
        "candidates": _with_shares(found, candidates),
        "pairs": _pairs(found, candidates),
    }
    print(_line(stage, candidates))
    return stage.write(files.REGISTRY, files.REGISTRY_SCHEMA, data)


def _candidates(found: SweptSubsets) -> list[Candidate]:
    stage = found.stage
    features = stage.read(files.FEATURES, files.FEATURES_SCHEMA, FIT)["features"]
    unstable = [one["feature"] for one in features if one["unstable"]]
    lineage = stage.read(files.FAMILY_LINEAGE, files.FAMILY_LINEAGE_SCHEMA, LINEAGE)["subsets"]
    components = {row["name"]: row["components"][:COMPONENTS] for row in lineage}
    return [
        candidate(
            stage.stage, subset, unstable, components[subset.name], _births(found, subset), _deltas(found, subset)
        )
        for subset in found.subsets
        if subset.size is not None
    ]


def _births(found: SweptSubsets, subset: Subset) -> tuple[Change, Change]:
    birth, useful = (date(found, subset.name, metric).rise for metric in DATED_BY.values())
    return birth, useful


def _deltas(found: SweptSubsets, subset: Subset) -> Deltas:
    def gained(half: Half, split: SplitName = IID) -> Estimate:
        series = found.series(subset.name, Worth.USEFULNESS, split, half)
        return delta(series, found.stage.weights(split), found.stage.rule.confidence)

    return Deltas(gained(Half.SELECTION), gained(Half.REPORT), gained(Half.REPORT, HELDOUT))


def _with_shares(found: SweptSubsets, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """The scoreboard with what each candidate carries of retrieval's window, on IID streams."""
    patches = found.stage.read(files.FAMILY_SUBPATCHES, files.FAMILY_SUBPATCHES_SCHEMA, SUBPATCH)["patches"]
    shares = {row["subset"]: row["share"] for row in patches if row["split"] == IID.value}
    return [{**row, "carried": shares[row["id"]]} for row in as_json(candidates)]


# --- pairs -----------------------------------------------------------------------------------------------------------


def _pairs(found: SweptSubsets, candidates: Sequence[Candidate]) -> dict[str, Any]:
    """Figures of every two, or nothing with the reason."""
    if not candidates:
        return {"families": [], "members": [], "reason": NOTHING}
    best = {one.family: one.id for one in reversed(candidates)}
    names = [one.id for one in candidates if best[one.family] == one.id]
    families = {metric: _columns(found, names, metric) for metric in (Firing.SCORE, Worth.USEFULNESS)}
    swept = load_swept(found.stage.run, found.stage.stage, found.stage.probe)
    leading = next(s.features for s in found.subsets if s.family == candidates[0].family and s.size is None)[:SIZES]
    return {
        "families": _pair_rows(names, families),
        "members": _pair_rows(
            [f"feature_{feature}" for feature in leading],
            {metric: swept.trajectories(metric, Half.REPORT)[:, list(leading)] for metric in families},
        ),
        "reason": None if len(names) >= FEWEST else "one family alone is stable, so no two families are compared",
    }


def _columns(found: SweptSubsets, names: Sequence[str], metric: FeatureMetric) -> np.ndarray:
    return np.stack([found.series(name, metric).values() for name in names], axis=1)


def _pair_rows(names: Sequence[str], by_metric: Mapping[FeatureMetric, np.ndarray]) -> list[Any]:
    if len(names) < FEWEST:
        return []
    return list(pairs(names, by_metric[Firing.SCORE], by_metric[Worth.USEFULNESS]))


def _line(stage: Swept, candidates: Sequence[Candidate]) -> str:
    where = f"{stage.run.name}: {stage.stage}"
    if not candidates:
        return f"{where}: no candidate: {NOTHING}"
    best = candidates[0]
    return (
        f"{where}: {len(candidates)} candidates; strongest {best.id} ({best.status}): features {best.features}, useful "
        f"{best.useful_delta.value:+.2f} nats, held-out {best.heldout_delta.value:+.2f}, from "
        f"{', '.join(best.components[:3])}"
    )
