"""Which features of a snapshot are causally meaningful: removing one costs margin, and more than chance does.

On the half of the probe streams that selects, a feature must cost more than nothing (a paired bootstrap over streams,
corrected over all features: Benjamini–Yekutieli) and more than nearly all random directions that are taken away in its
place. Nothing here needs the model, nor torch.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from formation.errors import MeasureError
from formation.features.causes.compare import DATED
from formation.features.metrics import Half, Worth
from formation.features.snapshots import Snapshot, SplitSnapshot
from formation.params import Params
from formation.statistics import Estimate, benjamini_yekutieli, ratio, ratio_draws, resamples, rise_p


def meaningful_features(snapshot: Snapshot, params: Params) -> list[int]:
    """Features that are meaningful at a checkpoint, the most useful first."""
    split, rule = snapshot.splits[DATED], params.windows
    chosen = split.halves[Half.SELECTION]
    reads, sums = split.reads[chosen], split.tracks[Worth.USEFULNESS].sums[:, chosen].T.astype(np.float64)
    weights = resamples(len(reads), params.record.bootstrap_draws, rule.seed)
    return meaningful(sums, reads, weights, rule.fdr, placebo_level(split, Half.SELECTION, rule.placebo_quantile))


def meaningful(
    usefulness: Float[np.ndarray, "stream feature"],
    reads: Float[np.ndarray, "stream"],
    weights: Float[np.ndarray, "draw stream"],
    fdr: float,
    placebos: Float[np.ndarray, "feature"] | float = 0.0,
) -> list[int]:
    """Features whose usefulness, summed over the reads of each stream, is above 0 and above that of their placebos."""
    value = usefulness.sum(0) / reads.sum()
    adjusted = benjamini_yekutieli(rise_p(value, ratio_draws(weights, usefulness, reads)))
    enough = (adjusted <= fdr) & (value > placebos)
    return [int(feature) for feature in np.argsort(-value, kind="stable") if enough[feature]]


def placebo_level(split: SplitSnapshot, half: Half, quantile: float) -> Float[np.ndarray, "feature"]:
    """What that share of a feature's placebos cost at most, in nats of margin."""
    placebos = split.tracks[Worth.USEFULNESS].placebos
    if placebos is None:
        raise MeasureError("usefulness: no placebos; expected a snapshot of the split whose births are dated")
    own = placebos[list(Half).index(half)].astype(np.float64) / split.reads[split.halves[half]].sum()
    return np.asarray(np.quantile(own, quantile, axis=1, method="higher"))


def reported_usefulness(snapshot: Snapshot, features: Sequence[int], params: Params) -> list[Estimate]:
    """What removing each feature costs on the reported half, in nats of margin."""
    split, rule = snapshot.splits[DATED], params.windows
    chosen = split.halves[Half.REPORT]
    sums = split.tracks[Worth.USEFULNESS].sums[list(features)][:, chosen].astype(np.float64)
    reads = split.reads[chosen]
    weights = resamples(len(reads), params.record.bootstrap_draws, rule.seed)
    return [ratio(own, reads, weights, rule.confidence) for own in sums]
