"""Hand-written streams and small benchmarks for the tests."""

import numpy as np

from formation.benchmark.events import as_split
from formation.benchmark.streams import Special, Split, SplitName, Vocabulary
from formation.params import BenchmarkParams

KEYS, VALUES = 4, 10


def split(*streams: str, keys: int = KEYS, values: int = VALUES) -> Split:
    """Streams written as `a1 b2 a?1`: write 1 to key a, write 2 to b, read a and find 1 behind it."""
    vocabulary = Vocabulary(keys, values)
    rows = [_tokens(stream, vocabulary) for stream in streams]
    width = max(map(len, rows))
    tokens = np.array([row + [int(Special.PAD)] * (width - len(row)) for row in rows], np.int64)
    return as_split(SplitName.TEST_IID, vocabulary, tokens, np.array([len(row) for row in rows]))


def _tokens(stream: str, vocabulary: Vocabulary) -> list[int]:
    tokens = [int(Special.BOS)]
    for event in stream.split():
        mark = Special.READ if "?" in event else Special.WRITE
        key, value = event[0], event.lstrip("abcd?")
        tokens += [int(mark), vocabulary.key("abcd".index(key)), vocabulary.value(int(value))]
    return [*tokens, int(Special.EOS)]


def params(**changes: object) -> BenchmarkParams:
    """A small hardened benchmark of seconds; `changes` replace entries, dotted names reach into `iid` and `ood`."""
    data: dict[str, object] = {
        "setting": "hardened",
        "seed": 3,
        "keys": 6,
        "values": 32,
        "heldout_fraction": 0.2,
        "heldout_scope": "write",
        "iid": _shape((3, 4), (8, 8), (9, 10), (1, 5)),
        "ood": _shape((5, 6), (9, 10), (8, 9), (2, 7)),
        "train_streams": 400,
        "evaluation_streams": 60,
    }
    for name, value in changes.items():
        section, _, rest = name.partition("__")
        if not rest:
            data[section] = value
            continue
        field, _, end = rest.partition("__")
        shape = data[section]
        assert isinstance(shape, dict)
        if end:
            shape[field] = {**shape[field], end: value}
        else:
            assert isinstance(value, tuple)
            shape[field] = {"low": value[0], "high": value[1]}
    return BenchmarkParams.model_validate(data)


def source(**changes: object) -> BenchmarkParams:
    """A small benchmark of the source's rules."""
    rules: dict[str, object] = {
        "setting": "source",
        "keys": 8,
        "values": 64,
        "iid__active_keys": (2, 3),
        "iid__reads": (6, 7),
        "iid__lags": (1, 2),
        "ood__active_keys": (4, 5),
        "ood__overwrites": (10, 12),
        "ood__reads": (8, 10),
        "ood__lags": (2, 3),
    }
    return params(**(rules | changes))


def _shape(*ranges: tuple[int, int]) -> dict[str, dict[str, int]]:
    names = ("active_keys", "overwrites", "reads", "lags")
    return {name: {"low": low, "high": high} for name, (low, high) in zip(names, ranges, strict=True)}
