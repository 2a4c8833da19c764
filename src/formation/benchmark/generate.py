"""The dataset of a benchmark: six splits of streams, and both twins of every evaluation stream.

`generate` is deterministic: the same parameters give the same arrays. Every split has a random stream of its own, so
that its size does not move another's. Evaluation splits are drawn first; later splits leave out every latent program
(`formation.benchmark.programs`) drawn before, twins' included, so that no split can be answered by recalling another.
All streams, training streams too, are drawn under the condition that both twins exist: train and IID stay one law.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Int

from formation.benchmark import feasibility
from formation.benchmark.draw import Batch, Draw, Order, draw_batches
from formation.benchmark.events import as_split
from formation.benchmark.heldout import heldout_pairs
from formation.benchmark.programs import Shape
from formation.benchmark.reads import Weights, read_weights
from formation.benchmark.streams import Special, Split, SplitName, Twin, TwinKind, Vocabulary
from formation.benchmark.tokens import answers, padded
from formation.params import BenchmarkParams, Range, StreamShape
from formation.progress import Tracker, track

# drawn in this order; the numbers seed each split's own random stream
_DRAWN = {
    SplitName.VALIDATION_IID: 1,
    SplitName.TEST_IID: 2,
    SplitName.HELDOUT_PAIRS: 3,
    SplitName.STRUCTURAL_OOD: 4,
    SplitName.TRAIN: 5,
}
_HELDOUT_SEED, _WEIGHTS_SEED = 0, 6


@dataclass(frozen=True)
class Dataset:
    """One benchmark: splits, twins of the evaluation splits, held-out pairs, and how the drawing went."""

    params: BenchmarkParams
    splits: Mapping[SplitName, Split]
    twins: Mapping[tuple[SplitName, TwinKind], Twin]
    heldout: Bool[np.ndarray, "key value"]
    statistics: Mapping[str, Any]


def generate(params: BenchmarkParams, context: int) -> Dataset:
    """The dataset of `params`; no stream is longer than `context` tokens.

    Raises `BenchmarkError` naming the parameter that cannot be satisfied.
    """
    feasibility.check(params, context)
    vocabulary = Vocabulary(params.keys, params.values)
    heldout = heldout_pairs(params, _rng(params, _HELDOUT_SEED))
    splits: dict[SplitName, Split] = {}
    twins: dict[tuple[SplitName, TwinKind], Twin] = {}
    statistics: dict[str, Any] = {}
    seen: set[bytes] = set()
    weights = _weights(params)
    total = params.train_streams + (len(_DRAWN) - 1) * params.evaluation_streams
    with track("benchmark", total, "streams") as tracker:
        for name, number in _DRAWN.items():
            drawn = _draw_split(params, name, heldout, seen, weights, tracker)
            seen.update(program for part in drawn for program in part.programs)
            split, pair = _assemble(name, vocabulary, [part.batch for part in drawn], _rng(params, number, 1))
            splits[name] = split
            statistics[name] = _statistics(drawn)
            if name is not SplitName.TRAIN:
                twins.update({(name, kind): twin for kind, twin in pair.items()})
    splits, twins = with_counterfactual(splits, twins)
    return Dataset(params, splits, twins, heldout, statistics)


def with_counterfactual(
    splits: Mapping[SplitName, Split], twins: Mapping[tuple[SplitName, TwinKind], Twin]
) -> tuple[dict[SplitName, Split], dict[tuple[SplitName, TwinKind], Twin]]:
    """Splits and twins with the counterfactual split added: the streams of `test_iid`, for the sake of their twins."""
    split = replace(splits[SplitName.TEST_IID], name=SplitName.COUNTERFACTUAL)
    every = {**splits, SplitName.COUNTERFACTUAL: split}
    added = {(SplitName.COUNTERFACTUAL, kind): twins[SplitName.TEST_IID, kind] for kind in TwinKind}
    return {name: every[name] for name in SplitName}, {**twins, **added}


def shapes(shape: StreamShape) -> Iterator[Shape]:
    """All combinations of counts a stream of this shape may have."""
    for active, overwrites, reads in product(*map(_values, (shape.active_keys, shape.overwrites, shape.reads))):
        yield Shape(active, overwrites, reads, shape.lags)


def _values(counts: Range) -> range:
    return range(counts.low, counts.high + 1)


def _rng(params: BenchmarkParams, *path: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([params.seed, *path])))


def _draw_split(
    params: BenchmarkParams,
    name: SplitName,
    heldout: Bool[np.ndarray, "key value"],
    seen: set[bytes],
    weights: dict[Shape, Weights],
    tracker: Tracker,
) -> list[Draw]:
    """Streams of one split, spread evenly over its shapes."""
    rng = _rng(params, _DRAWN[name])
    where = _where(name)
    every = list(shapes(params.ood if where == "ood" else params.iid))
    count = params.train_streams if name is SplitName.TRAIN else params.evaluation_streams
    wanted = np.full(len(every), count // len(every))
    wanted[rng.permutation(len(every))[: count % len(every)]] += 1
    allowed = heldout if name is SplitName.HELDOUT_PAIRS else ~heldout
    return [
        draw_batches(Order(params, where, shape, weights[shape], int(number), allowed, seen), rng, tracker)
        for shape, number in zip(every, wanted, strict=True)
        if number
    ]


def _where(name: SplitName) -> Literal["iid", "ood"]:
    """Section of the parameters that shapes a split."""
    return "ood" if name is SplitName.STRUCTURAL_OOD else "iid"


def _weights(params: BenchmarkParams) -> dict[Shape, Weights]:
    """Weights of the read strata for every shape, the same for every split; shapes that differ in reads share them."""
    out: dict[Shape, Weights] = {}
    for number, shaped in enumerate((params.iid, params.ood)):
        middle = (shaped.reads.low + shaped.reads.high) // 2
        fitted = {
            (shape.active, shape.overwrites): read_weights(
                params.setting, shape, _rng(params, _WEIGHTS_SEED, number, shape.active, shape.overwrites)
            )
            for shape in shapes(shaped)
            if shape.reads == middle
        }
        out.update({shape: fitted[shape.active, shape.overwrites] for shape in shapes(shaped)})
    return out


def _assemble(
    name: SplitName, vocabulary: Vocabulary, batches: list[Batch], rng: np.random.Generator
) -> tuple[Split, dict[TwinKind, Twin]]:
    """One split of streams of all shapes in random order, with its twins."""
    width = max(batch.tokens.shape[1] for batch in batches)
    order = rng.permutation(sum(len(batch.tokens) for batch in batches))
    tokens, value_tokens, key_tokens = (
        np.concatenate([padded(side, width) for side in sides])[order]
        for sides in zip(*((batch.tokens, batch.value_twin, batch.key_twin) for batch in batches), strict=True)
    )
    target = np.concatenate([batch.target for batch in batches])[order]
    length = (tokens != Special.PAD).sum(axis=1)
    split = as_split(name, vocabulary, tokens, length)
    first = np.searchsorted(split.reads.stream, np.arange(len(tokens)))
    made = {
        kind: _twin(kind, split, other, first + target)
        for kind, other in ((TwinKind.VALUE, value_tokens), (TwinKind.KEY, key_tokens))
    }
    return split, made


def _twin(
    kind: TwinKind, split: Split, tokens: Int[np.ndarray, "stream pos"], target: Int[np.ndarray, "stream"]
) -> Twin:
    value = answers(split.vocabulary, tokens, split.reads)
    return Twin(kind, tokens, value, value != split.reads.value, target)


def _statistics(drawn: list[Draw]) -> dict[str, Any]:
    """How many streams were drawn, and at which condition others were rejected."""
    stages = {stage: sum(part.survived[stage] for part in drawn) for stage in drawn[0].survived}
    accepted = sum(len(part.batch.tokens) for part in drawn)
    return {
        "streams": accepted,
        "survived": {str(stage): count for stage, count in stages.items()},
        "acceptance_rate": min(part.acceptance for part in drawn),
        "strict_key_twins": float(np.mean(np.concatenate([part.batch.strict for part in drawn]))),
    }
