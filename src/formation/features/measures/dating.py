"""The `feature-birth-analyze` stage: when features were born, became useful, settled, and what was lost of them.

Everything is dated by the gate and the rule of `docs/measures.md` §4 on IID streams of the report half, for candidates
are chosen on the other: a *birth* is that of the mean activation at answer positions, a *useful birth* that of the
usefulness. A feature that is born has *settled* at the first checkpoint from its birth on from which its activation
stays near its end (mean of the last checkpoints), closer than `birth_fraction` of its rise; where fewer than
`consecutive` checkpoints are left, nobody saw it settle. Its *drift* is how far it moves from there to the end.

The gate's p-values are also given corrected over all features and both metrics (Benjamini–Yekutieli); the gate itself
asks for more than they do, a rise beyond random directions. Nothing here needs torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from formation.artifacts import Run
from formation.features import files
from formation.features.measures.birth_summary import summary_json, timeline_json
from formation.features.measures.tables import shares, split_shares
from formation.features.metrics import FeatureMetric, Firing, Half, Worth
from formation.features.snapshots import Snapshot
from formation.features.source import chosen_stages
from formation.features.swept import IID, LAST, Swept, load_swept
from formation.params import WindowParams
from formation.progress import track
from formation.record.analysis import seed_of
from formation.record.births import Birth, Outcome, find_birth
from formation.record.lines import require_source
from formation.record.probe_set import ProbeSet, load_probe_set
from formation.record.reports import FILE as ANALYSIS
from formation.record.reports import SCHEMA as ANALYSIS_SCHEMA
from formation.record.reports import change_json
from formation.record.sources import source_of
from formation.statistics import benjamini_yekutieli

DATED: Mapping[str, FeatureMetric] = {"birth": Firing.ACTIVATION, "useful_birth": Worth.USEFULNESS}


@dataclass(frozen=True)
class Drift:
    """How far a feature moves from the checkpoint at which it has settled to the last; all but the first in [0, 1]."""

    activation: float  # change of its mean activation, as a fraction of its rise
    split_profile: float  # total variation between its splits' shares
    role_profile: float  # total variation between its roles' shares
    streams: float  # (1 − Pearson's correlation over streams of its activation then and at the end) / 2


@dataclass(frozen=True)
class DatedFeature:
    """One feature; `births` has an entry for each of `DATED`, none where the feature is never active."""

    feature: int
    births: Mapping[str, Birth]
    settled: int | None  # index of a checkpoint
    drift: Drift | None


def feature_birth_analyze(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Date every feature of each stage; return the paths of `feature_births.json`.

    Raises `ArtifactError` where basis, snapshots or the births of behaviours are missing, damaged or of anything else,
    `MeasureError` where there are too few checkpoints after warm-up.
    """
    probe = load_probe_set(run)
    return [_analyze(run, stage, probe) for stage in chosen_stages(run, stages)]


def date_features(swept: Swept) -> list[DatedFeature]:
    """Every feature of a stage, in order."""
    active = swept.trajectories(Firing.ACTIVATION, Half.REPORT).max(axis=0) > 0
    found = []
    with track(f"{swept.run.name} births of {swept.stage}", len(active), "features") as bar:
        for feature in range(len(active)):
            found.append(_date(swept, feature) if active[feature] else DatedFeature(feature, {}, None, None))
            bar.advance()
    return found


def _date(swept: Swept, feature: int) -> DatedFeature:
    rule = swept.rule
    births = {}
    for name, metric in DATED.items():
        series = swept.series(feature, metric)
        births[name] = find_birth(series, swept.weights(IID), rule, seed_of(series.name, rule))
    rise = births["birth"].rise
    if rise.outcome is not Outcome.BORN or rise.index is None:
        return DatedFeature(feature, births, None, None)
    values = swept.series(feature, DATED["birth"]).values()
    settled = settles(values, rise.index, rule.birth_fraction * rise.gate.rise, rule)
    drift = None if settled is None else _drift(swept.snapshots, feature, settled, values, rise.gate.rise)
    return DatedFeature(feature, births, settled, drift)


def settles(values: Float[np.ndarray, "checkpoint"], born: int, band: float, rule: WindowParams) -> int | None:
    """First index from `born` on from which `values` stay within `band` of their end, null if it was not seen to."""
    away = np.flatnonzero(np.abs(values - values[-LAST:].mean()) > band)
    first = max(born, int(away[-1]) + 1 if len(away) else 0)
    return first if first <= len(values) - rule.consecutive else None


def _drift(
    snapshots: Sequence[Snapshot], feature: int, settled: int, values: Float[np.ndarray, "checkpoint"], rise: float
) -> Drift:
    then, end = snapshots[settled], snapshots[-1]
    chosen = then.splits[IID].halves[Half.REPORT]
    streams = [one.splits[IID].tracks[Firing.ACTIVATION].sums[feature, chosen] for one in (then, end)]
    return Drift(
        activation=float((values[-LAST:].mean() - values[settled]) / rise),
        split_profile=_moved(split_shares(then)[:, feature], split_shares(end)[:, feature]),
        role_profile=_moved(*(shares(list(one.splits[IID].roles.activation))[:, feature] for one in (then, end))),
        streams=(1 - _correlation(*streams)) / 2,
    )


def _moved(then: Float[np.ndarray, "part"], now: Float[np.ndarray, "part"]) -> float:
    """Total variation between two lists of shares; NaN where there is nothing to share."""
    return float(np.abs(now - then).sum() / 2)


def _correlation(one: Float[np.ndarray, "stream"], other: Float[np.ndarray, "stream"]) -> float:
    """Pearson's correlation, NaN where one never varies."""
    a, b = (x.astype(np.float64) - x.mean(dtype=np.float64) for x in (one, other))
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 0 else np.nan


# --- as files --------------------------------------------------------------------------------------------------------


def _analyze(run: Run, stage: str, probe: ProbeSet) -> Path:
    swept = load_swept(run, stage, probe)
    behaviours = _behaviours(run, probe)
    dated = date_features(swept)
    adjusted = _adjusted(dated)
    features = [_feature_json(swept, one, adjusted) for one in dated]
    origin = {"half": Half.REPORT.value, "split": IID.value, "steps": swept.steps}
    path = swept.write(files.BIRTHS, files.BIRTHS_SCHEMA, {**origin, "rule": _rule(swept), "features": features})
    summary = summary_json(features, behaviours, swept.rule.fdr)
    swept.write(files.BIRTH_SUMMARY, files.BIRTH_SUMMARY_SCHEMA, {**origin, **summary})
    swept.plot("birth_timeline", {**origin, **timeline_json(features, behaviours)})
    print(_line(run, stage, summary))
    return path


def _rule(swept: Swept) -> dict[str, Any]:
    return dict(swept.run.params.section("windows"))


def _behaviours(run: Run, probe: ProbeSet) -> list[dict[str, Any]]:
    """The births of behaviours, with which those of features are compared."""
    remedy = f"formation birth-window-analyze --run {run.name}"
    analysis = run.json(ANALYSIS, ANALYSIS_SCHEMA, remedy)
    require_source(str(run.path(ANALYSIS)), analysis["source"], source_of(run, probe), remedy)
    return list(analysis["births"])


def _adjusted(dated: Sequence[DatedFeature]) -> dict[tuple[int, str], float]:
    """The gates' p-values corrected over features and metrics."""
    p = {(one.feature, name): birth.rise.gate.p for one in dated for name, birth in one.births.items()}
    return dict(zip(p, benjamini_yekutieli(np.array(list(p.values()))).tolist(), strict=True)) if p else {}


def _feature_json(swept: Swept, one: DatedFeature, adjusted: Mapping[tuple[int, str], float]) -> dict[str, Any]:
    """One feature; steps in steps, activations in units of the basis, usefulness in nats."""
    births = {
        name: {
            "metric": DATED[name].value,
            **(change_json(birth.rise) or {}),
            "adjusted_p": adjusted[one.feature, name],
        }
        for name, birth in one.births.items()
    }
    losses = {name: [change_json(loss, sign=-1) for loss in birth.losses] for name, birth in one.births.items()}
    worth = swept.at_end(one.feature, Worth.USEFULNESS)
    return {
        "feature": one.feature,
        "dead": not one.births,
        **{name: births.get(name) for name in DATED},
        "stabilisation_step": None if one.settled is None else swept.steps[one.settled],
        "drift": one.drift,
        "losses": losses.get("birth", []),
        "useful_losses": losses.get("useful_birth", []),
        "usefulness_at_end": {"value": worth.value, "low": worth.low, "high": worth.high, "n": worth.n, "unit": "nats"},
    }


def _line(run: Run, stage: str, summary: Mapping[str, Any]) -> str:
    """What was found, in one line."""
    birth, useful = summary["birth"], summary["useful_birth"]

    def median(part: Mapping[str, Any]) -> str:
        return "" if part["steps"] is None else f" (median step {part['steps']['median']:g})"

    return (
        f"{run.name}: {stage}: of {summary['features']} features {birth['born']} were born{median(birth)}, "
        f"{useful['born']} became useful{median(useful)}, {birth['censored']} and {useful['censored']} too late to tell"
    )
