"""What a sweep of features says, as tables: rows by checkpoint and feature, checkpoints, and profiles at the end.

Units: fractions and correlations in [0, 1] and [−1, 1]; activations and scores in units of the basis (of its scale, the
decoder's rows having unit length); what a feature is worth in nats. Nothing here needs torch.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from formation.benchmark.streams import SplitName
from formation.components.roles import Role
from formation.features import files
from formation.features.metrics import FeatureMetric, Firing, Half, Worth
from formation.features.plain import plain
from formation.features.snapshots import Snapshot, SplitSnapshot
from formation.params import WindowParams

IID = SplitName.TEST_IID
PRESENT = 0.01  # active fraction at answer positions from which on a feature counts as active at a checkpoint

# names of a row's lists, one value a split
_TRACKS: dict[str, FeatureMetric] = {
    "active": Firing.ACTIVE,
    "mean": Firing.ACTIVATION,
    "score": Firing.SCORE,
    "usefulness": Worth.USEFULNESS,
    "log_prob": Worth.LOG_PROB,
    "zero": Worth.ZERO,
    "zero_log_prob": Worth.ZERO_LOG_PROB,
    "attribution": Worth.ATTRIBUTION,
}


def splits_of(snapshot: Snapshot) -> list[SplitName]:
    """The splits of a sweep in the order of every list."""
    return [name for name in SplitName if name in snapshot.splits]


def trajectory_rows(snapshots: Sequence[Snapshot]) -> Iterator[dict[str, Any]]:
    """One row for each checkpoint and feature, checkpoints in order; `docs/artifacts.md` says what stands in it."""
    for snapshot in snapshots:
        columns = plain({name: values.T for name, values in _columns(snapshot).items()})
        for feature in range(_features(snapshot)):
            row = {name: values[feature] for name, values in columns.items()}
            yield {"schema": files.TRAJECTORIES_SCHEMA, "step": snapshot.step, "feature": feature, **row}


def _columns(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """Every figure of a checkpoint: those of splits as [split, feature], those of roles as [role, feature]."""
    parts = [snapshot.splits[name] for name in splits_of(snapshot)]
    out = {name: np.stack([part.values(metric) for part in parts]) for name, metric in _TRACKS.items()}
    out["when_active"] = np.stack([part.when_active() for part in parts])
    out["correctness"] = np.stack([part.correctness for part in parts])
    there = [part.summary for part in parts if part.summary is not None]
    if len(there) == len(parts):
        out["active_all"] = np.stack([one.active for one in there])
        out["mean_all"] = np.stack([one.activation for one in there])
    iid = snapshot.splits[IID]
    out["report"] = np.stack([iid.values(Worth.USEFULNESS, Half.REPORT), iid.values(Worth.LOG_PROB, Half.REPORT)])
    return out | {"role_active": iid.roles.active, "role_mean": iid.roles.activation}


# --- checkpoints -----------------------------------------------------------------------------------------------------


def summary_json(snapshots: Sequence[Snapshot], rule: WindowParams) -> dict[str, Any]:
    """Every checkpoint in one entry. Usefulness is that on the report half of IID streams."""
    return _plain(
        {
            "present": PRESENT,
            "placebo_quantile": rule.placebo_quantile,
            "splits": [name.value for name in splits_of(snapshots[0])],
            "checkpoints": [_checkpoint(snapshot, rule) for snapshot in snapshots],
        }
    )


def _checkpoint(snapshot: Snapshot, rule: WindowParams) -> dict[str, Any]:
    iid, summary = snapshot.splits[IID], snapshot.splits[IID].summary
    active, worth = iid.values(Firing.ACTIVE), iid.values(Worth.USEFULNESS, Half.REPORT)
    useful = (worth > 0) & (worth > placebo_bound(iid, Worth.USEFULNESS, rule.placebo_quantile))
    return {
        "step": snapshot.step,
        "features": len(active),
        "active_features": int((active >= PRESENT).sum()),
        "mean_active_fraction": active.mean(),
        "l0": active.sum(),
        "explained_variance": summary.explained if summary else None,
        "explained_beyond_tokens": summary.beyond_tokens if summary else None,
        "usefulness": worth.sum(),
        "useful_features": int(useful.sum()),
        "useful_share": worth[useful].sum() / worth[worth > 0].sum() if useful.any() else 0.0,
        "accuracy": {name.value: one.summary.accuracy for name, one in snapshot.splits.items() if one.summary},
    }


def placebo_bound(one: SplitSnapshot, metric: Worth, quantile: float) -> Float[np.ndarray, "feature"]:
    """What a share `quantile` of random directions in each feature's place stay below, on the report half."""
    sums = one.tracks[metric].placebos
    if sums is None:
        return np.full(len(one.correctness), -np.inf)
    reads = one.reads[one.halves[Half.REPORT]].sum()
    return np.asarray(np.quantile(sums[list(Half).index(Half.REPORT)] / reads, quantile, axis=1, method="higher"))


# --- profiles --------------------------------------------------------------------------------------------------------


def profiles_json(snapshots: Sequence[Snapshot]) -> dict[str, Any]:
    """Every feature at the last checkpoint, split by split and role by role, and its splits' shares over training."""
    last = snapshots[-1]
    names = splits_of(last)
    roles = {name: last.splits[name].roles for name in names}
    return _plain(
        {
            "step": last.step,
            "splits": [name.value for name in names],
            "roles": [role.value for role in Role],
            "places": {name.value: roles[name].places for name in names},
            "steps": [snapshot.step for snapshot in snapshots],
            "features": [
                {
                    "feature": feature,
                    "share": shares,
                    "active": {name.value: roles[name].active[:, feature] for name in names},
                    "mean": {name.value: roles[name].activation[:, feature] for name in names},
                }
                for feature, shares in enumerate(split_shares(last).T)
            ],
        }
    )


def split_shares(snapshot: Snapshot) -> Float[np.ndarray, "split feature"]:
    """Each split's share of a feature's mean activation at answer positions; NaN where it is never active."""
    return shares([snapshot.splits[name].values(Firing.ACTIVATION) for name in splits_of(snapshot)])


def shares(means: Sequence[Float[np.ndarray, "feature"]]) -> Float[np.ndarray, "part feature"]:
    """Each part's share of the sum over parts, NaN where there is nothing to share."""
    parts = np.stack(means).astype(np.float64)
    total = parts.sum(0)
    return np.asarray(np.divide(parts, total, out=np.full(parts.shape, np.nan), where=total > 0))


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    return dict(plain(data))


def _features(snapshot: Snapshot) -> int:
    return len(snapshot.splits[IID].correctness)
