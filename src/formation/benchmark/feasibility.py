"""Which benchmark settings can be satisfied at all: everything that can be known before a stream is drawn."""

from collections.abc import Iterator

from formation.errors import BenchmarkError
from formation.params import BenchmarkParams, Setting, StreamShape

# tokens of an event (mark, key, value) and of <bos> with <eos>
EVENT_TOKENS, FRAME_TOKENS = 3, 2


def check(params: BenchmarkParams, context: int) -> None:
    """Raise `BenchmarkError` naming the first parameter that no dataset can satisfy, its value and what is needed."""
    for name, shape in (("iid", params.iid), ("ood", params.ood)):
        for key, found, needed in _shape_problems(params, name, shape, context):
            raise BenchmarkError(f"benchmark.{key} = {found}: {needed}")
    for key, found, needed in _heldout_problems(params):
        raise BenchmarkError(f"benchmark.{key} = {found}: {needed}")


def longest(shape: StreamShape) -> int:
    """Tokens of the longest stream of this shape."""
    events = shape.active_keys.high + shape.overwrites.high + shape.reads.high
    return EVENT_TOKENS * events + FRAME_TOKENS


def heldout_total(params: BenchmarkParams) -> int:
    """Number of held-out (key, value) pairs."""
    return round(params.heldout_fraction * params.keys * params.values)


Problem = tuple[str, object, str]


def _shape_problems(params: BenchmarkParams, name: str, shape: StreamShape, context: int) -> Iterator[Problem]:
    active, overwrites, reads = shape.active_keys, shape.overwrites, shape.reads
    if active.low < 2:
        yield f"{name}.active_keys.low", active.low, "needs at least 2 active keys, or a read has nothing to confuse"
    if active.high > params.keys:
        yield f"{name}.active_keys.high", active.high, f"needs as many keys, but benchmark.keys is {params.keys}"
    if overwrites.low < 1:
        yield f"{name}.overwrites.low", overwrites.low, "needs at least 1 overwrite, or no value is ever stale"
    if reads.low < 1:
        yield f"{name}.reads.low", reads.low, "needs at least 1 read in every stream"
    writes = active.high + overwrites.high
    if writes + 1 > params.values:
        needed = (
            f"a stream of benchmark.{name} has up to {writes} writes of different values and its value twin one more"
        )
        yield "values", params.values, f"{needed}: needs at least {writes + 1}"
    if longest(shape) > context:
        yield (
            f"{name}.reads.high",
            reads.high,
            f"the longest stream has {longest(shape)} tokens ({active.high} + {overwrites.high} writes, {reads.high} "
            f"reads), but model.context is {context}",
        )
    if params.setting is Setting.HARDENED and active.low == 2:
        yield (
            f"{name}.active_keys.low",
            active.low,
            "hardened streams need at least 3: two keys are written in turn, so every read would have the same lag",
        )
    yield from _lag_problems(params.setting, name, shape)


def _lag_problems(setting: Setting, name: str, shape: StreamShape) -> Iterator[Problem]:
    lags, active = shape.lags, shape.active_keys
    if active.low == 2 and lags.low > 1:
        yield f"{name}.lags.low", lags.low, "two active keys are written in turn, so no lag is above 1: needs at most 1"
    if setting is Setting.SOURCE and lags.low < 1:
        yield f"{name}.lags.low", lags.low, "needs at least 1: in source streams the last written value is never right"
    last = active.low + shape.overwrites.low - 1
    reach = last - active.low if setting is Setting.SOURCE else last
    if lags.low > reach:
        what = "overwritten values" if setting is Setting.SOURCE else "written values"
        yield f"{name}.lags.low", lags.low, f"only {what} are read, none with more than {reach} writes behind it"


def _heldout_problems(params: BenchmarkParams) -> Iterator[Problem]:
    total, shape = heldout_total(params), params.iid
    each, most = total // params.keys, -(-total // params.keys)
    fraction = params.heldout_fraction
    if each < 2:
        yield (
            "heldout_fraction",
            fraction,
            f"holds out {each} of {params.values} values a key: needs at least 2 for the twins of a held-out read",
        )
    writes = shape.overwrites.high + shape.active_keys.low
    if params.heldout_scope == "write" and shape.active_keys.low * most < writes + 1:
        yield (
            "heldout_fraction",
            fraction,
            f"{shape.active_keys.low} active keys have {shape.active_keys.low * most} held-out pairs, too few for the "
            f"{writes} writes of a held-out stream and its value twin",
        )
    if total > (params.keys - 1) * params.values:
        yield "heldout_fraction", fraction, f"every value must be free with at least one of the {params.keys} keys"
    for name, shaped in (("iid", params.iid), ("ood", params.ood)):
        writes = shaped.active_keys.high + shaped.overwrites.high
        if params.values - most < 2 or params.keys * params.values - total < writes + 1:
            yield "heldout_fraction", fraction, f"leaves too few values for the {writes} writes of benchmark.{name}"
