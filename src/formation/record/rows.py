"""The schema of a row of `checkpoint_metrics.jsonl`: one checkpoint's behaviour, by split and stratum.

Losses, log-probabilities and margins are in nats, accuracies and shares in [0, 1]; every figure stands beside its `n`.
Figures are rounded to 1e-6; the exact per-read outcomes are in `analysis/reads/`. `docs/artifacts.md` describes every
field in words.
"""

from enum import StrEnum
from typing import Any

from formation.benchmark.streams import SplitName, TwinKind
from formation.params import Frozen
from formation.record.lines import SweepRow, row_from, row_json

SCHEMA = "checkpoint-metrics/2"


class Stratum(StrEnum):
    """What reads are grouped by."""

    LAG = "lag"  # writes since the supporting write
    STALE = "stale"  # overwritten values of the key
    ORDINAL = "ordinal"  # place among the reads of the stream, 1 for the first
    POSITION = "position"  # answer position, in bins of 8 tokens named by their first
    STALE_LAG = "stale_lag"  # both: stale × 100 + lag


class Means(Frozen):
    """Means over `n` reads."""

    n: int
    accuracy: float
    log_prob: float  # of the right answer; the answer loss is its negative
    margin: float


class Group(Means):
    """Means over the reads of one stratum, `at` its value."""

    at: int


class Quantiles(Frozen):
    """Quantiles of the margin."""

    q05: float
    q25: float
    q50: float
    q75: float
    q95: float


class Agreement(Frozen):
    """How often the prediction equals a heuristic's answer (for a random one: the probability that it would)."""

    agreement: float  # of all reads
    defined: int  # reads to which the heuristic has an answer at all
    when_wrong: float | None  # of the errors it makes on those, this much is repeated; null: it makes none


class ReadsRow(Means):
    """Behaviour on a set of reads."""

    streams: int
    margin_quantiles: Quantiles
    by: dict[Stratum, list[Group]]
    shortcuts: dict[str, Agreement]


class TokensRow(Frozen):
    """Next-token prediction over all `n` targets: the quantity training minimises."""

    n: int
    loss: float
    accuracy: float


class SplitRow(Frozen):
    """Behaviour on a split: all tokens, all reads, and the reads whose key has an overwritten value."""

    streams: int
    tokens: TokensRow
    reads: ReadsRow
    stale_reads: ReadsRow | None  # null: no read of the split has a stale value


class UnaffectedRow(Frozen):
    """Reads whose right answer is the same in base and twin: how much the log-probability of it moved."""

    n: int
    log_prob_change: float | None  # mean of twin − base
    log_prob_shift: float | None  # mean of |twin − base|


class TwinRow(Frozen):
    """Behaviour on a twin's `n` affected reads, null if there are none: `flip` = P(base right and twin right)."""

    streams: int
    n: int
    flip: float | None
    base_accuracy: float | None
    twin_accuracy: float | None
    base_right: int  # reads right in the base
    twin_right_given_base_right: float | None  # null: none is
    unaffected: UnaffectedRow


class Row(SweepRow):
    """One checkpoint's behaviour."""

    splits: dict[SplitName, SplitRow]
    twins: dict[SplitName, dict[TwinKind, TwinRow]]


def as_json(row: Row) -> dict[str, Any]:
    """A row as JSON data, figures rounded to 1e-6."""
    return row_json(SCHEMA, row)


def from_json(data: dict[str, Any]) -> Row:
    """A row read from JSON data."""
    return row_from(Row, data)
