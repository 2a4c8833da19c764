"""The `compare-candidates` stage of a study: families of its runs matched by what they do, never by their numbers.

`artifacts/studies/<preset>/candidates.json` (`study-candidates/1`). A family's *profile* says on which splits and at
which roles its members are active at the end, what share of all features' usefulness is theirs, how much of it is on
each split, how many of them are born useful, and where their births stand in the order of all. Two families are as
alike as 1 minus the mean distance of these parts, each in [0, 1]. Families of two runs are matched one to one so that
they are as alike as can be (Kuhn 1955), beside the same where members change places between the families of one run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from formation import artifacts, presets
from formation.artifacts import Run
from formation.candidates.registering import REGISTRY
from formation.errors import ArtifactError
from formation.features import files
from formation.features.families.grouping import BIRTH
from formation.features.families.subsets import CLUSTER
from formation.features.metrics import Firing, Half, Worth
from formation.features.plain import plain
from formation.features.source import chosen_stages
from formation.features.swept import HELDOUT, IID, LAST, OOD, Swept, load_swept
from formation.record.evidence import missing
from formation.statistics import permutation_p

SCHEMA, FILE = "study-candidates/1", "candidates.json"
DRAWS = 500  # exchanges of members behind each null
FEWEST = 2  # members: one feature alone is no family
SEED = 13
SHARES = ("splits", "roles", "useful_splits")  # parts that are shares of one whole


@dataclass(frozen=True, eq=False)
class Features:
    """What is known of every feature of a run, in order; rows of shares are not yet divided by their sum."""

    splits: Float[np.ndarray, "feature part"]  # mean activation at the end, by split
    roles: Float[np.ndarray, "feature part"]  # by role
    useful_splits: Float[np.ndarray, "feature part"]  # usefulness at the end by split, 0 where it is below
    born: Float[np.ndarray, "feature"]  # 1 where it is born useful
    order: Float[np.ndarray, "feature"]  # where its useful birth stands among all, in [0, 1]; NaN without one


@dataclass(frozen=True, eq=False)
class Grouped:
    """The families of a run, `group` being that of each of `members`."""

    run: str
    names: Sequence[str]
    members: Int[np.ndarray, "member"]
    group: Int[np.ndarray, "member"]
    features: Features


def compare_candidates(preset: str, root: Path | None = None) -> Path:
    """Write the study's `candidates.json` and return its path.

    Runs without families or a registry are listed with the reason; raises `ArtifactError` if that is all of them.
    """
    root = root or presets.project_root()
    found: dict[str, tuple[Grouped, dict[str, Any]]] = {}
    lacking: list[dict[str, str]] = []
    for seed in presets.load(preset, root).seeds:
        name = f"{preset}-s{seed}"
        try:
            found[name] = _read(artifacts.open_run(name, root))
        except ArtifactError as error:
            lacking.append({"run": name, "reason": str(error)})
    if not found:
        raise ArtifactError(
            f"preset {preset}: no run has candidates: {'; '.join(entry['reason'] for entry in lacking)}"
        )
    grouped = [families for families, _ in found.values() if families.names]
    matches = [match(one, other) for one, other in combinations(grouped, 2)]
    data = {
        "schema": SCHEMA,
        "preset": preset,
        "runs": [_run_json(grouped, registry) for grouped, registry in found.values()],
        "missing": lacking,
        "matches": matches,
        "families_alike": _alike(matches),
    }
    path = artifacts.artifacts_folder(root) / "studies" / preset / FILE
    artifacts.write_json(path, plain(data))
    print(_line(preset, data))
    return path


# --- matching --------------------------------------------------------------------------------------------------------


def match(one: Grouped, other: Grouped) -> dict[str, Any]:
    """The families of two runs matched, with how alike they are, beside exchanges of the second run's members."""
    likeness = similarities(profiles(one, one.group), profiles(other, other.group))
    rows, columns = linear_sum_assignment(likeness, maximize=True)
    value, draw = float(likeness[rows, columns].mean()), np.random.default_rng(SEED)
    null = np.array([_matched(one, other, draw.permutation(other.group)) for _ in range(DRAWS)])
    return {
        "one": one.run,
        "other": other.run,
        "families": [
            {"one": one.names[a], "other": other.names[b], "likeness": float(likeness[a, b])}
            for a, b in zip(rows, columns, strict=True)
        ],
        "likeness": value,
        "by_chance": float(null.mean()),
        "p": float(permutation_p(value, null)),
    }


def _matched(one: Grouped, other: Grouped, group: Int[np.ndarray, "member"]) -> float:
    likeness = similarities(profiles(one, one.group), profiles(other, group))
    return float(likeness[linear_sum_assignment(likeness, maximize=True)].mean())


def profiles(run: Grouped, group: Int[np.ndarray, "member"]) -> dict[str, Float[np.ndarray, "family part"]]:
    """Every family's profile, were `group` that of each member."""
    member = (group == np.arange(len(run.names))[:, None]).astype(np.float64)
    size, own = member.sum(1, keepdims=True), run.features
    summed = {name: member @ getattr(own, name)[run.members] for name in SHARES}
    total = own.useful_splits[:, 0].sum()
    dated = np.isfinite(own.order[run.members])
    order = member @ np.where(dated, own.order[run.members], 0)
    count = member @ dated.astype(np.float64)
    return {name: _shares(values) for name, values in summed.items()} | {
        "usefulness": summed["useful_splits"][:, :1] / (total if total else 1),
        "born": member @ own.born[run.members, None] / size,
        "order": np.divide(order, count, out=np.full(len(order), 1.0), where=count > 0)[:, None],
    }


def similarities(
    one: Mapping[str, Float[np.ndarray, "family part"]], other: Mapping[str, Float[np.ndarray, "family part"]]
) -> Float[np.ndarray, "family other"]:
    """1 − the mean distance of the parts: total variation of shares, absolute difference of all else."""
    apart = [
        np.abs(values[:, None] - other[name]).sum(-1) / (2 if name in SHARES else 1) for name, values in one.items()
    ]
    return np.asarray(1 - np.mean(apart, axis=0))


def _shares(values: Float[np.ndarray, "row part"]) -> Float[np.ndarray, "row part"]:
    """Rows divided by their sums, even ones where there is nothing to share."""
    total = values.sum(1, keepdims=True)
    return np.asarray(np.divide(values, total, out=np.full(values.shape, 1 / values.shape[1]), where=total > 0))


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(run: Run) -> tuple[Grouped, dict[str, Any]]:
    """The families of a run's first stage, and its registry."""
    swept = load_swept(run, chosen_stages(run, None)[0])
    registry = swept.read(files.REGISTRY, files.REGISTRY_SCHEMA, REGISTRY)
    rows = swept.read(files.FAMILIES, files.FAMILIES_SCHEMA, CLUSTER)["families"]
    families = [row for row in rows if len(row["features"]) >= FEWEST]
    members = [feature for row in families for feature in row["features"]]
    group = np.repeat(np.arange(len(families)), [len(row["features"]) for row in families])
    names = [row["name"] for row in families]
    return Grouped(run.name, names, np.array(members, np.int64), group, _features(swept)), registry


def _features(swept: Swept) -> Features:
    splits = (IID, HELDOUT, OOD)

    def at_end(metric: Firing | Worth) -> Float[np.ndarray, "feature part"]:
        return np.stack([swept.trajectories(metric, Half.REPORT, s)[-LAST:].mean(0) for s in splits], axis=1)

    births = swept.read(files.BIRTHS, files.BIRTHS_SCHEMA, BIRTH)["features"]
    steps = [one["useful_birth"]["step"] if one["useful_birth"] else None for one in births]
    born = [one["useful_birth"] is not None and one["useful_birth"]["outcome"] == "born" for one in births]
    dates = np.array([np.nan if step is None or not b else step for step, b in zip(steps, born, strict=True)])
    known = np.sort(dates[np.isfinite(dates)])
    order = np.searchsorted(known, dates, side="right") / max(len(known), 1)
    roles = np.mean([one.splits[IID].roles.activation for one in swept.snapshots[-LAST:]], axis=0).T
    return Features(
        splits=at_end(Firing.ACTIVATION),
        roles=roles,
        useful_splits=at_end(Worth.USEFULNESS).clip(min=0),
        born=np.array(born, dtype=np.float64),
        order=np.where(np.isfinite(dates), order, np.nan),
    )


# --- told ------------------------------------------------------------------------------------------------------------


def _run_json(grouped: Grouped, registry: Mapping[str, Any]) -> dict[str, Any]:
    """A run's families with their profiles, and its strongest candidate."""
    own = profiles(grouped, grouped.group)
    return {
        "run": grouped.run,
        "families": [
            {
                "name": name,
                "features": grouped.members[grouped.group == place].tolist(),
                "profile": {part: values[place] for part, values in own.items()},
            }
            for place, name in enumerate(grouped.names)
        ],
        "strongest": registry["candidates"][0] if registry["candidates"] else None,
        "reason": registry["reason"],
    }


def _alike(matches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How much more alike matched families are than by chance, over pairs of runs; bounds: the least and the most."""
    what = "likeness of matched families of two runs beyond that of exchanged members, mean over pairs of runs"
    more = [one["likeness"] - one["by_chance"] for one in matches]
    if not more:
        return missing(0, "fraction", what, "fewer than two runs have families")
    bounds = {"low": min(more), "high": max(more)}
    return {"value": float(np.mean(more)), **bounds, "n": len(more), "unit": "fraction", "what": what}


def _line(preset: str, data: Mapping[str, Any]) -> str:
    strongest = [run["strongest"] for run in data["runs"]]
    alike = data["families_alike"]["value"]
    return (
        f"{preset}: candidates in {sum(one is not None for one in strongest)}/{len(strongest)} runs; matched families "
        + ("cannot be compared" if alike is None else f"are {alike:+.2f} more alike than by chance")
    )
