"""The `feature-family-cluster` stage: which features of a basis move together (`docs/measures.md` §6).

Trajectories are those of usefulness on the half of the streams that selects: what a family is to be is worth something
together. They are averaged over as many checkpoints on either side as make a birth. Narrower means leave mostly the
optimiser's jitter, and the two halves of the streams then find other families; scores agree between the halves at any
width, but in a full-size run no family of theirs is found again in other checkpoints.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from formation.artifacts import Run
from formation.features import files
from formation.features.families.families import Families, Family, LeftOut, NothingMoves, find_families
from formation.features.metrics import Half, Worth
from formation.features.params import Section
from formation.features.plain import plain
from formation.features.source import chosen_stages
from formation.features.swept import LAST, Swept, load_swept

METRIC = Worth.USEFULNESS
DRAWS = 200  # bootstrap draws of the checkpoints, and as many of chance
BIRTH = "feature-birth-analyze"
NONE_STABLE = "no family is found again and beyond chance"


def feature_family_cluster(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Write `feature_families.json` of each stage and the data of its map; return the former.

    Where too few features move there are none, and the file says so. Raises `ArtifactError` where a stage was not
    swept or its births were not dated, `MeasureError` where there are too few checkpoints.
    """
    return [_cluster_stage(load_swept(run, stage)) for stage in chosen_stages(run, stages)]


def _cluster_stage(swept: Swept) -> Path:
    section, width = swept.run.params.of(Section), 2 * swept.rule.consecutive + 1
    found, reason = _find(swept, section.seed, width)
    data = {
        "metric": METRIC.value,
        "grouped_on": Half.SELECTION.value,
        "mean_of": width,  # checkpoints, before increments are taken
        "draws": found.draws,
        "silhouette": found.silhouette,
        "left_out": {str(feature): why.value for feature, why in found.left_out.items()},
        "reason": reason,
        "families": [family_json(family) for family in found.families],
    }
    _write_map(swept, found)
    print(_line(swept, found, reason))
    return swept.write(files.FAMILIES, files.FAMILIES_SCHEMA, data)


def _find(swept: Swept, seed: int, width: int) -> tuple[Families, str | None]:
    """The families, and why none of them is stable where none is."""
    trajectories, silent = swept.trajectories(METRIC, Half.SELECTION), swept.silent
    try:
        found = find_families(trajectories, DRAWS, seed, width=width, silent=silent)
    except NothingMoves as error:
        left_out = dict.fromkeys(silent, LeftOut.SILENT)
        return Families((), left_out, 0.0, 0, {}), str(error)
    return found, None if found.stable else NONE_STABLE


def family_json(family: Family) -> dict[str, Any]:
    """A family as JSON data."""
    return dict(plain(family)) | {"stable": family.stable}


def _write_map(swept: Swept, found: Families) -> None:
    """What a map of the features needs, in columns: neighbours move together."""
    family_of = {feature: family for family in found.families for feature in family.features}
    useful = swept.trajectories(Worth.USEFULNESS, Half.REPORT)[-LAST:].mean(0)
    births = swept.read(files.BIRTHS, files.BIRTHS_SCHEMA, BIRTH)["features"]
    features = sorted(found.places)
    columns = {
        "feature": features,
        "x": [found.places[feature][0] for feature in features],
        "y": [found.places[feature][1] for feature in features],
        "family": [family_of[feature].name for feature in features],
        "stable": [family_of[feature].stable for feature in features],
        "usefulness": [useful[feature] for feature in features],
        "useful_birth": [_useful_birth(births[feature]) for feature in features],
    }
    about = {"distance": "√(2 (1 − r))", "unit": "nats", "left_out": len(found.left_out)}
    swept.plot("family_map", about | columns)


def _useful_birth(feature: Mapping[str, Any]) -> int | None:
    """The step at which a feature came to be worth something, null where that was not seen."""
    birth = feature["useful_birth"]
    return None if birth is None or birth["outcome"] != "born" else int(birth["step"])


def _line(swept: Swept, found: Families, reason: str | None) -> str:
    where = f"{swept.run.name}: {swept.stage}: {len(found.families)} families of {len(found.places)} features"
    if reason is not None:
        return f"{where}: {reason}"
    told = ", ".join(f"{one.name} ({len(one.features)} features)" for one in found.stable)
    return f"{where}, stable: {told}; silhouette {found.silhouette:.2f}, {len(found.left_out)} features left out"
