"""The `feature-compare` stage: two checkpoints in one basis, from their snapshots (`docs/measures.md` §5 *Compare*).

Features are ranked on one half of the probe streams, and what is said of them is measured on the other. Nothing is
computed with the model.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.stage import folder_of_run
from formation.features import files
from formation.features.causes.compare import DATED, Change, CompareSettings, FeatureChange, Ranking, compare, ranked
from formation.features.metrics import Half
from formation.features.moments import Pair, chosen_pair, schedule
from formation.features.plain import plain
from formation.features.snapshot_store import load_snapshots
from formation.features.snapshots import Snapshot
from formation.features.source import basis_digest, chosen_stages

PLOT, PLOT_SCHEMA = "feature_compare", "feature-plot-compare/1"


def feature_compare(
    run: Run, stages: Sequence[str] | None = None, source: int | None = None, target: int | None = None
) -> list[Path]:
    """Write `feature_compare_<source>_vs_<target>.json` of each stage, and its figure's data; return the former.

    Raises `MeasureError` for a step without a checkpoint and `ArtifactError` where the stage was not swept.
    """
    pair = chosen_pair(run, schedule(run), source, target)
    return [_compare_stage(run, stage, pair) for stage in chosen_stages(run, stages)]


def settings_of(run: Run) -> CompareSettings:
    """How differences are tested in this run."""
    rule, draws = run.params.windows, run.params.record.bootstrap_draws
    return CompareSettings(fdr=rule.fdr, draws=draws, confidence=rule.confidence, seed=rule.seed)


def _compare_stage(run: Run, stage: str, pair: Pair) -> Path:
    digest = basis_digest(run, stage, folder_of_run(run).name)
    before, after = load_snapshots(run, stage, [pair.source, pair.target], digest)
    settings = settings_of(run)
    rows = compare(before, after, settings, Half.REPORT)
    order = _order(before, after, settings)
    path = run.path(files.place(stage, files.compared(pair.source, pair.target)))
    origin = {"run": run.name, "stage": stage, "basis": digest, **plain(pair)}
    measured = {
        "split": DATED.value,
        "ranked_on": Half.SELECTION.value,
        "measured_on": Half.REPORT.value,
        "streams": int(after.splits[DATED].halves[Half.REPORT].sum()),
        "settings": plain(settings),
    }
    counts = Counter(row.change for row in rows)
    found = {
        "counts": {change.value: counts[change] for change in Change},
        "rankings": order,
        "features": plain(rows),
    }
    artifacts.write_json(path, {"schema": files.COMPARE_SCHEMA, **origin, **measured, **found})
    _write_plot(run, stage, origin, rows)
    print(_line(run, stage, pair, rows, counts))
    return path


def _order(before: Snapshot, after: Snapshot, settings: CompareSettings) -> dict[str, list[int]]:
    """Features in the order of each ranking, by the half that is not reported."""
    rows = compare(before, after, settings, Half.SELECTION)
    return {by.value: [row.feature for row in ranked(rows, by)] for by in Ranking}


def _write_plot(run: Run, stage: str, origin: dict[str, Any], rows: Sequence[FeatureChange]) -> None:
    """What a scatter of the two differences needs, features in columns."""
    there = [row for row in rows if row.change is not Change.ABSENT]
    columns = {
        "feature": [row.feature for row in there],
        "change": [row.change.value for row in there],
        **{f"activation_{part}": [getattr(row.activation, part) for row in there] for part in ("value", "low", "high")},
        **{f"usefulness_{part}": [getattr(row.usefulness, part) for row in there] for part in ("value", "low", "high")},
        "profile": [row.profile for row in there],
    }
    path = run.path(files.place(stage, f"{files.PLOTS}/{PLOT}.json"))
    left_out = len(rows) - len(there)
    artifacts.write_json(
        path, {"schema": PLOT_SCHEMA, **origin, "left_out": left_out, "unit": "nats", **plain(columns)}
    )


def _line(run: Run, stage: str, pair: Pair, rows: Sequence[FeatureChange], counts: Counter[Change]) -> str:
    told = ", ".join(f"{counts[change]} {change}" for change in Change if counts[change])
    top = max(rows, key=lambda row: abs(row.usefulness.value))
    return (
        f"{run.name}: {stage}: step {pair.source} to {pair.target}: features {told}; most useful change "
        f"{top.usefulness.value:+.3f} nats (feature {top.feature})"
    )
