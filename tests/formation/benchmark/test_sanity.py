"""The sanity report finds what is planted: a leak, an overlap, a broken twin, a shortcut."""

from dataclasses import replace

import numpy as np
import pytest

from formation.benchmark.events import as_split
from formation.benchmark.generate import Dataset, generate
from formation.benchmark.heuristics import Heuristic
from formation.benchmark.overlap import latent_programs, overlaps
from formation.benchmark.rules import Rule, broken_by_streams
from formation.benchmark.sanity import Verdict, refuse_violations, sanity_report
from formation.benchmark.shortcut_scores import LIMIT, over_limit, split_scores
from formation.benchmark.streams import Split, SplitName, TwinKind
from formation.errors import BenchmarkError
from formation.params import Setting

from . import planted


def with_tokens(split: Split, tokens: np.ndarray) -> Split:
    return as_split(split.name, split.vocabulary, tokens, split.length)


def with_split(dataset: Dataset, name: SplitName, split: Split) -> Dataset:
    return replace(dataset, splits={**dataset.splits, name: split})


def test_a_generated_dataset_passes(hardened: Dataset, sourced: Dataset) -> None:
    for dataset in (hardened, sourced):
        report = sanity_report(dataset)
        assert report["verdict"] == Verdict.PASSED
        assert report["violated"] == {}
        refuse_violations(report)


def test_a_stream_in_two_splits_is_found(hardened: Dataset) -> None:
    train, test = hardened.splits[SplitName.TRAIN], hardened.splits[SplitName.TEST_IID]
    tokens = train.tokens.copy()
    tokens[7] = test.tokens[3]
    length = train.length.copy()
    length[7] = test.length[3]
    leaked = with_split(hardened, SplitName.TRAIN, as_split("train", train.vocabulary, tokens, length))
    report = sanity_report(leaked)
    assert report["overlap"]["sequences"]["train|test_iid"] == 1
    assert report["overlap"]["programs"]["train|test_iid"] == 1
    assert {Rule.SEQUENCE_OVERLAP, Rule.PROGRAM_OVERLAP} <= set(report["violated"])


def test_a_renamed_stream_is_found_by_its_program_only(hardened: Dataset) -> None:
    train, test = hardened.splits[SplitName.TRAIN], hardened.splits[SplitName.TEST_IID]
    keys, first = train.vocabulary.keys, train.vocabulary.key(0)
    stream = test.tokens[3].copy()
    is_key = (stream >= first) & (stream < first + keys)
    stream[is_key] = first + (stream[is_key] - first + 1) % keys
    tokens, length = train.tokens.copy(), train.length.copy()
    tokens[7], length[7] = stream, test.length[3]
    found = overlaps({"train": as_split("train", train.vocabulary, tokens, length), "test_iid": test})
    assert found["sequences"]["train|test_iid"] == 0
    assert found["programs"]["train|test_iid"] == 1


def test_programs_are_equal_up_to_renaming_and_no_further() -> None:
    one, renamed, other = (latent_programs(planted.split(s)) for s in ("a1 b2 a?1", "c7 a3 c?7", "a1 b2 b?2"))
    assert one == renamed
    assert one != other


def test_padding_does_not_hide_an_overlap() -> None:
    short, long = planted.split("a1 b2 a?1"), planted.split("a1 b2 a?1", "a1 b2 c3 a?1 b?2")
    assert overlaps({"train": short, "test_iid": long})["sequences"] == {"train|test_iid": 1}


def test_a_leaked_pair_is_found(hardened: Dataset) -> None:
    train = hardened.splits[SplitName.TRAIN]
    heldout = hardened.heldout.copy()
    heldout[train.writes.key[0], train.writes.value[0]] = True
    report = sanity_report(replace(hardened, heldout=heldout))
    assert report["leakage"]["train"]["heldout_writes"] > 0
    assert "train" in report["violated"][Rule.HELDOUT_LEAKAGE]


def test_a_pair_that_is_not_held_out_in_the_held_out_split_is_found(hardened: Dataset) -> None:
    split = hardened.splits[SplitName.HELDOUT_PAIRS]
    heldout = hardened.heldout.copy()
    heldout[split.writes.key[0], split.writes.value[0]] = False
    report = sanity_report(replace(hardened, heldout=heldout))
    assert "heldout_pairs" in report["violated"][Rule.HELDOUT_LEAKAGE]
    with pytest.raises(BenchmarkError, match=r"heldout_leakage \(heldout_pairs: \d+ writes"):
        refuse_violations(report)


def test_a_wrong_answer_is_found_by_the_oracle(hardened: Dataset) -> None:
    split = hardened.splits[SplitName.TEST_IID]
    tokens = split.tokens.copy()
    place = split.reads.position[5] + 1
    tokens[split.reads.stream[5], place] = split.vocabulary.value(int(split.reads.value[5] + 1) % 32)
    report = sanity_report(with_split(hardened, SplitName.TEST_IID, with_tokens(split, tokens)))
    assert report["oracle"]["test_iid"]["score"] < 1
    assert "test_iid" in report["violated"][Rule.ORACLE]


def test_a_twin_that_changes_nothing_is_found(hardened: Dataset) -> None:
    key = (SplitName.TEST_IID, TwinKind.KEY)
    twin = hardened.twins[key]
    base = hardened.splits[SplitName.TEST_IID]
    idle = replace(twin, tokens=base.tokens, value=base.reads.value, affected=np.zeros_like(twin.affected))
    report = sanity_report(replace(hardened, twins={**hardened.twins, key: idle}))
    assert Rule.TWINS in report["violated"]


def test_a_twin_with_wrong_answers_recorded_is_found(hardened: Dataset) -> None:
    key = (SplitName.STRUCTURAL_OOD, TwinKind.VALUE)
    twin = hardened.twins[key]
    wrong = replace(twin, value=(twin.value + 1) % 32)
    assert Rule.TWINS in sanity_report(replace(hardened, twins={**hardened.twins, key: wrong}))["violated"]


@pytest.mark.parametrize(
    ("stream", "rule"),
    [
        ("a1 b1 c2 a3 b?1 c?2", Rule.UNIQUE_VALUES),
        ("a1 b2 b3 c4 a?1 b?3", Rule.KEY_ORDER),
        ("a1 b2 c3 a4 a?4 c?3", Rule.LAGS),
        ("a1 b2 c3 a4 b?2 c?3 b?2", Rule.COUNTS),
        ("a1 b2 c3 d4 b?2 c?3", Rule.COUNTS),
    ],
)
def test_a_broken_stream_is_found(stream: str, rule: Rule) -> None:
    shape = planted.params(iid__active_keys=(3, 3), iid__overwrites=(1, 1), iid__reads=(2, 2), iid__lags=(1, 3)).iid
    good = "a1 b2 c3 a4 b?2 c?3"
    assert broken_by_streams(planted.split(good), shape, Setting.HARDENED, twin=False) == {}
    broken = broken_by_streams(planted.split(good, stream), shape, Setting.HARDENED, twin=False)
    assert rule in broken
    assert broken[rule].startswith("1 of")


def test_a_read_of_a_key_never_overwritten_breaks_source_only() -> None:
    shape = planted.params(iid__active_keys=(2, 2), iid__overwrites=(2, 2), iid__reads=(1, 1), iid__lags=(0, 3)).iid
    streams = planted.split("a1 b2 a3 b?2 a4".replace("a3 b?2 a4", "a3 b4 b?4"), "a1 b2 b?2 a3 b4")
    assert Rule.ONLY_OVERWRITTEN in broken_by_streams(streams, shape, Setting.SOURCE, twin=False)
    assert Rule.ONLY_OVERWRITTEN not in broken_by_streams(streams, shape, Setting.HARDENED, twin=False)
    assert Rule.ONLY_OVERWRITTEN not in broken_by_streams(streams, shape, Setting.SOURCE, twin=True)


def test_a_setting_with_a_shortcut_is_refused_with_the_shortcut_named() -> None:
    """Two overwrites among five keys: a key that was overwritten has hardly more than two values."""
    params = planted.params(iid__active_keys=(4, 5), iid__overwrites=(2, 2), iid__reads=(4, 5), iid__lags=(0, 5))
    report = sanity_report(generate(params, context=120))
    assert set(report["violated"]) == {Rule.SHORTCUT_LIMIT}
    with pytest.raises(BenchmarkError, match=r"shortcut_limit \(.*nth_2 0\..*benchmark.setting=source") as refused:
        refuse_violations(report)
    assert "\n" not in str(refused.value)


def test_source_leaves_the_shortcut_open_and_hardened_closes_it(hardened: Dataset, sourced: Dataset) -> None:
    open_, closed = (sanity_report(dataset) for dataset in (sourced, hardened))
    assert open_["worst_limited"]["value"] > 0.7
    assert closed["worst_limited"]["value"] <= LIMIT < closed["worst_heuristic"]["value"] < 0.7
    assert not Heuristic(closed["worst_heuristic"]["heuristic"]).limited  # rules of recency rank are left open: said so


def test_first_and_last_values_score_zero_in_source(sourced: Dataset) -> None:
    for split in sourced.splits.values():
        scores = split_scores(split)
        assert all(scores[h]["all"]["value"] == 0 for h in (Heuristic.FIRST_VALUE, Heuristic.NTH_1, Heuristic.LAG_0))


def test_few_streams_break_the_limit_only_beyond_their_error() -> None:
    score = {"value": 0.53, "standard_error": 0.04, "n": 90, "streams": 20}
    scores = {"lag_1": {"stale": score}}
    assert over_limit(scores) == []
    assert over_limit({"lag_1": {"stale": {**score, "value": 0.6}}}) == ["lag_1 0.600"]
    assert over_limit({"lag_1": {"stale": {**score, "streams": 400}}}) == ["lag_1 0.530"]


def test_standard_errors_take_streams_as_clusters() -> None:
    """Ten reads of one stream that are all right or all wrong are one observation, not ten."""
    right, wrong = "a1 b2 c3 b4 " + "b?4 " * 10, "a1 b2 b4 c3 " + "b?4 " * 10
    score = split_scores(planted.split(*[right, wrong] * 8))[Heuristic.LAG_0]["stale"]
    assert score["value"] == 0.5
    assert score["standard_error"] == pytest.approx(0.5 / np.sqrt(16))
