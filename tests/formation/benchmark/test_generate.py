"""Whatever parameters are accepted, the dataset keeps every rule; the same parameters give the same dataset."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from formation.benchmark import store
from formation.benchmark.events import twin_split
from formation.benchmark.generate import Dataset, generate
from formation.benchmark.rules import Rule
from formation.benchmark.sanity import sanity_report
from formation.benchmark.streams import Special, SplitName, TwinKind
from formation.errors import BenchmarkError
from formation.params import BenchmarkParams

from . import planted

STATISTICAL = {Rule.SHORTCUT_LIMIT}  # a matter of the parameters and of chance; all other rules hold always


@st.composite
def some_params(draw: st.DrawFn) -> BenchmarkParams:
    active, more = draw(st.integers(3, 4)), draw(st.integers(0, 1))
    overwrites, reads, lag = draw(st.integers(4, 9)), draw(st.integers(2, 6)), draw(st.integers(0, 1))
    build = draw(st.sampled_from([planted.params, planted.source]))
    low = max(lag, 1) if build is planted.source else lag
    return build(
        seed=draw(st.integers(0, 10**6)),
        keys=draw(st.integers(6, 9)),
        values=draw(st.integers(40, 64)),
        heldout_fraction=draw(st.sampled_from([0.2, 0.3, 0.4])),
        heldout_scope=draw(st.sampled_from(["write", "answer"])),
        iid__active_keys=(active, active + more),
        iid__overwrites=(overwrites, overwrites + more),
        iid__reads=(reads, reads + more),
        iid__lags=(low, low + draw(st.integers(2, 4))),
        ood__active_keys=(5, 6),
        ood__reads=(reads, reads + 1),
        ood__lags=(1, 5),
        train_streams=draw(st.integers(1, 60)),
        evaluation_streams=draw(st.integers(1, 12)),
    )


@settings(max_examples=15)
@given(some_params())
def test_every_accepted_dataset_keeps_every_rule(params: BenchmarkParams) -> None:
    try:
        dataset = generate(params, context=160)
    except BenchmarkError as error:
        if not str(error).startswith("benchmark."):
            raise  # a refusal names the parameter
        assume(False)
    assert set(sanity_report(dataset)["violated"]) - STATISTICAL == set()
    assert len(dataset.splits[SplitName.TRAIN].tokens) == params.train_streams
    evaluation = [name for name in SplitName if name is not SplitName.TRAIN]
    assert all(len(dataset.splits[name].tokens) == params.evaluation_streams for name in evaluation)
    assert set(dataset.twins) == {(name, kind) for name in evaluation for kind in TwinKind}


def test_most_drawn_parameters_are_accepted() -> None:
    """Control of the test above: it would pass empty-handed if everything were refused."""
    assert generate(planted.params(train_streams=5, evaluation_streams=3), 120)
    assert generate(planted.source(train_streams=5, evaluation_streams=3), 120)
    assert generate(planted.params(heldout_scope="answer", train_streams=5, evaluation_streams=3), 120)


def test_the_same_parameters_give_the_same_bytes_and_another_seed_others() -> None:
    small = {"train_streams": 30, "evaluation_streams": 8}
    first, again = (store.digest(generate(planted.params(**small), 120)) for _ in range(2))
    assert first == again
    assert first != store.digest(generate(planted.params(seed=4, **small), 120))


def test_training_size_does_not_move_evaluation_splits() -> None:
    few, more = (generate(planted.params(train_streams=n, evaluation_streams=8), 120) for n in (20, 40))
    for name in (SplitName.TEST_IID, SplitName.HELDOUT_PAIRS, SplitName.STRUCTURAL_OOD):
        assert np.array_equal(few.splits[name].tokens, more.splits[name].tokens)


def test_shapes_are_spread_evenly(hardened: Dataset) -> None:
    train = hardened.splits[SplitName.TRAIN]
    reads = np.bincount(train.reads.stream)
    writes = np.bincount(train.writes.stream)
    _, counts = np.unique(np.stack([reads, writes]), axis=1, return_counts=True)
    assert counts.tolist() == [100, 100, 100, 100]


def test_streams_end_and_are_padded(hardened: Dataset) -> None:
    for split in hardened.splits.values():
        rows = np.arange(len(split.tokens))
        assert (split.tokens[:, 0] == Special.BOS).all()
        assert (split.tokens[rows, split.length - 1] == Special.EOS).all()
        behind = np.arange(split.tokens.shape[1]) >= split.length[:, None]
        assert np.array_equal(split.tokens == Special.PAD, behind)


@pytest.mark.parametrize("kind", TwinKind)
def test_twins_change_what_they_should_and_no_more(hardened: Dataset, kind: TwinKind) -> None:
    for name in (SplitName.VALIDATION_IID, SplitName.HELDOUT_PAIRS, SplitName.STRUCTURAL_OOD):
        base, twin = hardened.splits[name], hardened.twins[name, kind]
        own = twin_split(base, twin)
        assert twin.affected[twin.target].all()
        assert (base.reads.stale[twin.target] > 0).all()
        changed_writes = (base.writes.key != own.writes.key) + 2 * (base.writes.value != own.writes.value)
        per_stream = [sorted(changed_writes[base.writes.stream == s].tolist())[-2:] for s in range(len(base.tokens))]
        assert all(row == ([0, 2] if kind is TwinKind.VALUE else [1, 1]) for row in per_stream)
        differs = twin.tokens != base.tokens
        assert differs.sum() == (changed_writes > 0).sum() + twin.affected.sum()


def test_a_key_twin_exchanges_two_answers(hardened: Dataset) -> None:
    """The target finds the partner's value, and the support's key becomes the partner's."""
    base = hardened.splits[SplitName.TEST_IID]
    twin = hardened.twins[SplitName.TEST_IID, TwinKind.KEY]
    own, target = twin_split(base, twin), twin.target
    for stream, read in enumerate(target):
        rows = base.writes.stream == stream
        changed = np.flatnonzero(base.writes.key[rows] != own.writes.key[rows])
        before, after = base.writes.key[rows][changed], own.writes.key[rows][changed]
        assert before.tolist() == after[::-1].tolist()
        values = set(base.writes.value[rows][changed].tolist())
        assert values == {base.reads.value[read], twin.value[read]}


def test_a_lag_shortcut_follows_the_value_twin_and_never_the_key_twin(hardened: Dataset) -> None:
    flips = sanity_report(hardened)["twin_flips"]
    lag = {kind: flips[f"test_iid/{kind}_twin"]["lag_1"]["targets"] for kind in TwinKind}
    assert lag[TwinKind.VALUE] > 0.1
    assert lag[TwinKind.KEY] == 0


def test_counterfactual_is_test_iid(hardened: Dataset) -> None:
    test, counterfactual = (hardened.splits[name] for name in (SplitName.TEST_IID, SplitName.COUNTERFACTUAL))
    assert np.array_equal(test.tokens, counterfactual.tokens)
    assert counterfactual.name == SplitName.COUNTERFACTUAL


def test_scope_answer_leaves_held_out_pairs_in_writes() -> None:
    dataset = generate(planted.params(heldout_scope="answer", train_streams=60, evaluation_streams=8), 120)
    train, heldout = dataset.splits[SplitName.TRAIN], dataset.splits[SplitName.HELDOUT_PAIRS]
    pairs = dataset.heldout
    assert pairs[train.writes.key, train.writes.value].any()
    assert not pairs[train.reads.key, train.reads.value].any()
    assert pairs[heldout.reads.key, heldout.reads.value].all()
    assert not pairs[heldout.writes.key, heldout.writes.value].all()


def test_statistics_count_the_streams(hardened: Dataset) -> None:
    for entry in hardened.statistics.values():
        survived = list(entry["survived"].values())
        assert survived == sorted(survived, reverse=True)
        assert survived[-1] >= entry["streams"]
        assert 0 < entry["acceptance_rate"] <= 1
