"""The schema of a row of `component_metrics.jsonl`: one checkpoint's components, residual states and dynamics.

Margins, drops and entropies are in nats, accuracies and attention in [0, 1]; figures are rounded to 1e-6. The sums
behind them, stream by stream, are in `analysis/components/`. `docs/artifacts.md` describes every field in words.
"""

from collections.abc import Iterable
from typing import Any

from formation.benchmark.streams import SplitName
from formation.components.material import Measured
from formation.params import Frozen
from formation.record.lines import SweepRow, row_from, row_json

SCHEMA = "component-metrics/2"


class Selectivity(Frozen):
    """A residual probe over `n` reads, beside the same probe fitted and scored on shuffled labels."""

    n: int
    accuracy: float
    control: float


class Spectrum(Frozen):
    """How many directions the states of a stage at a role fill (`docs/measures.md` §12)."""

    stable_rank: float | None  # null: all states are the same
    participation_ratio: float | None
    entropy_rank: float | None


class ComponentRow(SweepRow):
    """One checkpoint's components; `beside` has digests of the checkpoints its dynamics compare it with."""

    beside: dict[str, str]  # `previous`, `before_previous`, `final`
    metrics: dict[SplitName, dict[str, dict[str, float | None]]]  # split → component → metric
    # component → what its weights alone say, or its hidden states, split by split
    weights: dict[str, dict[str, float | dict[SplitName, float | None] | None]]
    probes: dict[str, dict[str, dict[SplitName, Selectivity]]]  # <stage>/<role> → target → split
    spectra: dict[str, Spectrum]  # <stage>/<role>
    dynamics: dict[str, Any]


def metrics_of(every: Iterable[Measured]) -> dict[SplitName, dict[str, dict[str, float | None]]]:
    """The metrics of a row from what was measured."""
    out: dict[SplitName, dict[str, dict[str, float | None]]] = {}
    for one in every:
        out.setdefault(one.split, {}).setdefault(one.component, {})[one.metric] = one.value
    return out


def as_json(row: ComponentRow) -> dict[str, Any]:
    """A row as JSON data, figures rounded to 1e-6."""
    return row_json(SCHEMA, row)


def from_json(data: dict[str, Any]) -> ComponentRow:
    """A row read from JSON data."""
    return row_from(ComponentRow, data)
