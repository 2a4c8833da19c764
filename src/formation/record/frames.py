"""What is the same at every checkpoint: strata of the reads, heuristics' answers, twins, permuted answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from formation.benchmark.generate import Dataset
from formation.benchmark.heuristics import Heuristic, Shortcuts
from formation.benchmark.streams import Split, SplitName, Twin, TwinKind
from formation.params import RecordParams
from formation.record.probe_set import EVALUATION, ProbeSet
from formation.record.rows import Stratum
from formation.record.twin_shortcuts import ShortcutFlips, best_flips

POSITION_BIN = 8  # tokens
STALE_LAG_BASE = 100


@dataclass(frozen=True)
class HeuristicTable:
    """Answers of the heuristics on some reads of a split, as probabilities over the writes of each read's stream.

    Numbered heuristics (lag k, n-th value) that are never right on these reads are left out.
    """

    names: tuple[Heuristic, ...]
    values: Int[np.ndarray, "read slot"]  # value index of each write, -1 behind the last
    likely: Float[np.ndarray, "heuristic read slot"]
    right: Float[np.ndarray, "heuristic read"]  # probability of the right answer

    @property
    def scores(self) -> dict[Heuristic, float]:
        """Share of reads each heuristic answers rightly."""
        return dict(zip(self.names, self.right.mean(1).tolist(), strict=True))

    @property
    def defined(self) -> Bool[np.ndarray, "heuristic read"]:
        """Which reads each heuristic has an answer to."""
        return np.asarray(self.likely.any(axis=2))

    def agreement(self, said: Int[np.ndarray, "read"]) -> Float[np.ndarray, "heuristic read"]:
        """Probability that each heuristic answers each read with the value index `said`."""
        same = (self.values == said[:, None]).astype(self.likely.dtype)
        return np.asarray(np.einsum("hrs,rs->hr", self.likely, same))


@dataclass(frozen=True)
class ReadsFrame:
    """A set of reads: which reads of the split, their strata, the heuristics' answers to them."""

    rows: Int[np.ndarray, "read"]
    strata: Mapping[Stratum, Int[np.ndarray, "read"]]
    heuristics: HeuristicTable


@dataclass(frozen=True)
class Frame:
    """One evaluation split; `stale` is the subset of reads with a stale value, null if there is none."""

    split: Split
    answers: Int[np.ndarray, "read"]  # token ids
    all: ReadsFrame
    stale: ReadsFrame | None
    has_stale: Bool[np.ndarray, "read"]
    permuted: Int[np.ndarray, "placebo read"]  # answers (token ids) permuted over the reads of the split


@dataclass(frozen=True)
class TwinFrame:
    """One twin of some streams of a split; `rows` are the reads of those streams, as numbers in the base split."""

    base: SplitName
    rows: Int[np.ndarray, "read"]
    streams: Int[np.ndarray, "stream"]  # numbers of these streams in the base split
    split: Split  # the base streams
    twin: Twin
    answers: Int[np.ndarray, "read"]  # token ids right in the twin
    permuted: Int[np.ndarray, "placebo affected"]  # permutations of the affected reads
    shortcut: ShortcutFlips | None  # key twins: the heuristic that follows them most; null without an affected read


def frames(dataset: Dataset, record: RecordParams) -> dict[SplitName, Frame]:
    """The frame of every evaluation split."""
    return {name: _frame(dataset.splits[name], name, record) for name in EVALUATION}


def twin_frames(dataset: Dataset, probe: ProbeSet, record: RecordParams) -> dict[tuple[SplitName, TwinKind], TwinFrame]:
    """The twin frames of every split's probe streams, and of all streams of the counterfactual split."""
    out = {}
    for name, kind in twin_keys():
        if name is SplitName.COUNTERFACTUAL:
            base, split, twin = SplitName.TEST_IID, dataset.splits[name], dataset.twins[name, kind]
            streams = np.arange(len(split.tokens))
        else:
            base, split, twin = name, probe.splits[name].split, probe.splits[name].twins[kind]
            streams = probe.splits[name].streams
        rows = np.flatnonzero(np.isin(dataset.splits[base].reads.stream, streams))
        rng = _rng(record, name, 1 + list(TwinKind).index(kind))
        permuted = rng.permuted(np.tile(np.arange(int(twin.affected.sum())), (record.placebos, 1)), axis=1)
        right = split.vocabulary.value(0) + twin.value
        shortcut = best_flips(split, twin) if kind is TwinKind.KEY else None
        out[name, kind] = TwinFrame(base, rows, streams, split, twin, right, permuted, shortcut)
    return out


def twin_keys() -> Iterator[tuple[SplitName, TwinKind]]:
    """Every pair of a split with twins and a kind of twin."""
    for name in (*EVALUATION, SplitName.COUNTERFACTUAL):
        for kind in TwinKind:
            yield name, kind


def _frame(split: Split, name: SplitName, record: RecordParams) -> Frame:
    answers = split.answer_tokens()
    has_stale = split.reads.stale > 0
    every = np.ones_like(has_stale)
    return Frame(
        split=split,
        answers=answers,
        all=_reads_frame(split, every),
        stale=_reads_frame(split, has_stale) if has_stale.any() else None,
        has_stale=has_stale,
        permuted=_rng(record, name, 0).permuted(np.tile(answers, (record.placebos, 1)), axis=1),
    )


def _reads_frame(split: Split, mask: Bool[np.ndarray, "read"]) -> ReadsFrame:
    rows = np.flatnonzero(mask)
    strata = {stratum: values[rows] for stratum, values in _strata(split).items()}
    return ReadsFrame(rows, strata, _heuristics(split, mask, rows))


def _strata(split: Split) -> dict[Stratum, Int[np.ndarray, "read"]]:
    reads = split.reads
    ordinal = 1 + np.arange(len(reads.stream)) - np.searchsorted(reads.stream, reads.stream)
    return {
        Stratum.LAG: reads.lag,
        Stratum.STALE: reads.stale,
        Stratum.ORDINAL: ordinal,
        Stratum.POSITION: reads.position // POSITION_BIN * POSITION_BIN,
        Stratum.STALE_LAG: reads.stale * STALE_LAG_BASE + reads.lag,
    }


def _heuristics(split: Split, mask: Bool[np.ndarray, "read"], rows: Int[np.ndarray, "row"]) -> HeuristicTable:
    """The heuristics' answers on `rows`, the best-of ones fitted there."""
    shortcuts = Shortcuts(split, fitted_on=mask)
    names, likely, right = [], [], []
    for name in Heuristic:
        distribution = shortcuts.distribution(name)[rows]
        score = shortcuts.scores(name)[rows]
        if score.any() or not name.rpartition("_")[2].isdigit():
            names.append(name)
            likely.append(distribution.astype(np.float32))
            right.append(score)
    return HeuristicTable(tuple(names), shortcuts.view.value[rows], np.stack(likely), np.stack(right))


def _rng(record: RecordParams, name: SplitName, number: int) -> np.random.Generator:
    """A random stream of its own for each placebo set, the same at every checkpoint."""
    return np.random.default_rng([record.probe_seed, 1, list(SplitName).index(name), number])
