"""The `feature-patch` stage: the features of two checkpoints exchanged (`docs/measures.md` §5 *Patch*).

Features are chosen by how much their usefulness differs on one half of the probe streams; patches are scored on the
other. Each is exchanged alone, and all together, in both directions, swapped and kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.streams import SplitName
from formation.components.fractions import Gain, change_of, fraction
from formation.components.material import Material, materials
from formation.components.store import DATED
from formation.errors import MeasureError
from formation.features import files, store
from formation.features.basis import Basis
from formation.features.causes.patch import FeaturePatch, PatchMode, Side, identity_error, patch_features, side
from formation.features.halves import part_of
from formation.features.measures.above import above, whole_stage
from formation.features.metrics import Half, Worth
from formation.features.moments import Pair, chosen_pair, schedule
from formation.features.plain import plain
from formation.features.snapshots import Snapshot
from formation.model import Transformer
from formation.progress import Tracker, track
from formation.record.probe_set import load_probe_set
from formation.record.resumable import one_thread
from formation.statistics import ratio, resamples, stream_sums
from formation.training import checkpoints

PATCHED_ON = (SplitName.TEST_IID, SplitName.HELDOUT_PAIRS)
INTO_SOURCE, OUT_OF_TARGET = "into_source", "out_of_target"
METRICS: Mapping[str, Callable[[Tensor], Tensor]] = {"margin": lambda margin: margin, "log_prob": F.logsigmoid}
TOP = 8  # features exchanged where none are named
PLOT, PLOT_SCHEMA = "feature_patch", "feature-plot-patch/1"


@dataclass(frozen=True)
class Setting:
    """What is the same for every patch of a stage."""

    run: Run
    basis: Basis
    pair: Pair
    sets: Sequence[tuple[int, ...]]  # features exchanged together
    materials: Mapping[SplitName, Material]  # of the reported half
    weights: Mapping[SplitName, Float[np.ndarray, "draw stream"]]

    @property
    def confidence(self) -> float:
        """Of every interval."""
        return self.run.params.windows.confidence


def feature_patch(
    run: Run,
    stages: Sequence[str] | None = None,
    source: int | None = None,
    target: int | None = None,
    features: Sequence[int] | None = None,
) -> list[Path]:
    """Write `feature_patch_<source>_vs_<target>.json` of each stage, and its figure's data; return the former.

    Raises `MeasureError` for a step without a checkpoint or a feature that the basis does not have, and
    `ArtifactError` where the stage was not swept.
    """
    pair = chosen_pair(run, schedule(run), source, target)
    return [_patch_stage(run, stage, pair, features) for stage in store.chosen_stages(run, stages)]


def _patch_stage(run: Run, stage: str, pair: Pair, features: Sequence[int] | None) -> Path:
    probe = load_probe_set(run)
    stored = store.load_basis(run, stage, probe.benchmark)
    before, after = store.load_snapshots(run, stage, [pair.source, pair.target], stored.digest)
    chosen = most_changed(before, after, TOP) if features is None else _named(stored.basis, features)
    scored = {split: materials(probe, run.params.record)[split] for split in PATCHED_ON}
    setting = Setting(run, stored.basis, pair, sets_of(chosen), *_reported(run, scored, after))
    splits = _measure(setting)
    path = run.path(files.place(stage, files.patched(pair.source, pair.target)))
    origin = {"run": run.name, "stage": stage, "basis": stored.digest, **plain(pair)}
    about = {
        "features": list(chosen),
        "chosen": f"largest |usefulness changed|, at most {TOP}" if features is None else "those asked for",
        "chosen_on": Half.SELECTION.value,
        "measured_on": Half.REPORT.value,
        "confidence": setting.confidence,
        "unit": "nats",
    }
    artifacts.write_json(path, {"schema": files.PATCH_SCHEMA, **origin, **about, "exchanges": splits})
    plot = run.path(files.place(stage, f"{files.PLOTS}/{PLOT}.json"))
    artifacts.write_json(plot, {"schema": PLOT_SCHEMA, **origin, "features": list(chosen), "bars": _bars(splits)})
    print(_line(run, stage, pair, splits))
    return path


def most_changed(before: Snapshot, after: Snapshot, most: int) -> list[int]:
    """Features whose usefulness differs most on the half that selects, the largest change first; never one without."""
    earlier, later = (one.splits[DATED].values(Worth.USEFULNESS, Half.SELECTION) for one in (before, after))
    change = np.abs(later - earlier)
    return [int(feature) for feature in np.argsort(-change, kind="stable")[:most] if change[feature] > 0]


def sets_of(features: Sequence[int]) -> list[tuple[int, ...]]:
    """Each feature alone, and all together where there are several; none at all is one empty set."""
    alone: list[tuple[int, ...]] = [(feature,) for feature in features]
    return alone if len(features) == 1 else [*alone, tuple(features)]


def _named(basis: Basis, features: Sequence[int]) -> list[int]:
    chosen = list(dict.fromkeys(features))
    for feature in chosen:
        if not 0 <= feature < basis.latents:
            raise MeasureError(
                f"--feature {feature}: expected one of 0 to {basis.latents - 1}, those of the basis of {basis.stage}"
            )
    return chosen


def _reported(
    run: Run, scored: Mapping[SplitName, Material], snapshot: Snapshot
) -> tuple[dict[SplitName, Material], dict[SplitName, Float[np.ndarray, "draw stream"]]]:
    """The reported half of each split, and draws of its streams."""
    parts = {split: part_of(one, snapshot.splits[split].halves[Half.REPORT]) for split, one in scored.items()}
    draws, seed = run.params.record.bootstrap_draws, run.params.windows.seed
    weights = {s: resamples(m.streams, draws, (seed, list(SplitName).index(s))) for s, m in parts.items()}
    return parts, weights


# --- measuring -------------------------------------------------------------------------------------------------------


def _measure(setting: Setting) -> list[dict[str, Any]]:
    """Every exchange: one split and direction with all its patches."""
    models = [checkpoints.load_model(setting.run, step) for step in (setting.pair.source, setting.pair.target)]
    label = f"{setting.run.name} feature patches"
    total = len(setting.materials) * 2 * len(setting.sets) * len(PatchMode)
    with one_thread(), track(label, total, "patches") as bar:
        return [one for split in setting.materials for one in _exchanges(setting, models, split, bar)]


def _exchanges(
    setting: Setting, models: Sequence[Transformer], split: SplitName, bar: Tracker
) -> Iterator[dict[str, Any]]:
    """Both directions on a split."""
    ends, answer = [_side(setting, model, split) for model in models], setting.materials[split].answer
    for direction, (receiver, donor) in ((INTO_SOURCE, ends), (OUT_OF_TARGET, ends[::-1])):
        patches = []
        for mode in PatchMode:
            for features in setting.sets:
                patches.append(patch_features(receiver, donor, setting.basis, features, mode, answer))
                bar.advance()
        every = patch_features(receiver, donor, setting.basis, range(setting.basis.latents), PatchMode.SWAP, answer)
        error = identity_error(receiver, donor, setting.basis, answer)
        yield {
            "split": split.value,
            "direction": direction,
            **plain(_ends(setting, split, patches, error)),
            "all_features": plain(_carried(setting, split, every)),  # of the basis; the residual stays
            "patches": [plain(_row(setting, split, patch)) for patch in patches],
        }


def _side(setting: Setting, model: Transformer, split: SplitName) -> Side:
    material, batch = setting.materials[split], setting.run.params.record.batch
    stage = setting.basis.stage
    return side(above(model, stage, whole_stage(model, material, stage, batch), material, batch), setting.basis)


def _ends(setting: Setting, split: SplitName, patches: Sequence[FeaturePatch], error: float) -> dict[str, Any]:
    """What stands beside every patch: both checkpoints, the whole exchange, and what must be nothing."""
    one = patches[0]
    ends = {"receiver": one.receiver, "donor": one.donor, "whole": one.whole}
    return {
        "n": len(one.receiver),
        "margin": {name: float(values.double().mean()) for name, values in ends.items()},
        **{
            f"{name}_whole_gain": change_of(
                _gain(setting, split, one, seen), setting.weights[split], setting.confidence
            )
            for name, seen in METRICS.items()
        },
        "receiver_error": one.receiver_error,
        "donor_error": one.donor_error,
        "no_op_error": max(float(patch.no_op.abs().max()) for patch in patches),
        "identity_error": error,
    }


def _row(setting: Setting, split: SplitName, patch: FeaturePatch) -> dict[str, Any]:
    """One patch: what is exchanged, and what it carries."""
    return {"mode": patch.mode.value, "features": patch.features, **_carried(setting, split, patch)}


def _carried(setting: Setting, split: SplitName, patch: FeaturePatch) -> dict[str, Any]:
    """What a patch gains, and which share of what the whole state gains."""
    weights, confidence = setting.weights[split], setting.confidence
    found: dict[str, Any] = {}
    for name, seen in METRICS.items():
        gain = _gain(setting, split, patch, seen)
        found[f"{name}_gain"] = ratio(gain.gained, gain.counts, weights, confidence)
        found[f"{name}_carried"] = fraction(gain, weights, confidence)
    return found


def _gain(setting: Setting, split: SplitName, patch: FeaturePatch, seen: Callable[[Tensor], Tensor]) -> Gain:
    """What a patch gains, beside what the donor's whole state gains, by stream."""
    material = setting.materials[split]
    stream = material.stream.numpy()

    def sums(values: Tensor) -> Float[np.ndarray, "stream"]:
        return stream_sums((seen(values) - seen(patch.receiver)).double().numpy(), stream, material.streams)

    counts = np.bincount(stream, minlength=material.streams).astype(np.float64)
    return Gain(sums(patch.patched), sums(patch.whole), counts)


# --- told ------------------------------------------------------------------------------------------------------------


def _bars(exchanges: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What a bar chart of carried shares needs, patch by patch."""
    return [
        {
            **{name: exchange[name] for name in ("split", "direction")},
            **{name: row[name] for name in ("mode", "features")},
            "gain": row["log_prob_gain"],
            "carried": row["log_prob_carried"],
        }
        for exchange in exchanges
        for row in exchange["patches"]
    ]


def _line(run: Run, stage: str, pair: Pair, exchanges: Sequence[Mapping[str, Any]]) -> str:
    """What all chosen features together carry in both directions, on the split whose births are dated."""
    ends = {one["direction"]: one for one in exchanges if one["split"] == DATED.value}
    swapped = {
        direction: [row for row in one["patches"] if row["mode"] == PatchMode.SWAP.value][-1]
        for direction, one in ends.items()
    }
    into, out = (_share(swapped[direction]["log_prob_carried"]["value"]) for direction in (INTO_SOURCE, OUT_OF_TARGET))
    every = {direction: _share(one["all_features"]["log_prob_carried"]["value"]) for direction, one in ends.items()}
    no_op = max(one["no_op_error"] for one in ends.values())
    return (
        f"{run.name}: {stage}: step {pair.source} to {pair.target}: {len(swapped[INTO_SOURCE]['features'])} features "
        f"carry {into} of the whole state's log-probability into the source, {out} out of the target (all features "
        f"{every[INTO_SOURCE]}, {every[OUT_OF_TARGET]}); no-op {no_op:g}"
    )


def _share(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.2f}"
