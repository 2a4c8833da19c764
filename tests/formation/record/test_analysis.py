"""The whole analysis on planted behaviour: what forms is dated and told apart, what does not form is not."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from formation.benchmark.events import twin_split
from formation.benchmark.heuristics import Heuristic, Shortcuts
from formation.benchmark.streams import SplitName, TwinKind
from formation.errors import MeasureError
from formation.model import Transformer
from formation.params import Params
from formation.record.analysis import Analysis, analyse
from formation.record.births import Outcome
from formation.record.evidence import BIRTHS, DISTANCES, FINALS, _apart, evidence
from formation.record.measure import measure
from formation.record.outcomes import Outcomes
from formation.record.series import Metric
from formation.training.state import vocabulary_size
from tests.formation.record.behaving import Planter
from tests.formation.record.conftest import Bench

EVERY, CHECKPOINTS = 40, 34
STEPS = [EVERY * i for i in range(CHECKPOINTS)]
SHORTCUT_AT, RETRIEVAL_AT, HELDOUT_AT = 8, 18, 21
X = np.arange(CHECKPOINTS)
IID = (SplitName.VALIDATION_IID, SplitName.TEST_IID)


@pytest.fixture(scope="module")
def params(bench: Bench) -> Params:
    params = bench.run.params
    training = params.training.model_copy(update={"warmup": EVERY, "steps": STEPS[-1]})
    return params.model_copy(update={"training": training})


@pytest.fixture(scope="module")
def planter(bench: Bench) -> Planter:
    return Planter(bench)


@pytest.fixture(scope="module")
def course(planter: Planter) -> list[Outcomes]:
    """A shortcut followed on most reads from checkpoint 8, retrieval on IID from 18, everywhere from 21."""
    shortcut = np.where(X < SHORTCUT_AT, 0.0, 0.8)
    retrieval = np.where(X < RETRIEVAL_AT, 0.0, 0.97)
    everywhere = planter.course(retrieval, shortcut)
    on_iid = planter.course(retrieval, shortcut, where=IID)
    return [(everywhere if x >= HELDOUT_AT else on_iid)[x] for x in X]


@pytest.fixture(scope="module")
def found(bench: Bench, params: Params, course: list[Outcomes]) -> Analysis:
    return analyse(params, STEPS, course, bench.frames, bench.twins)


def test_every_entry_of_the_evidence_is_what_was_planted(params: Params, found: Analysis) -> None:
    entries = evidence(params, found)
    expected = {
        "retrieval_birth_step": RETRIEVAL_AT,
        "iid_birth_step": RETRIEVAL_AT,
        "heldout_birth_step": HELDOUT_AT,
        "heldout_retrieval_birth_step": HELDOUT_AT,
        "ood_birth_step": HELDOUT_AT,
        "ood_retrieval_birth_step": HELDOUT_AT,
        "iid_accuracy_rise_step": RETRIEVAL_AT,
        "heldout_minus_iid_birth": HELDOUT_AT - RETRIEVAL_AT,
        "ood_minus_iid_birth": HELDOUT_AT - RETRIEVAL_AT,
        "heldout_minus_iid_retrieval": HELDOUT_AT - RETRIEVAL_AT,
        "shortcut_birth_step": SHORTCUT_AT,
        "shortcut_precedes_retrieval": RETRIEVAL_AT - SHORTCUT_AT,
    }
    for name, checkpoint in expected.items():
        assert entries[name]["value"] == checkpoint * EVERY, name
        assert entries[name]["low"] <= entries[name]["value"] <= entries[name]["high"], name
        assert entries[name]["unit"] == "steps"
    for name in FINALS:
        assert entries[name]["low"] <= entries[name]["value"] <= entries[name]["high"], name
        assert entries[name]["n"] > 0
    assert entries["iid_accuracy_final"]["value"] == pytest.approx(0.975, abs=0.02)
    assert entries["key_twin_flip_final"]["value"] == pytest.approx(0.97, abs=0.03)
    assert entries["retrieval_born"] | {"what": ""} == {
        "value": 1.0,
        "low": 1.0,
        "high": 1.0,
        "n": entries["key_twin_flip_final"]["n"],
        "unit": "fraction",
        "what": "",
    }
    json.dumps(entries, allow_nan=False)


def test_dates_apart_are_counted_in_checkpoints_to_either_side(params: Params, found: Analysis) -> None:
    entries = evidence(params, found)
    signed, apart = entries["heldout_minus_iid_retrieval"], entries["heldout_iid_retrieval_apart"]
    every = params.training.checkpoint_every
    assert apart["value"] == (HELDOUT_AT - RETRIEVAL_AT) * EVERY / every
    assert (apart["low"], apart["high"]) == (signed["low"] / every, signed["high"] / every)
    assert apart["unit"] == "checkpoints"


@pytest.mark.parametrize(
    ("signed", "apart"),
    [
        ((120, 80, 160), (3.0, 2.0, 4.0)),
        ((-120, -160, -80), (3.0, 2.0, 4.0)),  # whichever came first
        ((-40, -200, 80), (1.0, 0.0, 5.0)),  # equal dates are within the interval; the far end counts
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((40, 0, None), (1.0, 0.0, None)),
        ((-40, None, -40), (1.0, 1.0, None)),
    ],
)
def test_the_far_end_of_the_difference_bounds_how_far_apart(
    signed: tuple[int, int | None, int | None], apart: tuple[float, float, float | None]
) -> None:
    value, low, high = signed
    found = _apart({"value": value, "low": low, "high": high, "n": 7}, 40, "apart")
    assert (found["value"], found["low"], found["high"]) == apart


def test_accuracy_above_the_best_shortcut_is_accuracy_minus_its_score(bench: Bench, found: Analysis) -> None:
    for split in bench.frames:
        stale = bench.frames[split].stale
        assert stale is not None
        above = found.table[split, Metric.ABOVE_SHORTCUT].values()
        accuracy = found.table[split, Metric.STALE_ACCURACY].values()
        np.testing.assert_allclose(accuracy - above, max(stale.heuristics.scores.values()), atol=1e-6)


def test_two_births_name_the_plateau(found: Analysis) -> None:
    (two,) = [two for two in found.two_births if two.split is SplitName.TEST_IID]
    assert two.flips is SplitName.COUNTERFACTUAL
    assert two.onset == RETRIEVAL_AT * EVERY
    assert two.accuracy is not None
    assert two.accuracy.step == SHORTCUT_AT * EVERY
    assert two.value_flip is not None
    assert two.value_flip.step == SHORTCUT_AT * EVERY


def test_flips_are_counted_under_their_streams_number_in_the_split(bench: Bench, found: Analysis) -> None:
    for (split, metric), series in found.table.items():
        if metric is Metric.KEY_FLIP:
            base = SplitName.TEST_IID if split is SplitName.COUNTERFACTUAL else split
            twin = bench.dataset.twins[base, TwinKind.KEY]
            counts = np.bincount(bench.dataset.splits[base].reads.stream[twin.affected], minlength=96)
            probed = np.arange(96) if split is SplitName.COUNTERFACTUAL else bench.probe.splits[split].streams
            expected = np.zeros(96)
            expected[probed] = counts[probed]
            np.testing.assert_array_equal(series.denominators, expected)


def test_the_same_streams_are_drawn_together_and_others_apart(found: Analysis) -> None:
    weights = found.weights
    iid, twins = weights[SplitName.TEST_IID], weights[SplitName.COUNTERFACTUAL]
    np.testing.assert_array_equal(iid, twins)
    for other in (SplitName.VALIDATION_IID, SplitName.HELDOUT_PAIRS, SplitName.STRUCTURAL_OOD):
        assert abs(np.corrcoef(iid.ravel(), weights[other].ravel())[0, 1]) < 0.05


def test_windows_stand_where_something_formed(found: Analysis) -> None:
    assert [(window.name, window.first // EVERY, window.last // EVERY) for window in found.windows] == [
        ("early birth", SHORTCUT_AT - 1, SHORTCUT_AT),
        ("mid consolidation", RETRIEVAL_AT - 1, RETRIEVAL_AT),
        ("late reorganisation", HELDOUT_AT - 1, HELDOUT_AT),
    ]
    assert found.tested == len({key for key in found.table if key[1] is not Metric.ABOVE_SHORTCUT}) * (CHECKPOINTS - 4)


def test_a_shortcut_alone_is_not_retrieval(bench: Bench, params: Params, planter: Planter) -> None:
    outcomes = planter.course(np.zeros(CHECKPOINTS), np.where(X < SHORTCUT_AT, 0.0, 0.9))
    entries = evidence(params, analyse(params, STEPS, outcomes, bench.frames, bench.twins))
    last = STEPS[-1]
    for name in ("retrieval_birth_step", "iid_birth_step", "heldout_birth_step", "ood_birth_step"):
        assert (entries[name]["value"], entries[name]["reason"]) == (None, f"not born by step {last}"), name
    assert entries["shortcut_birth_step"]["value"] == SHORTCUT_AT * EVERY
    assert entries["iid_accuracy_rise_step"]["value"] == SHORTCUT_AT * EVERY
    assert entries["shortcut_precedes_retrieval"]["reason"] == "retrieval is not born"
    assert entries["heldout_minus_iid_birth"]["reason"].startswith(f"iid_birth_step not born by step {last}; heldout")
    born = entries["retrieval_born"]
    assert (born["value"], born["low"], born["high"]) == (0.0, 0.0, 0.0)
    assert born["reason"] == f"not born by step {last}"


def test_following_the_key_twin_as_far_as_a_shortcut_does_is_not_retrieval(bench: Bench, params: Params) -> None:
    """A model that says the key's second value follows some key twins; beside it, one that goes on to retrieve."""
    planter, shortcut = Planter(bench, Heuristic.NTH_2), np.where(X < SHORTCUT_AT, 0.0, 1.0)
    twins = (SplitName.COUNTERFACTUAL, Metric.KEY_FLIP)
    alone = analyse(params, STEPS, planter.course(np.zeros(CHECKPOINTS), shortcut), bench.frames, bench.twins)
    rise = alone.births[twins].rise
    assert rise.gate.opened
    assert rise.gate.peak > 0.08
    assert rise.outcome is Outcome.NOT_BORN
    assert evidence(params, alone)["retrieval_birth_step"]["value"] is None
    retrieval = np.where(X < RETRIEVAL_AT, 0.0, 0.97)
    both = analyse(params, STEPS, planter.course(retrieval, shortcut), bench.frames, bench.twins)
    assert both.births[twins].step == RETRIEVAL_AT * EVERY


def test_the_rival_of_a_key_twin_flip_is_the_best_heuristics_on_the_same_reads(bench: Bench, found: Analysis) -> None:
    for (split, metric), series in found.table.items():
        if metric is not Metric.KEY_FLIP:
            assert (series.rival is None) == (metric is not Metric.ABOVE_SHORTCUT)
            continue
        frame = bench.twins[split, TwinKind.KEY]
        own, twin = Shortcuts(frame.split), Shortcuts(twin_split(frame.split, frame.twin))
        affected = frame.twin.affected
        fixed = (Heuristic.NTH_1, Heuristic.NTH_2, Heuristic.NTH_3, Heuristic.RANDOM_OF_KEY)
        rates = [float((own.scores(name) * twin.scores(name))[affected].mean()) for name in fixed]
        assert 0 < max(rates) <= series.rival_value() < 0.6
        assert series.rival_value() == pytest.approx(frame.shortcut.flips.mean())


def test_a_late_birth_is_censored_and_has_no_date(bench: Bench, params: Params, planter: Planter) -> None:
    outcomes = planter.course(np.where(X < CHECKPOINTS - 3, 0.0, 0.97), np.where(X < SHORTCUT_AT, 0.0, 0.8))
    found = analyse(params, STEPS, outcomes, bench.frames, bench.twins)
    entry = evidence(params, found)["retrieval_birth_step"]
    assert found.births[SplitName.COUNTERFACTUAL, Metric.KEY_FLIP].outcome is Outcome.CENSORED
    assert entry["value"] is None
    assert entry["reason"].startswith(f"censored: rose at step {STEPS[-3]}")


def nothing_is_born(params: Params, found: Analysis) -> None:
    """No retrieval, no birth on any split beyond a false alarm, no window."""
    births = [name for name, birth in found.births.items() if birth.outcome is not Outcome.NOT_BORN]
    assert len(births) <= 0.05 * len(found.births) + 1, births
    entries = evidence(params, found)
    assert all(entries[name]["value"] is None for name in (*BIRTHS, *DISTANCES) if "accuracy_rise" not in name)
    assert entries["retrieval_born"]["value"] == 0.0
    assert found.windows == []


def test_in_untrained_models_nothing_is_born(bench: Bench, params: Params) -> None:
    outcomes = []
    for seed in range(12):
        generator = torch.Generator().manual_seed(seed)
        model = Transformer(params.model, vocabulary_size(params), generator).eval()
        outcomes.append(measure(model, bench.frames, bench.twins, batch=64))
    nothing_is_born(params, analyse(params, STEPS[:12], outcomes, bench.frames, bench.twins))


def test_against_permuted_answers_nothing_is_born(
    bench: Bench, params: Params, planter: Planter, course: list[Outcomes]
) -> None:
    """The same answers, judged against a permutation of the right ones."""
    rng = np.random.default_rng(0)
    order = {name: rng.permutation(len(frame.answers)) for name, frame in bench.frames.items()}
    judged = []
    for one in course:
        said = {
            name: dataclasses.replace(a, correct=a.prediction == bench.frames[name].answers[order[name]])
            for name, a in one.answers.items()
        }
        said = {name: dataclasses.replace(a, log_prob=np.where(a.correct, -0.1, -3.5)) for name, a in said.items()}
        twins = {
            key: dataclasses.replace(a, correct=a.prediction == rng.permutation(bench.twins[key].answers))
            for key, a in one.twins.items()
        }
        judged.append(dataclasses.replace(one, answers=said, twins=twins))
    nothing_is_born(params, analyse(params, STEPS, judged, bench.frames, bench.twins))


def test_in_shuffled_checkpoints_nothing_is_born(bench: Bench, params: Params, course: list[Outcomes]) -> None:
    order = np.random.default_rng(3).permutation(CHECKPOINTS)
    found = analyse(params, STEPS, [course[i] for i in order], bench.frames, bench.twins)
    assert evidence(params, found)["retrieval_born"]["value"] == 0.0
    assert found.windows == []


def test_too_few_checkpoints_after_warmup_are_refused(bench: Bench, params: Params, course: list[Outcomes]) -> None:
    with pytest.raises(MeasureError, match=r"at least 6 checkpoints after warm-up .*, there are 5; lower"):
        analyse(params, STEPS[:6], course[:6], bench.frames, bench.twins)
