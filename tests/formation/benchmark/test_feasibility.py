"""Parameters that cannot be satisfied are refused by name, in one line, before anything is drawn or written."""

import pytest

from formation.benchmark.generate import generate
from formation.errors import BenchmarkError

from . import planted

IMPOSSIBLE = [
    ("iid.active_keys.high = 7", {"iid__active_keys": (3, 7)}),
    ("ood.active_keys.high = 9", {"ood__active_keys": (5, 9)}),
    ("iid.active_keys.low = 1", {"iid__active_keys": (1, 3)}),
    ("iid.overwrites.low = 0", {"iid__overwrites": (0, 8)}),
    ("iid.reads.low = 0", {"iid__reads": (0, 8)}),
    ("values = 16", {"values": 16}),
    ("ood.reads.high = 40", {"ood__reads": (8, 40)}),
    ("iid.lags.low = 11", {"iid__lags": (11, 12)}),
    ("iid.active_keys.low = 2", {"iid__active_keys": (2, 4)}),
    ("heldout_fraction = 0.01", {"heldout_fraction": 0.01}),
    ("heldout_fraction = 0.07", {"heldout_fraction": 0.07}),
    ("heldout_fraction = 0.9", {"heldout_fraction": 0.9}),
    ("heldout_fraction = 0.97", {"heldout_fraction": 0.97, "heldout_scope": "answer"}),
]


@pytest.mark.parametrize(("named", "changes"), IMPOSSIBLE, ids=[name for name, _ in IMPOSSIBLE])
def test_refused_by_name(named: str, changes: dict[str, object]) -> None:
    with pytest.raises(BenchmarkError) as refused:
        generate(planted.params(**changes), context=120)
    assert str(refused.value).startswith(f"benchmark.{named}")
    assert "\n" not in str(refused.value)


def test_a_stream_longer_than_the_context_says_how_long() -> None:
    with pytest.raises(BenchmarkError, match=r"77 tokens .* but model.context is 76"):
        generate(planted.params(), context=76)
    assert generate(planted.params(train_streams=4, evaluation_streams=2), context=77)


def test_source_needs_lags_that_overwritten_values_can_have() -> None:
    with pytest.raises(BenchmarkError, match=r"benchmark.iid.lags.low = 8: only overwritten values are read"):
        generate(planted.source(iid__active_keys=(3, 3), iid__lags=(8, 9)), context=120)


def test_two_keys_written_in_turn_have_no_long_lags() -> None:
    with pytest.raises(BenchmarkError, match=r"benchmark.iid.lags.low = 2: two active keys are written in turn"):
        generate(planted.source(iid__lags=(2, 3)), context=120)


def test_source_never_asks_for_the_last_value() -> None:
    with pytest.raises(BenchmarkError, match=r"benchmark.ood.lags.low = 0: needs at least 1"):
        generate(planted.source(ood__lags=(0, 2)), context=120)


def test_what_only_drawing_shows_is_refused_by_name_too() -> None:
    """Lag 7 with three active keys: possible, but not for ten reads in eleven writes."""
    with pytest.raises(BenchmarkError, match=r"benchmark.iid.lags = 7–7: .* \(streams of 3 active keys"):
        generate(planted.params(iid__active_keys=(3, 3), iid__lags=(7, 7)), context=120)


def test_too_few_different_programs_to_keep_splits_apart() -> None:
    """Two keys written in turn, one overwrite each, one read: all splits would share the same program."""
    changes = {"iid__active_keys": (2, 2), "iid__overwrites": (2, 2), "iid__reads": (1, 1), "iid__lags": (1, 1)}
    with pytest.raises(BenchmarkError, match=r"benchmark.iid.reads = 1: too few different streams"):
        generate(planted.source(train_streams=5, evaluation_streams=4, **changes), context=120)
