"""The figures of a row: against plain Python, their identities, and heuristics that are followed to the letter."""

import dataclasses

import numpy as np
import pytest

from formation.benchmark.heuristics import Heuristic, predictions, scores
from formation.benchmark.streams import Split, SplitName, TwinKind
from formation.record.frames import Frame, TwinFrame
from formation.record.measure import measure
from formation.record.outcomes import Answers, Outcomes, from_arrays, to_arrays
from formation.record.rows import ReadsRow, Stratum
from formation.record.summarise import split_rows, twin_rows
from tests.formation.record.behaving import SHORTCUT, Planter
from tests.formation.record.conftest import Bench
from tests.formation.record.test_behaviour import Planted

IID, OOD = SplitName.TEST_IID, SplitName.STRUCTURAL_OOD


@pytest.fixture(scope="module")
def outcomes(bench: Bench) -> Outcomes:
    """A model that retrieves half of the time and follows a shortcut on half of the rest."""
    return Planter(bench).outcomes(0.5, 0.5, seed=1)


def test_means_by_stratum_against_plain_python(bench: Bench, outcomes: Outcomes) -> None:
    row, split, said = split_rows(outcomes, bench.frames)[OOD], bench.frames[OOD].split, outcomes.answers[OOD]
    reads = split.reads
    first = {int(stream): index for index, stream in reversed(list(enumerate(reads.stream)))}
    label = {
        Stratum.LAG: lambda r: reads.lag[r],
        Stratum.STALE: lambda r: reads.stale[r],
        Stratum.ORDINAL: lambda r: 1 + r - first[int(reads.stream[r])],
        Stratum.POSITION: lambda r: reads.position[r] // 8 * 8,
        Stratum.STALE_LAG: lambda r: 100 * reads.stale[r] + reads.lag[r],
    }
    assert row.stale_reads is not None
    for which, keep in ((row.reads, lambda r: True), (row.stale_reads, lambda r: reads.stale[r] > 0)):
        for stratum, label_of in label.items():
            members: dict[int, list[int]] = {}
            for read in range(len(reads.stream)):
                if keep(read):
                    members.setdefault(int(label_of(read)), []).append(read)
            assert {group.at: group.n for group in which.by[stratum]} == {at: len(m) for at, m in members.items()}
            for group in which.by[stratum]:
                inside = members[group.at]
                assert group.accuracy == pytest.approx(sum(bool(said.correct[r]) for r in inside) / len(inside))
                assert group.log_prob == pytest.approx(sum(float(said.log_prob[r]) for r in inside) / len(inside))
                assert group.margin == pytest.approx(sum(float(said.margin[r]) for r in inside) / len(inside))


def test_strata_sum_to_the_total(bench: Bench, outcomes: Outcomes) -> None:
    def sums(row: ReadsRow) -> None:
        for groups in row.by.values():
            assert sum(group.n for group in groups) == row.n
            for field in ("accuracy", "log_prob", "margin"):
                total = sum(group.n * getattr(group, field) for group in groups) / row.n
                assert total == pytest.approx(getattr(row, field), abs=1e-9)

    for row in split_rows(outcomes, bench.frames).values():
        assert row.stale_reads is not None
        sums(row.reads)
        sums(row.stale_reads)
        assert row.reads.n > row.stale_reads.n
        with_stale = sum(group.n for group in row.reads.by[Stratum.STALE] if group.at > 0)
        assert with_stale == row.stale_reads.n


def said_by(split: Split, answers: np.ndarray, values: np.ndarray) -> Answers:
    """Answers of a model that says `values` (value indices)."""
    prediction = np.where(values >= 0, split.vocabulary.value(0) + values, 0)
    zeros = np.zeros(len(answers), np.float32)
    return Answers(prediction, prediction == answers, zeros, zeros)


def with_answers(outcomes: Outcomes, name: SplitName, said: Answers) -> Outcomes:
    return dataclasses.replace(outcomes, answers={**outcomes.answers, name: said})


@pytest.mark.parametrize("heuristic", [Heuristic.LAG_0, Heuristic.LAG_2, Heuristic.NTH_1, Heuristic.FIRST_VALUE])
def test_a_followed_heuristic_agrees_wholly(bench: Bench, outcomes: Outcomes, heuristic: Heuristic) -> None:
    frame = bench.frames[OOD]
    values = predictions(frame.split, heuristic)
    said = said_by(frame.split, frame.answers, values)
    row = split_rows(with_answers(outcomes, OOD, said), bench.frames)[OOD].reads
    if heuristic.value in row.shortcuts:  # lag_0 is never right out of distribution, so it is not listed
        found = row.shortcuts[heuristic.value]
        assert found.agreement == pytest.approx((values >= 0).mean())
        assert found.defined == (values >= 0).sum()
        assert found.when_wrong == 1.0
        assert row.accuracy == pytest.approx(scores(frame.split, heuristic).mean())
    else:
        assert not scores(frame.split, heuristic).any()


@pytest.mark.parametrize("heuristic", [Heuristic.NTH_2, Heuristic.NTH_3, Heuristic.PREVIOUS_ANSWER])
def test_a_read_without_an_answer_is_no_error_of_the_heuristic(
    bench: Bench, outcomes: Outcomes, heuristic: Heuristic
) -> None:
    """Followed where it has an answer, guessed elsewhere: all of its errors are repeated, however few its answers."""
    frame = bench.frames[IID]
    values = predictions(frame.split, heuristic)
    guessing = np.where(values >= 0, values, (frame.split.reads.value + 1) % frame.split.vocabulary.values)
    row = split_rows(with_answers(outcomes, IID, said_by(frame.split, frame.answers, guessing)), bench.frames)[IID]
    found = row.reads.shortcuts[heuristic.value]
    assert found.defined == (values >= 0).sum() < row.reads.n
    assert found.when_wrong == 1.0
    half = np.where(np.arange(len(values)) % 2 == 0, guessing, -1)
    row = split_rows(with_answers(outcomes, IID, said_by(frame.split, frame.answers, half)), bench.frames)[IID]
    wrong = (values >= 0) & (values != frame.split.reads.value)
    assert row.reads.shortcuts[heuristic.value].when_wrong == pytest.approx(wrong[::2].sum() / wrong.sum())


def test_a_retriever_agrees_with_a_heuristic_where_it_is_right_and_nowhere_else(
    bench: Bench, outcomes: Outcomes
) -> None:
    frame = bench.frames[IID]
    said = said_by(frame.split, frame.answers, frame.split.reads.value)
    row = split_rows(with_answers(outcomes, IID, said), bench.frames)[IID].reads
    assert row.accuracy == 1.0
    for name, found in row.shortcuts.items():
        assert found.agreement == pytest.approx(scores(frame.split, Heuristic(name)).mean(), abs=1e-6)
        certain = predictions(frame.split, Heuristic(name))
        errs = ((certain >= 0) & (certain != frame.split.reads.value)).any() or found.defined > (certain >= 0).sum()
        assert found.when_wrong == (0.0 if errs else None)


def test_agreement_with_a_random_heuristic_is_the_probability_of_it(bench: Bench, outcomes: Outcomes) -> None:
    """Someone who always names the stream's first write is right by `random_value` in one of the writes so far."""
    frame = bench.frames[IID]
    split = frame.split
    values = predictions(split, Heuristic.FIRST_VALUE)
    row = split_rows(with_answers(outcomes, IID, said_by(split, frame.answers, values)), bench.frames)[IID].reads
    expected = []
    for stream, position in zip(split.reads.stream, split.reads.position, strict=True):
        mine = (split.writes.stream == stream) & (split.writes.position < position)
        expected.append((split.writes.value[mine] == split.writes.value[mine][0]).mean())
    assert row.shortcuts["random_value"].agreement == pytest.approx(np.mean(expected), abs=1e-6)


def test_flip_rates_against_plain_python_and_their_bounds(bench: Bench, outcomes: Outcomes) -> None:
    rows = twin_rows(outcomes, bench.twins)
    for (name, kind), frame in bench.twins.items():
        base, said, row = outcomes.answers[frame.base], outcomes.twins[name, kind], rows[name][kind]
        n = flips = right = twin_right = 0
        for read, whole in enumerate(frame.rows):
            if frame.twin.affected[read]:
                n += 1
                flips += bool(base.correct[whole] and said.correct[read])
                right += bool(base.correct[whole])
                twin_right += bool(said.correct[read])
        assert (row.n, row.base_right) == (n, right)
        assert row.flip == pytest.approx(flips / n)
        assert row.twin_right_given_base_right == pytest.approx(flips / right)
        assert row.twin_accuracy == pytest.approx(twin_right / n)
        assert row.flip is not None
        assert row.flip <= min(row.base_accuracy or 0, row.twin_accuracy or 0)
        assert row.unaffected.n == len(frame.rows) - n


def test_only_retrieval_follows_the_key_twin(bench: Bench) -> None:
    planter = Planter(bench)
    retrieving, following, guessing = (
        twin_rows(planter.outcomes(*rates, seed=2), bench.twins) for rates in ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0))
    )
    for name in retrieving:
        assert retrieving[name][TwinKind.KEY].flip == retrieving[name][TwinKind.VALUE].flip == 1.0
        assert guessing[name][TwinKind.KEY].flip < 0.03
    value, key = following[SplitName.COUNTERFACTUAL][TwinKind.VALUE], following[SplitName.COUNTERFACTUAL][TwinKind.KEY]
    assert value.twin_right_given_base_right == 1.0
    assert value.flip == value.base_accuracy > 0.1
    assert key.flip < 0.1
    assert SHORTCUT is Heuristic.LAG_2


def test_a_twin_of_itself_changes_nothing(bench: Bench) -> None:
    """Run as its own twin, a stream has no affected read and no change on any other."""
    key = (SplitName.HELDOUT_PAIRS, TwinKind.KEY)
    frame = bench.twins[key]
    itself = dataclasses.replace(frame.twin, tokens=frame.split.tokens, value=frame.split.reads.value)
    itself = dataclasses.replace(itself, affected=np.zeros(len(frame.rows), bool))
    same: TwinFrame = dataclasses.replace(
        frame, twin=itself, answers=frame.split.answer_tokens(), permuted=np.zeros((3, 0), np.int64)
    )
    model = Planted(frame.split.vocabulary.size)
    outcomes = measure(model, bench.frames, {key: same}, batch=32)
    row = twin_rows(outcomes, {key: same})[key[0]][key[1]]
    assert (row.n, row.flip, row.base_accuracy) == (0, None, None)
    assert (row.unaffected.log_prob_change, row.unaffected.log_prob_shift) == (0.0, 0.0)


def test_probe_twins_of_test_iid_are_a_part_of_the_counterfactual_ones(bench: Bench) -> None:
    """They are not run twice, so this is what tells that the right rows were taken."""
    model = Planted(bench.frames[IID].split.vocabulary.size)
    every = measure(model, bench.frames, bench.twins, batch=32)
    alone = {key: frame for key, frame in bench.twins.items() if key[0] is IID}
    apart = measure(model, bench.frames, alone, batch=32)
    for key in alone:
        np.testing.assert_array_equal(every.twins[key].prediction, apart.twins[key].prediction)
        np.testing.assert_allclose(every.twins[key].log_prob, apart.twins[key].log_prob, atol=1e-5)


def test_placebos_are_scores_against_permuted_answers(bench: Bench) -> None:
    frame: Frame = bench.frames[IID]
    model = Planted(frame.split.vocabulary.size)
    outcomes = measure(model, bench.frames, {}, batch=32)
    said = outcomes.answers[IID]
    permuted = frame.permuted[17]
    assert sorted(permuted) == sorted(frame.answers)
    assert (permuted != frame.answers).any()
    hits = [int(p == a) for p, a in zip(said.prediction, permuted, strict=True)]
    assert outcomes.placebos["test_iid/accuracy"][17] == pytest.approx(sum(hits) / len(hits))
    stale = [hit for hit, has in zip(hits, frame.has_stale, strict=True) if has]
    assert outcomes.placebos["test_iid/stale_accuracy"][17] == pytest.approx(sum(stale) / len(stale))
    logits = model.by_token[frame.split.tokens[frame.split.reads.stream, frame.split.reads.position]]
    logits = (logits + model.by_position[frame.split.reads.position]).double().log_softmax(-1).numpy()
    expected = logits[np.arange(len(permuted)), permuted].mean()
    assert outcomes.placebos["test_iid/log_prob"][17] == pytest.approx(expected, abs=1e-4)


def test_outcomes_come_back_from_their_arrays(bench: Bench, outcomes: Outcomes) -> None:
    back = from_arrays(to_arrays(outcomes))
    assert split_rows(back, bench.frames) == split_rows(outcomes, bench.frames)
    assert twin_rows(back, bench.twins) == twin_rows(outcomes, bench.twins)
    assert back.placebos.keys() == outcomes.placebos.keys()
