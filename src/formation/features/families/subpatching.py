"""The `feature-family-subpatch` stage: how much of a formation each ranked subset carries (`docs/measures.md` §6).

The activations that a subset has behind the window in which retrieval was born are put into the checkpoint before it,
on the streams that report. Beside each stands what as many features drawn from outside its family carry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from formation.artifacts import Run
from formation.benchmark.streams import SplitName
from formation.components.fractions import change_of, fraction
from formation.components.material import Material, materials
from formation.features import files
from formation.features.basis import Basis
from formation.features.causes.patch import Side, side
from formation.features.families.subset_measure import share_carried, subpatches
from formation.features.families.subsets import CLUSTER, Subset, SweptSubsets, load_subsets
from formation.features.halves import part_of
from formation.features.measures.above import above, whole_stage
from formation.features.metrics import Half
from formation.features.moments import Pair, default_pair, schedule
from formation.features.params import Section
from formation.features.source import chosen_stages
from formation.features.store import load_basis
from formation.features.swept import HELDOUT, IID
from formation.progress import Tracker, track
from formation.record.resumable import one_thread
from formation.statistics import permutation_p, resamples
from formation.training import checkpoints

PATCHED_ON = (IID, HELDOUT)
CHANCE = 20  # sets of other features beside each subset, on IID streams


@dataclass(frozen=True)
class _Exchange:
    """Two checkpoints on the reported streams of one split."""

    material: Material
    receiver: Side
    donor: Side
    weights: Float[np.ndarray, "draw stream"]


def feature_family_subpatch(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Write `feature_family_subpatches.json` of each stage; return the paths.

    Raises `ArtifactError` where the subsets of the present families were not measured, or a checkpoint is missing.
    """
    return [_patch_stage(load_subsets(run, stage)) for stage in chosen_stages(run, stages)]


def _patch_stage(found: SweptSubsets) -> Path:
    stage = found.stage
    pair = default_pair(stage.run, schedule(stage.run))
    rows: list[dict[str, Any]] = []
    if found.subsets:
        with one_thread():
            rows = _measure(found, pair)
    data = {
        "source_step": pair.source,
        "target_step": pair.target,
        "rule": pair.rule,
        "measured_on": Half.REPORT.value,
        "unit": "nats",
        "confidence": stage.rule.confidence,
        "chance_sets": CHANCE,
        "patches": rows,
    }
    print(_line(found, pair, rows))
    return stage.write(files.FAMILY_SUBPATCHES, files.FAMILY_SUBPATCHES_SCHEMA, data)


def _measure(found: SweptSubsets, pair: Pair) -> list[dict[str, Any]]:
    """Every subset on every split."""
    run, stage = found.stage.run, found.stage.stage
    basis = load_basis(run, stage, found.stage.probe.benchmark).basis
    rows = []
    with track(f"{run.name} sub-patches", len(PATCHED_ON) * len(found.subsets), "subsets") as bar:
        for split, exchange in _exchanges(found, basis, pair).items():
            rows += _on_split(found, basis, split, exchange, bar)
    return rows


def _exchanges(found: SweptSubsets, basis: Basis, pair: Pair) -> dict[SplitName, _Exchange]:
    run, stage = found.stage.run, found.stage
    every = materials(stage.probe, run.params.record)
    models = [checkpoints.load_model(run, step) for step in (pair.source, pair.target)]
    out = {}
    for split in PATCHED_ON:
        material, batch = part_of(every[split], stage.half(Half.REPORT, split)), run.params.record.batch
        whole = [whole_stage(model, material, basis.stage, batch) for model in models]
        # everything above the stage is the receiver's, so that the donor's model is not needed there
        receiver, donor = (side(above(models[0], basis.stage, one, material, batch), basis) for one in whole)
        seed = (stage.rule.seed, list(SplitName).index(split))
        weights = resamples(material.streams, run.params.record.bootstrap_draws, seed)
        out[split] = _Exchange(material, receiver, donor, weights)
    return out


def _on_split(
    found: SweptSubsets, basis: Basis, split: SplitName, exchange: _Exchange, bar: Tracker
) -> list[dict[str, Any]]:
    rows = []
    for subset in found.subsets:
        one = subpatches(exchange.receiver, exchange.donor, basis, {subset.name: subset.features}, exchange.material)
        gain, confidence = one[subset.name].gain, found.stage.rule.confidence
        share = fraction(gain, exchange.weights, confidence)
        rows.append(
            {
                "subset": subset.name,
                "family": subset.family,
                "size": len(subset.features),
                "split": split.value,
                "share": vars(share),
                "change": vars(change_of(gain, exchange.weights, confidence)),
                "chance": _chance(found, basis, subset, exchange, share.value) if split is IID else None,
            }
        )
        bar.advance()
    return rows


def _chance(
    found: SweptSubsets, basis: Basis, subset: Subset, exchange: _Exchange, value: float | None
) -> dict[str, Any] | None:
    """What as many features from outside the family carry; null where there are not as many, or nothing to carry."""
    families = found.stage.read(files.FAMILIES, files.FAMILIES_SCHEMA, CLUSTER)["families"]
    others = [feature for one in families if one["name"] != subset.family for feature in one["features"]]
    if value is None or len(others) < len(subset.features):
        return None
    draw = np.random.default_rng([found.stage.run.params.of(Section).seed, len(subset.features)])
    shares = []
    for _ in range(CHANCE):
        chosen = draw.choice(others, len(subset.features), replace=False).tolist()
        shares.append(share_carried(exchange.receiver, exchange.donor, basis, chosen, exchange.material.answer) or 0.0)
    null = np.array(shares)
    return {"mean": null.mean(), "high": null.max(), "p": float(permutation_p(value, null))}


def _line(found: SweptSubsets, pair: Pair, rows: Sequence[Mapping[str, Any]]) -> str:
    where = f"{found.stage.run.name}: {found.stage.stage}: step {pair.source} to {pair.target}"
    told = [
        f"{row['subset']} {row['share']['value']:.2f}"
        for row in rows
        if row["split"] == IID.value and row["share"]["value"] is not None
    ]
    return f"{where}: share of the margin's change carried: {', '.join(told) if told else 'no subset to patch'}"
