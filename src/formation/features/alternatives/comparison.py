"""The `feature-alternatives` stage: do births depend on what is called a feature?

Beside the shared basis stand principal components, neurons and a crosscoder over checkpoints
(`formation.features.alternatives.kinds`), measured on the same reads and dated by the same rule.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.stage import load_for_run
from formation.components.material import materials
from formation.components.store import DATED
from formation.features import files, store
from formation.features.alternatives.births import Curves, Dated, against, births_json, date
from formation.features.alternatives.kinds import Kind
from formation.features.alternatives.measure import Fitted, Setting, choose, fit_kinds, follow
from formation.features.metrics import Half
from formation.features.plain import plain
from formation.features.store import StoredBasis
from formation.record.probe_set import load_probe_set
from formation.record.resumable import one_thread
from formation.statistics import interval, resamples

PLOT_SCHEMA = "feature-plot-alternatives/1"
SHOWN = 6  # curves of single features of each kind in the figure


def feature_alternatives(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Write `alternatives.json` of each stage, and its figure's data; return the former.

    Raises `ArtifactError` where the stage was not swept.
    """
    probe = load_probe_set(run)
    dataset, material = load_for_run(run), materials(probe, run.params.record)[DATED]
    paths = []
    for stage in store.chosen_stages(run, stages):
        stored = store.load_basis(run, stage, probe.benchmark)
        (snapshot,) = store.load_snapshots(run, stage, [run.params.training.steps], stored.digest)
        setting = Setting(run, stored, material, snapshot.splits[DATED].halves)
        with one_thread():
            fitted = fit_kinds(setting, dataset)
            curves = follow(setting, fitted, choose(setting, fitted))
        paths.append(_write(run, stored, fitted, {Kind(one.kind): one for one in curves}))
    return paths


def _write(run: Run, stored: StoredBasis, fitted: Fitted, curves: Mapping[Kind, Curves]) -> Path:
    stage, dated = stored.basis.stage, {kind: date(one, run.params) for kind, one in curves.items()}
    origin = {"run": run.name, "stage": stage, "basis": stored.digest}
    about = {
        "split": DATED.value,
        "chosen_on": Half.SELECTION.value,
        "chosen_at": run.params.training.steps,
        "measured_on": Half.REPORT.value,
        "unit": "nats",
        "confidence": run.params.windows.confidence,
    }
    kinds = [_kind(run, curves, dated, kind) for kind in curves]
    missing = [{"kind": kind.value, "reason": reason} for kind, reason in fitted.missing.items()]
    path = run.path(files.place(stage, files.ALTERNATIVES))
    artifacts.write_json(
        path, {"schema": files.ALTERNATIVES_SCHEMA, **origin, **about, "kinds": plain(kinds), "missing": missing}
    )
    plot = run.path(files.place(stage, f"{files.PLOTS}/{files.ALTERNATIVES}"))
    drawn = [_plot(run, one, dated[kind]) for kind, one in curves.items()]
    artifacts.write_json(plot, {"schema": PLOT_SCHEMA, **origin, "unit": "nats", "kinds": plain(drawn)})
    print(_line(run, stage, kinds))
    return path


def _kind(run: Run, curves: Mapping[Kind, Curves], dated: Mapping[Kind, Dated | None], kind: Kind) -> dict[str, Any]:
    """One kind, and its births against the shared basis' at the same checkpoints."""
    own, shared = curves[kind], curves[Kind.SHARED]
    theirs = (
        dated[Kind.SHARED] if len(own.steps) == len(shared.steps) else date(shared.at(own.steps.tolist()), run.params)
    )
    return {
        "kind": kind.value,
        "features": own.count,
        "checkpoints": len(own.steps),
        "apart": float(np.ptp(own.steps) / (len(own.steps) - 1) / run.params.training.checkpoint_every),
        "meaningful": own.meaningful,
        "left_out": own.meaningful - len(own.features),
        **births_json(own, dated[kind], run.params),
        "against_shared_basis": None if kind is Kind.SHARED else against(dated[kind], theirs, run.params),
    }


def _plot(run: Run, curves: Curves, dated: Dated | None) -> dict[str, Any]:
    """What the figure needs: usefulness together with bounds, some features' alone, and births."""
    if dated is None:
        return {"kind": curves.kind, "steps": curves.steps, "features": []}
    rule, total = run.params.windows, curves.reads.sum()
    weights = resamples(len(curves.reads), run.params.record.bootstrap_draws, rule.seed)
    together = curves.series(None)
    low, high = interval(together.draws(weights), rule.confidence)
    features = curves.features[:SHOWN]
    return {
        "kind": curves.kind,
        "steps": curves.steps,
        "together": {"value": together.values(), "low": low, "high": high, "birth": dated.together.step},
        "births": [one.step for one in dated.features],
        "features": [
            {
                "feature": feature,
                "usefulness": curves.usefulness[place].sum(0) / total,
                "active_fraction": curves.active[place],
                "written": curves.written[place],
            }
            for place, feature in enumerate(features)
        ],
        "left_out": len(curves.features) - len(features),
    }


def _line(run: Run, stage: str, kinds: Sequence[Mapping[str, Any]]) -> str:
    """What is born together in every kind, in one line."""

    def told(one: Mapping[str, Any]) -> str:
        births = one["births"]
        when = one["reason"] if births is None else f"step {births['together']['step'] or 'none'}"
        return f"{one['kind'].replace('_', ' ')} {when} ({one['meaningful']} meaningful)"

    return f"{run.name}: {stage}: usefulness is born: {'; '.join(told(one) for one in kinds)}"
