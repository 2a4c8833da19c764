"""Which checkpoints a comparison looks at: those asked for, else the ends of the window in which retrieval was born.

Nothing here needs torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from formation.artifacts import Run
from formation.benchmark.streams import SplitName
from formation.errors import ArtifactError, MeasureError
from formation.record.births import Outcome
from formation.record.lines import require_source
from formation.record.probe_set import load_probe_set
from formation.record.reports import FILE as ANALYSIS
from formation.record.reports import SCHEMA as ANALYSIS_SCHEMA
from formation.record.series import Metric
from formation.record.sources import source_of

RETRIEVAL = (SplitName.TEST_IID.value, Metric.KEY_FLIP.value)
NEAR = 2  # checkpoints named on either side of a step that has none


@dataclass(frozen=True)
class Pair:
    """Two checkpoints, the earlier first, and in words how they were chosen."""

    source: int
    target: int
    rule: str


def chosen_pair(run: Run, steps: Sequence[int], source: int | None = None, target: int | None = None) -> Pair:
    """The checkpoints to compare; `steps` are those there are, in order.

    What is not asked for is an end of the window that holds the birth of retrieval, or of the schedule where there is
    none. Raises `MeasureError` for a step without a checkpoint, naming those near it, and for a pair that is none;
    `ArtifactError` where the windows are needed and were not looked for.
    """
    for name, step in (("--source", source), ("--target", target)):
        if step is not None:
            require_step(run, steps, step, name)
    if source is not None and target is not None:
        pair = Pair(source, target, "the checkpoints asked for")
    else:
        default = default_pair(run, steps)
        asked = " but for the one asked for" if (source, target) != (None, None) else ""
        pair = Pair(
            default.source if source is None else source,
            default.target if target is None else target,
            default.rule + asked,
        )
    if pair.source >= pair.target:
        raise MeasureError(
            f"run {run.name}: --source {pair.source} and --target {pair.target}: expected the source before the target"
        )
    return pair


def default_pair(run: Run, steps: Sequence[int]) -> Pair:
    """The first and last checkpoint of the window that holds the birth of retrieval, or else of the schedule."""
    analysis = _analysis(run)
    split, metric = RETRIEVAL
    birth = next(one for one in analysis["births"] if (one["split"], one["metric"]) == RETRIEVAL)
    if birth["outcome"] != Outcome.BORN:
        why = f"{metric} on {split} is {birth['outcome'].replace('_', ' ')}"
        return Pair(steps[0], steps[-1], f"first and last checkpoint: {why}")
    for window in analysis["windows"]:
        if window["first_step"] <= birth["step"] <= window["last_step"]:
            why = f"the window of retrieval, {window['name']!r}: {metric} on {split} is born at step {birth['step']}"
            return Pair(window["first_step"], window["last_step"], why)
    why = f"{metric} on {split} is born at step {birth['step']}, in no window"
    return Pair(steps[0], steps[-1], f"first and last checkpoint: {why}")


def require_step(run: Run, steps: Sequence[int], step: int, name: str) -> None:
    """Refuse a step that has no checkpoint, naming those near it."""
    if step in steps:
        return
    before, behind = [one for one in steps if one < step][-NEAR:], [one for one in steps if one > step][:NEAR]
    raise MeasureError(
        f"run {run.name}: {name} {step}: no checkpoint; expected a step that has one, near it: "
        f"{', '.join(map(str, [*before, *behind]))}"
    )


def schedule(run: Run) -> list[int]:
    """Steps of the run's checkpoints as its parameters plan them; `formation.training.checkpoints` needs torch."""
    training = run.params.training
    return sorted({*range(0, training.steps, training.checkpoint_every), training.steps})


def _analysis(run: Run) -> dict[str, Any]:
    remedy = f"formation birth-window-analyze --run {run.name}"
    analysis = run.json(ANALYSIS, ANALYSIS_SCHEMA, remedy)
    require_source(str(run.path(ANALYSIS)), analysis["source"], source_of(run, load_probe_set(run)), remedy)
    if not any((one["split"], one["metric"]) == RETRIEVAL for one in analysis["births"]):
        raise ArtifactError(f"{run.path(ANALYSIS)}: births: no {' '.join(RETRIEVAL)}; delete it and run: {remedy}")
    return analysis
