"""The `feature-evidence` stage: what is claimed of a run's features, as values with intervals.

`analysis/feature_claims_evidence.json` has the entries of the first stage of the parameters at its top and those of all
others below `stages`. Entries are those of `formation.record.evidence`: a value that does not exist is null and has a
`reason`. Distances between births here take either date at the end of its interval that is worse for them: so they hold
at no less than the confidence given, whatever the two have in common.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from formation import artifacts
from formation.artifacts import Run
from formation.candidates.registering import FIT, REGISTRY
from formation.candidates.tracing import WINDOWS
from formation.features import files
from formation.features.families.grouping import BIRTH
from formation.features.families.subsets import CLUSTER
from formation.features.metrics import Half, Worth
from formation.features.source import chosen_stages
from formation.features.swept import IID, LAST, Swept, load_swept
from formation.record.evidence import FILE as RECORDED
from formation.record.evidence import SCHEMA as RECORDED_SCHEMA
from formation.record.evidence import Entry, estimate_entry, missing
from formation.statistics import Estimate, ratio, resamples

NEAR = 2  # checkpoints from retrieval's birth within which a feature counts as born with it
ALTERNATIVES = "feature-alternatives"


def feature_evidence(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Write `feature_claims_evidence.json` of the run; return its path, alone.

    Where the first stage of the parameters is not asked for, the file lies with the first that is, and the run's own
    stays as it is: claims are judged on that. Raises `ArtifactError` where quality, births, families or the registry of
    a stage are missing or of another basis.
    """
    every = {stage: load_swept(run, stage) for stage in chosen_stages(run, stages)}
    entries = {stage: entries_of(swept) for stage, swept in every.items()}
    judged = chosen_stages(run, None)[0]
    first = judged if judged in every else next(iter(every))
    path = run.path(files.EVIDENCE if first == judged else files.place(first, Path(files.EVIDENCE).name))
    origin = every[first].origin()
    artifacts.write_json(
        path, {"schema": files.EVIDENCE_SCHEMA, **origin, **entries[first], "stages": entries, "near": NEAR}
    )
    print(_line(run, first, entries[first]))
    return [path]


def entries_of(swept: Swept) -> dict[str, Entry]:
    """Every entry of one stage by name."""
    registry = swept.read(files.REGISTRY, files.REGISTRY_SCHEMA, REGISTRY)
    retrieval = _retrieval(swept.run)
    return {
        **_quality(swept),
        **_births(swept, retrieval),
        **_shares(swept),
        **_candidate(swept, registry, retrieval),
        "alternatives_apart": _alternatives(swept),
    }


def _retrieval(run: Run) -> Entry:
    return dict(run.json(RECORDED, RECORDED_SCHEMA, f"formation {WINDOWS} --run {run.name}")["retrieval_birth_step"])


# --- the basis -------------------------------------------------------------------------------------------------------


def _quality(swept: Swept) -> dict[str, Entry]:
    """How good the basis is at held-out checkpoints; there all streams of the probe set count, and nothing is drawn."""
    found = swept.read(files.QUALITY, files.QUALITY_SCHEMA, FIT)["quality"]["basis"]["heldout"]
    told = {
        "heldout_explained_variance": ("explained_variance_without_token_means", "beyond the tokens' means explained"),
        "heldout_active_fraction": ("mean_active_fraction", "of the features active at a position"),
        "heldout_dead_fraction": ("dead_fraction", "of the features never active"),
    }
    n = len(found["checkpoints"])
    values = {name: found[key] for name, (key, _) in told.items()}
    return {
        name: estimate_entry(
            Estimate(values[name], values[name], values[name], n), "fraction", f"share {what}; held-out checkpoints"
        )
        for name, (_, what) in told.items()
    } | {"basis_stability": _stability(swept)}


def _stability(swept: Swept) -> Entry:
    """Mean cosine of the features to their matches in other fits; features are drawn."""
    features = swept.read(files.FEATURES, files.FEATURES_SCHEMA, FIT)["features"]
    cosines = np.array([one["stability"] for one in features])
    weights = resamples(len(cosines), swept.run.params.record.bootstrap_draws, swept.rule.seed)
    found = ratio(cosines, np.ones(len(cosines)), weights, swept.rule.confidence)
    return estimate_entry(found, "cosine", "mean cosine of features to their matches in fits with other seeds")


# --- births ----------------------------------------------------------------------------------------------------------


def _births(swept: Swept, retrieval: Entry) -> dict[str, Entry]:
    """How many features are born useful, and how many of them with retrieval.

    Of the latter the lower bound counts those whose whole interval lies near the whole of retrieval's, the upper bound
    those of which some of it does.
    """
    features = swept.read(files.BIRTHS, files.BIRTHS_SCHEMA, BIRTH)["features"]
    born = [one["useful_birth"] for one in features if (one["useful_birth"] or {}).get("outcome") == "born"]
    share = len(born) / len(features)
    entry = {"useful_birth_fraction": estimate_entry(Estimate(share, share, share, len(features)), "fraction", "")}
    entry["useful_birth_fraction"]["what"] = "share of features that are born useful"
    what = f"share of useful births at most {NEAR} checkpoints from retrieval's"
    if not born or retrieval["value"] is None:
        reason = "retrieval was not born" if retrieval["value"] is None else "no feature was born useful"
        return entry | {"useful_births_near_retrieval": missing(len(born), "fraction", what, reason)}
    distances = [apart(one, retrieval, swept.run.params.training.checkpoint_every) for one in born]
    counts = [sum(distance <= NEAR for distance in row) / len(born) for row in zip(*distances, strict=True)]
    found = Estimate(counts[0], counts[2], counts[1], len(born))
    return entry | {"useful_births_near_retrieval": estimate_entry(found, "fraction", what)}


def apart(birth: Mapping[str, Any], other: Mapping[str, Any], every: int) -> tuple[float, float, float]:
    """How far apart two births are in checkpoints: as dated, at the least, and at the most."""
    signed = after(birth, other, every)
    least = max(signed[1], -signed[2], 0.0)
    return abs(signed[0]), least, max(-signed[1], signed[2])


def after(birth: Mapping[str, Any], other: Mapping[str, Any], every: int) -> tuple[float, float, float]:
    """Checkpoints from the other birth to this one with bounds; infinite where a date's bound does not exist."""
    step, reference = birth.get("step"), other["value"]
    low, high = _bounds(birth.get("low"), birth.get("high"))
    other_low, other_high = _bounds(other["low"], other["high"])
    return (float(step or 0) - reference) / every, (low - other_high) / every, (high - other_low) / every


def _bounds(low: float | None, high: float | None) -> tuple[float, float]:
    return -np.inf if low is None else low, np.inf if high is None else high


# --- shares and candidates -------------------------------------------------------------------------------------------


def _shares(swept: Swept) -> dict[str, Entry]:
    """How much of all features' usefulness at the end stable features carry, and the members of stable families."""
    features = swept.read(files.FEATURES, files.FEATURES_SCHEMA, FIT)["features"]
    families = swept.read(files.FAMILIES, files.FAMILIES_SCHEMA, CLUSTER)["families"]
    steady = [one["feature"] for one in features if not one["unstable"]]
    grouped = [feature for family in families if family["stable"] for feature in family["features"]]
    every = "of the usefulness of all features, summed, at the end of training"
    return {
        "stable_features_share": _share(swept, steady, f"share that stable features have {every}"),
        "stable_families_share": _share(swept, grouped, f"share that members of stable families have {every}"),
    }


def _share(swept: Swept, features: Sequence[int], what: str) -> Entry:
    last = [one.splits[IID].tracks[Worth.USEFULNESS].sums for one in swept.snapshots[-LAST:]]
    sums = np.stack(last).astype(np.float64).mean(0)[:, swept.half(Half.REPORT)]
    total, own = sums.sum(0), sums[list(features)].sum(0)
    weights = resamples(len(total), swept.run.params.record.bootstrap_draws, swept.rule.seed)
    if total.sum() <= 0:
        return missing(len(total), "fraction", what, "all features together are worth nothing at the end")
    return estimate_entry(ratio(own, total, weights, swept.rule.confidence), "fraction", what) | {"n": len(total)}


def _candidate(swept: Swept, registry: Mapping[str, Any], retrieval: Entry) -> dict[str, Entry]:
    """What the strongest candidate gains and carries, and when it became useful."""
    told = {
        "candidate_useful_delta": ("useful_delta", "nats", "usefulness gained by the strongest candidate"),
        "candidate_heldout_delta": ("heldout_delta", "nats", "the same on held-out pairs"),
        "candidate_share_carried": ("carried", "fraction", "share of the window's margin it carries when patched"),
    }
    when = "checkpoints from retrieval's birth to the strongest candidate's useful birth"
    if not registry["candidates"]:
        absent = {name: missing(0, unit, what, registry["reason"]) for name, (_, unit, what) in told.items()}
        return absent | {"candidate_useful_after_retrieval": missing(0, "checkpoints", when, registry["reason"])}
    best = registry["candidates"][0]
    found = {name: _told(best[key], unit, what) for name, (key, unit, what) in told.items()}
    return found | {"candidate_useful_after_retrieval": _useful_after(swept, best, retrieval, when)}


def _told(found: Mapping[str, Any], unit: str, what: str) -> Entry:
    entry = {**found, "unit": unit, "what": what}
    return entry if found["value"] is not None else entry | {"reason": "nothing changes between the two checkpoints"}


def _useful_after(swept: Swept, best: Mapping[str, Any], retrieval: Entry, what: str) -> Entry:
    birth, n = best["useful_birth"], best["useful_delta"]["n"]
    if retrieval["value"] is None or birth["outcome"] != "born":
        reason = "retrieval was not born" if retrieval["value"] is None else f"the candidate is {birth['outcome']}"
        return missing(n, "checkpoints", what, reason.replace("_", " "))
    value, low, high = after(birth, retrieval, swept.run.params.training.checkpoint_every)
    bounds = {"low": low if np.isfinite(low) else None, "high": high if np.isfinite(high) else None}
    return {"value": value, **bounds, "n": n, "unit": "checkpoints", "what": what}


# --- alternatives ----------------------------------------------------------------------------------------------------


def _alternatives(swept: Swept) -> Entry:
    """The farthest that another kind of feature dates usefulness from the basis; missing where none was looked at."""
    what = "checkpoints by which usefulness is born elsewhere in another kind of features, at the most"
    path = swept.run.path(files.place(swept.stage, files.ALTERNATIVES))
    artifacts.record_read(path)
    if not path.is_file():
        reason = f"alternatives were not measured; run: {swept.remedy(ALTERNATIVES)}"
        return missing(0, "checkpoints", what, reason)
    kinds = swept.read(files.ALTERNATIVES, files.ALTERNATIVES_SCHEMA, ALTERNATIVES)["kinds"]
    rows = [kind["against_shared_basis"]["together"] for kind in kinds if kind["against_shared_basis"]]
    dated = [row for row in rows if row["value"] is not None]
    if not dated:
        return missing(0, "checkpoints", what, "usefulness is born in no other kind")
    bounds = [_bounds(row["low"], row["high"]) for row in dated]
    low, high = max(max(a, -b, 0.0) for a, b in bounds), max(max(-a, b) for a, b in bounds)
    value = max(abs(row["value"]) for row in dated)
    limits = {"low": low, "high": high if np.isfinite(high) else None}
    return {"value": value, **limits, "n": len(dated), "unit": "checkpoints", "what": what}


def _line(run: Run, stage: str, entries: Mapping[str, Entry]) -> str:
    def told(name: str) -> str:
        value = entries[name]["value"]
        return "none" if value is None else f"{value:.2f}"

    return (
        f"{run.name}: {stage}: {len(entries)} entries; held-out variance explained "
        f"{told('heldout_explained_variance')}, births with retrieval {told('useful_births_near_retrieval')}, "
        f"strongest candidate {told('candidate_useful_delta')} nats"
    )
