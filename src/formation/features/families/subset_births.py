"""The `subset-birth` and `feature-family-birth` stages: when subsets and families came, and came to be worth something.

Both are dated by the formal rule (`formation.record.births`): the *birth* on the summed score, the *useful birth* on
the margin lost when all members are removed at once. A family is the subset of all its members. Dates are those of the
streams that report.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from formation.artifacts import Run
from formation.features import files
from formation.features.families.subsets import CLUSTER, Subset, SweptSubsets, load_subsets
from formation.features.metrics import FeatureMetric, Firing, Half, Worth
from formation.features.source import chosen_stages
from formation.record.analysis import seed_of
from formation.record.births import Birth, find_birth
from formation.record.reports import change_json

DATED_BY: Mapping[str, FeatureMetric] = {"birth": Firing.SCORE, "useful_birth": Worth.USEFULNESS}
UNSTABLE = "not stable: its members are no subset that was measured"


def subset_birth(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Write `subset_births.json` of each stage; return the paths.

    Raises `ArtifactError` where the subsets of the present families were not measured.
    """
    return [_date_subsets(load_subsets(run, stage)) for stage in chosen_stages(run, stages)]


def feature_family_birth(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Write `feature_family_births.json` of each stage; return the paths.

    Raises `ArtifactError` where the subsets of the present families were not measured.
    """
    return [_date_families(load_subsets(run, stage)) for stage in chosen_stages(run, stages)]


def date(found: SweptSubsets, name: str, metric: FeatureMetric, half: Half = Half.REPORT) -> Birth:
    """The birth of a subset on one half of the streams."""
    series, stage = found.series(name, metric, half=half), found.stage
    return find_birth(series, stage.weights(series.split), stage.rule, seed_of(series.name, stage.rule))


def births_json(found: SweptSubsets, name: str) -> dict[str, Any]:
    """Both births of a subset, each with what was lost of it later."""
    out: dict[str, Any] = {}
    for key, metric in DATED_BY.items():
        birth = date(found, name, metric)
        losses = [change_json(loss, sign=-1) for loss in birth.losses]
        out[key] = {"metric": metric.value, **(change_json(birth.rise) or {}), "losses": losses}
    return out


def _date_subsets(found: SweptSubsets) -> Path:
    rows = [{**vars(subset), **births_json(found, subset.name)} for subset in found.subsets]
    print(_line(found, [row for row in rows if row["size"] is not None], "subsets"))
    return found.stage.write(files.SUBSET_BIRTHS, files.SUBSET_BIRTHS_SCHEMA, _about(found) | {"subsets": rows})


def _date_families(found: SweptSubsets) -> Path:
    whole = {subset.family: subset for subset in found.subsets if subset.size is None}
    families = found.stage.read(files.FAMILIES, files.FAMILIES_SCHEMA, CLUSTER)["families"]
    rows = [_family_json(found, family, whole.get(family["name"])) for family in families]
    print(_line(found, [row for row in rows if row["stable"]], "stable families"))
    return found.stage.write(files.FAMILY_BIRTHS, files.FAMILY_BIRTHS_SCHEMA, _about(found) | {"families": rows})


def _family_json(found: SweptSubsets, family: Mapping[str, Any], subset: Subset | None) -> dict[str, Any]:
    row = {name: family[name] for name in ("name", "stable", "features")}
    if subset is None:
        return {**row, **dict.fromkeys(DATED_BY), "reason": UNSTABLE}
    return {**row, **births_json(found, subset.name), "reason": None}


def _about(found: SweptSubsets) -> dict[str, Any]:
    return {"measured_on": Half.REPORT.value, "unit": "steps", "rule": found.stage.run.params.section("windows")}


def _line(found: SweptSubsets, rows: Sequence[Mapping[str, Any]], what: str) -> str:
    told = ", ".join(f"{row['name']} {_said(row['birth'])}, useful {_said(row['useful_birth'])}" for row in rows)
    return f"{found.stage.run.name}: {found.stage.stage}: {len(rows)} {what}" + (f": {told} (steps)" if told else "")


def _said(change: Mapping[str, Any]) -> str:
    return str(change["step"]) if change["outcome"] == "born" else str(change["outcome"]).replace("_", " ")
