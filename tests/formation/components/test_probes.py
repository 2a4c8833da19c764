"""Residual probes: against scikit-learn on the same states, on a hand-written circuit, on what cannot be told."""

from functools import cache

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from formation.benchmark.streams import SplitName
from formation.components import probes
from formation.components.material import SCORED, Measured
from formation.components.probe_targets import NO_LABEL, Target, labels
from formation.components.probes import ProbeFrame, measure_probes, probe_frame
from formation.components.roles import NOWHERE, Role, roles
from formation.components.states import stages, states_at
from formation.model import Transformer
from tests.formation.components import small
from tests.planted import Damage, Plan, plant

Scores = dict[tuple[str, str, SplitName], Measured]


@cache
def frame() -> ProbeFrame:
    return probe_frame(small.dataset().splits[SplitName.VALIDATION_IID], small.material(), small.RECORD)


@cache
def random_scores() -> tuple[Scores, probes.Figures]:
    return score(small.random_model())


@cache
def planted_figures(lesion: bool = False) -> probes.Figures:
    plan = Plan().with_lesion(Damage.NO_OV, *Plan().retrieval) if lesion else Plan()
    vocabulary = small.dataset().splits[SplitName.TEST_IID].vocabulary
    return score(plant(plan, vocabulary, small.CONTEXT))[1]


def score(model: Transformer) -> tuple[Scores, probes.Figures]:
    every, figures = measure_probes(model, frame(), small.RECORD)
    return {(one.component, one.metric, one.split): one for one in every}, figures


def reads_of(split_name: SplitName, role: Role, target: Target) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Streams, positions and labels of the reads that have the role and the label."""
    split = small.dataset().splits[split_name]
    place, label = roles(split)[role], labels(split)[target]
    there = (place != NOWHERE) & (label != NO_LABEL)
    return split.reads.stream[there], place[there], label[there]


# --- known answers ---------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Only one sample available")
@pytest.mark.parametrize("role", [Role.QUERY_KEY, Role.MATCHING_VALUE, Role.STALE_KEY])
@pytest.mark.parametrize("target", [Target.MATCHING_SLOT, Target.STALE_VALUE, Target.OVERWRITES])
def test_scores_are_those_of_scikit_learn_on_the_same_states(role: Role, target: Target) -> None:
    model, stage = small.random_model(), "layer_1_post_attn"
    states, known = {}, {}
    for name in (SplitName.VALIDATION_IID, SplitName.TEST_IID):
        stream, position, known[name] = reads_of(name, role, target)
        tokens = torch.from_numpy(small.dataset().splits[name].tokens)
        places = torch.from_numpy(stream), torch.from_numpy(position)
        states[name] = states_at(model, tokens, [stage], *places, 16)[stage].double().numpy()
    peer = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=probes.SHRINKAGE)
    peer.fit(states[SplitName.VALIDATION_IID], known[SplitName.VALIDATION_IID])
    wanted = peer.score(states[SplitName.TEST_IID], known[SplitName.TEST_IID])
    found = random_scores()[0][f"{stage}/{role}", f"probe_{target}", SplitName.TEST_IID]
    assert found.counts.sum() == len(known[SplitName.TEST_IID])
    assert found.value == pytest.approx(wanted, abs=1.5 / found.counts.sum())  # one row may lie on a border


def test_a_token_tells_its_own_name() -> None:
    """The ceiling, at any checkpoint."""
    for role, target in (
        (Role.QUERY_KEY, Target.QUERY_KEY),
        (Role.MATCHING_KEY, Target.QUERY_KEY),
        (Role.STALE_KEY, Target.QUERY_KEY),
    ):
        for name, scores in random_scores()[1][f"embed/{role}"][target].items():
            # longer streams have positions that were never fitted
            assert scores["accuracy"] > (0.95 if name is SplitName.STRUCTURAL_OOD else 0.99)
            assert scores["control"] < 0.45


def test_the_planted_circuit_is_found_where_it_works() -> None:
    """The value is at the query once the retrieval head has written it, not before, and not with that head lesioned."""
    chance = 0.25
    for name in SCORED:
        known = {
            stage: planted_figures()[f"{stage}/{Role.QUERY_KEY}"][Target.CURRENT_VALUE][name] for stage in stages(2)
        }
        assert all(known[stage]["accuracy"] < chance for stage in stages(2)[:3])
        assert all(known[stage]["accuracy"] == 1.0 for stage in stages(2)[3:] if name is not SplitName.HELDOUT_PAIRS)
        assert all(known[stage]["accuracy"] > 0.9 for stage in stages(2)[3:])
        assert all(figures["control"] < chance for figures in known.values())
        lesioned = planted_figures(lesion=True)[f"final_norm/{Role.QUERY_KEY}"][Target.CURRENT_VALUE][name]
        assert lesioned["accuracy"] < chance


def test_the_planted_scaffold_is_found_in_the_lower_layer() -> None:
    """The previous-token head writes each value's key behind it."""
    at = {stage: planted_figures()[f"{stage}/{Role.MATCHING_VALUE}"][Target.QUERY_KEY] for stage in stages(2)}
    assert at["embed"][SplitName.TEST_IID]["accuracy"] < 0.6
    assert all(at["layer_0_post_attn"][name]["accuracy"] > 0.99 for name in SCORED)


# --- what cannot be told ---------------------------------------------------------------------------------------------


def test_a_read_mark_knows_nothing_of_its_key() -> None:
    """Whatever the model: the key stands behind it."""
    for stage in stages(2):
        for scores in random_scores()[1][f"{stage}/{Role.READ_MARK}"][Target.QUERY_KEY].values():
            assert abs(scores["accuracy"] - scores["control"]) < 0.15


def test_control_labels_are_other_streams_labels_of_the_same_place() -> None:
    split = small.dataset().splits[SplitName.TEST_IID]
    ordinal = np.arange(len(split.reads.stream)) - np.searchsorted(split.reads.stream, split.reads.stream)
    _, asked = frame().scored[SplitName.TEST_IID]
    for part in asked.roles.values():
        for target in Target:
            label, control = part.labels[target].numpy(), part.controls[target].numpy()
            place = ordinal[part.reads[: len(label)].numpy()]
            for at in np.unique(place):
                assert sorted(label[place == at]) == sorted(control[place == at])
            assert (label == control).mean() < 0.6
            assert (label != NO_LABEL).all()


def test_placebos_are_scores_against_other_reads_labels() -> None:
    scores, figures = random_scores()
    for (component, metric, split), one in scores.items():
        assert one.placebos is not None
        assert one.placebos.shape == (small.RECORD.placebos,)
        accuracy = figures[component][Target(metric.removeprefix("probe_"))][split]["accuracy"]
        assert one.placebos.mean() < max(0.75, accuracy)
    name = f"embed/{Role.QUERY_KEY}", f"probe_{Target.QUERY_KEY}", SplitName.TEST_IID
    assert 0.1 < float(scores[name].placebos.mean()) < 0.3  # type: ignore[union-attr]


def test_placebos_of_permuted_labels_by_hand() -> None:
    said = np.array([[0, 1, 1], [2, 2, 2]])
    permuted = np.array([[0, 1, 2], [2, 1, 0]], np.int16)
    found = probes._placebo_scores(said, permuted)
    np.testing.assert_allclose(np.stack(found), np.array([[2, 1], [1, 1]]) / 3)


# --- identities ------------------------------------------------------------------------------------------------------


def test_sums_are_the_figures() -> None:
    scores, figures = random_scores()
    assert set(figures) == {f"{stage}/{role}" for stage in stages(2) for role in Role}
    for component, targets in figures.items():
        assert list(targets) == list(Target)
        for target, splits in targets.items():
            assert list(splits) == list(SCORED)
            for split, wanted in splits.items():
                one = scores[component, f"probe_{target}", split]
                assert one.value == pytest.approx(wanted["accuracy"])
                assert one.counts.sum() == wanted["n"]
                assert (one.sums <= one.counts).all()


def test_the_same_model_gives_the_same_scores() -> None:
    again = score(small.random_model())
    assert again[1] == random_scores()[1]
    for name, one in random_scores()[0].items():
        np.testing.assert_array_equal(again[0][name].sums, one.sums)
        np.testing.assert_array_equal(again[0][name].placebos, one.placebos)


def test_no_stream_is_fitted_and_scored() -> None:
    fitted = {tuple(filter(None, row)) for row in frame().fitted.tokens.tolist()}
    for _, asked in frame().scored.values():
        assert fitted.isdisjoint(tuple(filter(None, row)) for row in asked.tokens.tolist())
