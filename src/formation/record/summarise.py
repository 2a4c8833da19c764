"""From per-read outcomes to the figures of a row: means by split and stratum, agreement with heuristics, flip rates."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

from formation.benchmark.streams import SplitName, TwinKind
from formation.record.frames import Frame, HeuristicTable, ReadsFrame, TwinFrame
from formation.record.outcomes import Answers, Outcomes, TokenSums, TwinKey
from formation.record.rows import (
    Agreement,
    Group,
    Means,
    Quantiles,
    ReadsRow,
    SplitRow,
    TokensRow,
    TwinRow,
    UnaffectedRow,
)

_NO_ERROR = 1e-6  # reads; less than this is the rounding of probabilities


def split_rows(outcomes: Outcomes, frames: Mapping[SplitName, Frame]) -> dict[SplitName, SplitRow]:
    """Behaviour on every evaluation split."""
    return {name: _split_row(outcomes.answers[name], outcomes.tokens[name], frame) for name, frame in frames.items()}


def twin_rows(outcomes: Outcomes, twins: Mapping[TwinKey, TwinFrame]) -> dict[SplitName, dict[TwinKind, TwinRow]]:
    """Behaviour on the twins of every split."""
    out: dict[SplitName, dict[TwinKind, TwinRow]] = {}
    for (name, kind), frame in twins.items():
        base = outcomes.answers[frame.base].at(frame.rows)
        out.setdefault(name, {})[kind] = _twin_row(base, outcomes.twins[name, kind], frame)
    return out


def _split_row(said: Answers, tokens: TokenSums, frame: Frame) -> SplitRow:
    targets = int(tokens.targets.sum())
    return SplitRow(
        streams=len(tokens.targets),
        tokens=TokensRow(
            n=targets, loss=float(tokens.loss.sum() / targets), accuracy=float(tokens.hits.sum() / targets)
        ),
        reads=_reads_row(said, frame, frame.all),
        stale_reads=None if frame.stale is None else _reads_row(said, frame, frame.stale),
    )


def _reads_row(said: Answers, frame: Frame, reads: ReadsFrame) -> ReadsRow:
    here = said.at(reads.rows)
    values = here.prediction.astype(np.int64) - frame.split.vocabulary.value(0)  # negative: no value token
    return ReadsRow(
        **_means(here).model_dump(),
        streams=len(np.unique(frame.split.reads.stream[reads.rows])),
        margin_quantiles=_quantiles(here.margin),
        by={
            stratum: [
                Group(at=int(at), **_means(here.at(np.flatnonzero(labels == at))).model_dump())
                for at in np.unique(labels)
            ]
            for stratum, labels in reads.strata.items()
        },
        shortcuts=_shortcuts(values, here.correct, reads.heuristics),
    )


def _means(said: Answers) -> Means:
    return Means(
        n=len(said.correct),
        accuracy=float(said.correct.mean()),
        log_prob=float(said.log_prob.mean(dtype=np.float64)),
        margin=float(said.margin.mean(dtype=np.float64)),
    )


def _quantiles(margin: Float[np.ndarray, "read"]) -> Quantiles:
    q05, q25, q50, q75, q95 = np.quantile(margin.astype(np.float64), [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
    return Quantiles(q05=q05, q25=q25, q50=q50, q75=q75, q95=q95)


def _shortcuts(
    values: Int[np.ndarray, "read"], correct: Bool[np.ndarray, "read"], table: HeuristicTable
) -> dict[str, Agreement]:
    """Agreement with every heuristic, over all reads and over the heuristic's errors.

    `when_wrong` divides the agreement on wrong answers by the probability of the heuristic's wrong answers: 1 for a
    model that repeats them all, 0 for one that retrieves. A read without an answer of the heuristic is no error of it.
    """
    agreement = table.agreement(values)
    repeated = (agreement * ~correct).sum(1)
    errors = (table.defined - table.right).sum(1)
    return {
        name.value: Agreement(
            agreement=float(same), defined=int(reads), when_wrong=float(again / wrong) if wrong > _NO_ERROR else None
        )
        for name, same, reads, again, wrong in zip(
            table.names, agreement.mean(1), table.defined.sum(1), repeated, errors, strict=True
        )
    }


def _twin_row(base: Answers, said: Answers, frame: TwinFrame) -> TwinRow:
    affected = frame.twin.affected
    base_right, twin_right = base.correct[affected], said.correct[affected]
    both = base_right & twin_right
    n, right = int(affected.sum()), int(base_right.sum())
    return TwinRow(
        streams=len(frame.split.tokens),
        n=n,
        flip=_share(both, n),
        base_accuracy=_share(base_right, n),
        twin_accuracy=_share(twin_right, n),
        base_right=right,
        twin_right_given_base_right=_share(both, right),
        unaffected=_unaffected(base, said, ~affected),
    )


def _share(hits: Bool[np.ndarray, "read"], n: int) -> float | None:
    """Hits over `n`, null where there is nothing to divide by."""
    return float(hits.sum() / n) if n else None


def _unaffected(base: Answers, said: Answers, rows: Bool[np.ndarray, "read"]) -> UnaffectedRow:
    change = said.log_prob[rows].astype(np.float64) - base.log_prob[rows]
    if not len(change):
        return UnaffectedRow(n=0, log_prob_change=None, log_prob_shift=None)
    return UnaffectedRow(
        n=len(change), log_prob_change=float(change.mean()), log_prob_shift=float(np.abs(change).mean())
    )
