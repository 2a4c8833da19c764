"""Plot data of the trajectory atlas: features × checkpoints, in an order in which formation can be read.

Features are ordered by when they come up and then by what they are worth at the end, both on the streams of the
selection half; what is drawn is measured on the other half. Nothing here needs torch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from formation.features.files import PLOTS
from formation.features.measures.tables import IID
from formation.features.metrics import FeatureMetric, Firing, Half, Worth
from formation.features.snapshots import Snapshot

ATLAS, ATLAS_SCHEMA = f"{PLOTS}/trajectory_atlas.json", "feature-plot-trajectory-atlas/1"
CELLS = 20_000  # figures drawn at most, so that the file stays below 300 kB
LAST = 3  # checkpoints, over which a feature's worth at the end is averaged
DRAWN: dict[str, FeatureMetric] = {
    "active_fraction": Firing.ACTIVE,
    "mean_activation": Firing.ACTIVATION,
    "usefulness": Worth.USEFULNESS,
}

Matrix = Float[np.ndarray, "feature checkpoint"]


def atlas_json(snapshots: Sequence[Snapshot]) -> dict[str, Any]:
    """Matrices of active fraction, mean activation and usefulness (nats), one row a feature.

    Where there are more features than can be drawn, the least useful are left out, and `left_out` says how many.
    """
    activation = matrix(snapshots, Firing.ACTIVATION, Half.SELECTION)
    worth = matrix(snapshots, Worth.USEFULNESS, Half.SELECTION)[:, -LAST:].mean(1)
    most = CELLS // (len(DRAWN) * len(snapshots))
    kept = np.sort(np.argsort(-worth, kind="stable")[:most])
    first = onset(activation)
    order = kept[np.lexsort((kept, -worth[kept], first[kept]))]
    steps = np.array([snapshot.step for snapshot in snapshots])
    return {
        "units": {"active_fraction": "fraction", "mean_activation": "basis", "usefulness": "nats"},
        "half": Half.REPORT.value,
        "steps": steps,
        "features": order,
        "left_out": len(worth) - len(order),
        "onset": [int(steps[place]) if place < len(steps) else None for place in first[order]],
        **{name: _short(matrix(snapshots, metric, Half.REPORT)[order]) for name, metric in DRAWN.items()},
    }


def matrix(snapshots: Sequence[Snapshot], metric: FeatureMetric, half: Half | None = None) -> Matrix:
    """A metric of every feature at every checkpoint on IID streams."""
    return np.stack([snapshot.splits[IID].values(metric, half) for snapshot in snapshots], axis=1)


def onset(activation: Matrix) -> Int[np.ndarray, "feature"]:
    """Index of the first checkpoint at which each feature is half as active as it ever is; their number for a dead one.

    An order to draw in, no birth: those are dated by `formation.features.measures.dating`.
    """
    largest = activation.max(1, keepdims=True)
    risen = (activation >= largest / 2) & (largest > 0)
    return np.asarray(np.where(risen.any(1), risen.argmax(1), activation.shape[1]))


def _short(values: Matrix) -> list[list[float]]:
    """Three significant digits, which no eye tells from more."""
    return [[float(f"{value:.3g}") for value in row] for row in values]
