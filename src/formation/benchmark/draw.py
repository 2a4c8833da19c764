"""Rejection sampling of streams of one shape: programs, then key twins, then values; what fails is drawn again."""

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from formation.benchmark.heldout import partners
from formation.benchmark.programs import Programs, Shape, canonical
from formation.benchmark.reads import Weights, draw_programs
from formation.benchmark.streams import Vocabulary
from formation.benchmark.tokens import write_tokens
from formation.benchmark.twins import KeyTwins, key_twins, supports
from formation.benchmark.values import Roles, draw_values
from formation.errors import BenchmarkError
from formation.params import BenchmarkParams
from formation.progress import Tracker

_BATCH = 1024
# attempts after which a shape is given up: hopeless settings are refused within seconds, rates of 1 in 200 still pass
_LEAST_ATTEMPTS, _ATTEMPTS_A_STREAM = 20_000, 200


class Stage(StrEnum):
    """The conditions a drawn stream must meet, in this order."""

    DRAWN = "drawn"
    PLACED = "placed"  # writes and reads could be placed by the rules
    UNSEEN = "unseen"  # no earlier split has the same latent program
    TWINNED = "twinned"  # a key twin exists
    VALUED = "valued"  # values could be found for the stream and both twins


@dataclass(frozen=True)
class Batch:
    """Streams of one shape with both twins; `target` is the read (0 is the stream's first) they were made for."""

    tokens: Int[np.ndarray, "stream pos"]
    value_twin: Int[np.ndarray, "stream pos"]
    key_twin: Int[np.ndarray, "stream pos"]
    target: Int[np.ndarray, "stream"]
    strict: Bool[np.ndarray, "stream"]


@dataclass(frozen=True)
class Draw:
    """Streams of one shape, their latent programs (twins' included), and how many met each condition."""

    batch: Batch
    programs: set[bytes]
    survived: Mapping[Stage, int]

    @property
    def acceptance(self) -> float:
        """Share of drawn streams that met every condition."""
        return self.survived[Stage.VALUED] / self.survived[Stage.DRAWN]


@dataclass(frozen=True)
class Order:
    """What is wanted: `count` streams of one shape, whose pairs are all `allowed` and whose programs are not `seen`."""

    params: BenchmarkParams
    where: Literal["iid", "ood"]  # section of the parameters the shape comes from
    shape: Shape
    weights: Weights
    count: int
    allowed: Bool[np.ndarray, "key value"]
    seen: Set[bytes]


def draw_batches(order: Order, rng: np.random.Generator, tracker: Tracker) -> Draw:
    """The streams ordered, counted on `tracker`.

    Raises `BenchmarkError` naming the likely parameter when almost every draw is rejected.
    """
    survived: Counter[Stage] = Counter(dict.fromkeys(Stage, 0))
    batches: list[Batch] = []
    programs: set[bytes] = set()
    missing = order.count
    while missing:
        if survived[Stage.DRAWN] >= _LEAST_ATTEMPTS + _ATTEMPTS_A_STREAM * order.count:
            raise _hopeless(order, survived)
        rate = (survived[Stage.VALUED] + 1) / (survived[Stage.DRAWN] + 2)
        count = int(np.clip(1.1 * missing / rate, 64, _BATCH))
        batch, found = _draw_batch(order, count, rng, survived)
        batch = _first(batch, missing)
        programs.update(found[: 2 * len(batch.tokens)])
        batches.append(batch)
        missing -= len(batch.tokens)
        tracker.advance(len(batch.tokens))
    columns = {f.name: np.concatenate([getattr(b, f.name) for b in batches]) for f in fields(Batch)}
    return Draw(Batch(**columns), programs, dict(survived))


def _draw_batch(
    order: Order, count: int, rng: np.random.Generator, survived: Counter[Stage]
) -> tuple[Batch, list[bytes]]:
    """The survivors of `count` draws; their programs and those of their key twins, two a stream, in order."""
    params, shape = order.params, order.shape
    survived[Stage.DRAWN] += count
    programs = draw_programs(params.setting, shape, count, order.weights, rng)
    survived[Stage.PLACED] += len(programs.keys)
    unseen = np.array([program not in order.seen for program in canonical(programs, shape.active)], bool)
    programs = programs.take(unseen)
    survived[Stage.UNSEEN] += len(programs.keys)
    names = np.argsort(rng.random((len(programs.keys), params.keys)), axis=1)[:, : shape.active]
    partner = partners(order.allowed)[names[:, :, None], names[:, None, :]]
    found, twins = key_twins(params.setting, shape, programs, partner, rng)
    programs, names = programs.take(found), names[found]
    survived[Stage.TWINNED] += len(programs.keys)
    alive, batch = _with_values(order, programs, names, twins, rng)
    survived[Stage.VALUED] += int(alive.sum())
    own = canonical(programs.take(alive), shape.active)
    twin = canonical(Programs(twins.keys, programs.gap, programs.asked).take(alive), shape.active)
    return batch, [program for pair in zip(own, twin, strict=True) for program in pair]


def _with_values(
    order: Order,
    programs: Programs,
    names: Int[np.ndarray, "stream active"],
    twins: KeyTwins,
    rng: np.random.Generator,
) -> tuple[Bool[np.ndarray, "stream"], Batch]:
    """Which programs could be given values, and those as token streams with both twins."""
    params, shape = order.params, order.shape
    rows = np.arange(len(programs.keys))
    support = supports(programs.keys, programs, shape.active)
    replaced = support[rows, twins.target]
    roles = Roles(
        key=names[rows[:, None], programs.keys],
        twin_key=names[rows[:, None], twins.keys],
        answers=_found(support, shape.writes),
        twin_answers=_found(twins.support, shape.writes),
    )
    every_write = params.heldout_scope == "write"
    alive, values, new = draw_values(order.allowed, roles, replaced, every_write, rng)
    changed = values.copy()
    changed[rows, replaced] = new
    vocabulary = Vocabulary(params.keys, params.values)
    twin_programs = Programs(twins.keys, programs.gap, programs.asked)
    batch = Batch(
        tokens=write_tokens(vocabulary, programs, names, values, support),
        value_twin=write_tokens(vocabulary, programs, names, changed, support),
        key_twin=write_tokens(vocabulary, twin_programs, names, values, twins.support),
        target=twins.target,
        strict=twins.strict,
    )
    return alive, _first(batch, rows[alive])


def _found(support: Int[np.ndarray, "stream read"], writes: int) -> Bool[np.ndarray, "stream write"]:
    """Which writes some read finds."""
    return np.asarray((support[:, :, None] == np.arange(writes)).any(axis=1))


def _first(batch: Batch, rows: int | Int[np.ndarray, "kept"]) -> Batch:
    """The first `rows` streams of a batch, or the given ones."""
    pick = slice(rows) if isinstance(rows, int) else rows
    return Batch(**{f.name: getattr(batch, f.name)[pick] for f in fields(Batch)})


def _hopeless(order: Order, survived: Mapping[Stage, int]) -> BenchmarkError:
    """What to tell: the condition that rejected most, the parameter behind it, and what would help."""
    params, where, shape = order.params, order.where, order.shape
    stages = list(Stage)
    ratios = {b: survived[b] / max(survived[a], 1) for a, b in pairwise(stages)}
    worst = min(ratios, key=lambda stage: ratios[stage])
    lags = f"benchmark.{where}.lags = {shape.lags.low}–{shape.lags.high}"
    says = {
        Stage.PLACED: f"{lags}: too few writes are within reach of the reads; widen the lags or have fewer reads",
        Stage.UNSEEN: f"benchmark.{where}.reads = {shape.reads}: too few different streams to keep the splits apart; "
        "have more reads, overwrites or active keys",
        Stage.TWINNED: f"{lags}: no key twin keeps them; widen the lags, or hold out more pairs "
        f"(benchmark.heldout_fraction = {params.heldout_fraction})",
        Stage.VALUED: f"benchmark.heldout_fraction = {params.heldout_fraction}: too few values fit the "
        f"{shape.writes} writes of a stream with its twins; have more values or overwrite less",
    }
    counts = ", ".join(f"{survived[stage]} {stage}" for stage in stages)
    return BenchmarkError(
        f"{says[worst]} (streams of {shape.active} active keys, {shape.overwrites} overwrites, {shape.reads} reads, "
        f"{order.count} wanted: {counts})"
    )
