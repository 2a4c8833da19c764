"""The `feature-family-rank` stage: each family's members by what they are worth at the end (`docs/measures.md` §6).

Members are ranked on one half of the streams; what is said of them is measured on the other.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from formation.artifacts import Run
from formation.features import files
from formation.features.families.families import ranked
from formation.features.metrics import Half, Worth
from formation.features.source import chosen_stages
from formation.features.swept import HELDOUT, LAST, Swept, load_swept

CLUSTER = "feature-family-cluster"
FEWEST = 3  # members: of two, an order is right half of the time


def feature_family_rank(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Write `feature_family_ranks.json` of each stage; return the paths.

    Raises `ArtifactError` where a stage has no families of its present basis.
    """
    return [_rank_stage(load_swept(run, stage)) for stage in chosen_stages(run, stages)]


def _rank_stage(swept: Swept) -> Path:
    families = swept.read(files.FAMILIES, files.FAMILIES_SCHEMA, CLUSTER)["families"]
    useful = {half: swept.trajectories(Worth.USEFULNESS, half) for half in Half}
    rows = [_family_json(swept, family, useful) for family in families]
    data = {
        "metric": Worth.USEFULNESS.value,
        "unit": "nats",
        "last_checkpoints": LAST,
        "ranked_on": Half.SELECTION.value,
        "measured_on": Half.REPORT.value,
        "families": rows,
    }
    print(_line(swept, rows))
    return swept.write(files.FAMILY_RANKS, files.FAMILY_RANKS_SCHEMA, data)


def _family_json(swept: Swept, family: dict[str, Any], useful: dict[Half, np.ndarray]) -> dict[str, Any]:
    order = ranked(family["features"], useful[Half.SELECTION], LAST)
    ends = {half: useful[half][-LAST:].mean(0)[order] for half in Half}
    members = [
        {
            "feature": feature,
            "selected": chosen,
            "usefulness": swept.at_end(feature, Worth.USEFULNESS),
            "log_prob": swept.at_end(feature, Worth.LOG_PROB),
            "heldout": swept.at_end(feature, Worth.USEFULNESS, HELDOUT),
        }
        for feature, chosen in zip(order, ends[Half.SELECTION].tolist(), strict=True)
    ]
    return {
        "name": family["name"],
        "stable": family["stable"],
        "agreement": _agreement(ends[Half.SELECTION], ends[Half.REPORT]),
        "members": members,
    }


def _agreement(one: np.ndarray, other: np.ndarray) -> float | None:
    """Spearman's correlation of the members' worth on the two halves; null where there is no order to speak of."""
    if len(one) < FEWEST or not np.ptp(one) or not np.ptp(other):
        return None
    return float(np.corrcoef(one.argsort().argsort(), other.argsort().argsort())[0, 1])


def _line(swept: Swept, rows: list[dict[str, Any]]) -> str:
    stable = [row for row in rows if row["stable"]]
    where = f"{swept.run.name}: {swept.stage}: members of {len(rows)} families ranked"
    if not stable:
        return f"{where}, none of them stable"
    top = [f"{row['name']} {[member['feature'] for member in row['members'][:3]]}" for row in stable]
    return f"{where}; the most useful of the stable ones: {', '.join(top)}"
