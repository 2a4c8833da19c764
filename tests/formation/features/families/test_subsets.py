"""Subsets of features: sums over members, joint removal against plain passes, placebos, births and sub-patches."""

from functools import cache
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from formation.artifacts import Run
from formation.benchmark.streams import SplitName
from formation.components.fractions import fraction
from formation.components.states import states_at
from formation.errors import MeasureError
from formation.features.bases.activations import Activations
from formation.features.basis import Basis
from formation.features.causes.patch import side
from formation.features.families.subset_measure import joint_loss, measure_subsets, subpatches
from formation.features.families.subsets import Subset, SweptSubsets, nested
from formation.features.measures.above import Above, above, margins, whole_stage
from formation.features.measures.placebos import draw_placebos
from formation.features.measures.trajectories import Frame, measure_features, trajectory_frame
from formation.features.measures.usefulness import Worth
from formation.features.snapshots import Firing, Half, Snapshot
from formation.features.swept import Swept
from formation.model import Transformer
from formation.record.probe_set import ProbeSet
from formation.statistics import resamples
from tests.formation.components.small import material, random_model, shifted
from tests.formation.features.drawn import random_basis

IID, HELDOUT = SplitName.TEST_IID, SplitName.HELDOUT_PAIRS
STREAMS = material()[IID]
SUBSETS = {"family_0.top1": (3,), "family_0.top2": (3, 1), "all": (0, 1, 2, 3, 4)}
STAGES = ("layer_0_post_mlp", "layer_1_post_mlp", "final_norm")


@cache
def measured(stage: str = "layer_1_post_mlp") -> tuple[Transformer, Frame, Snapshot, Snapshot]:
    model, basis = random_model(), random_basis(stage, latents=5, k=3).to(torch.float32)
    x = states_at(model, STREAMS.tokens, [stage], STREAMS.stream, STREAMS.position, 30)[stage].clone()
    none = torch.zeros(len(x)).long()
    frame = trajectory_frame(
        basis, draw_placebos(basis, [Activations(stage, 0, x, none, none)], 20, 6, seed=0), material(), 30, seed=0
    )
    features = measure_features(model, 40, frame)
    return model, frame, features, measure_subsets(model, features, frame, SUBSETS)


@cache
def way(stage: str, seed: int = 0) -> tuple[Transformer, Basis, Above]:
    """A float64 model, features of a stage, and the way from there to the answers."""
    model = shifted(seed, 0.3)
    return model, random_basis(stage), above(model, stage, whole_stage(model, STREAMS, stage, 30), STREAMS, 30)


def plain(stage: str, state: Tensor) -> Tensor:
    """Margins of a whole pass in which the stage at all answer positions is `state`."""
    model, _, _ = way(stage)

    def edit(x: Tensor) -> Tensor:
        x = x.clone()
        x[STREAMS.stream, STREAMS.position] = state
        return x

    logits, _ = model.run(STREAMS.tokens, edits={stage: edit})
    return margins(logits[STREAMS.stream, STREAMS.position], STREAMS.answer)


@pytest.mark.parametrize("split", [IID, HELDOUT])
@pytest.mark.parametrize("metric", [Firing.SCORE, Firing.ACTIVATION])
def test_scores_and_activations_are_sums_over_members(split: SplitName, metric: Firing) -> None:
    _, _, features, subsets = measured()
    own, whole = subsets.splits[split].tracks[metric].sums, features.splits[split].tracks[metric].sums
    for row, members in zip(own, SUBSETS.values(), strict=True):
        np.testing.assert_allclose(row, whole[list(members)].sum(0), rtol=1e-5)
    assert list(subsets.splits) == list(features.splits)


@pytest.mark.parametrize("split", [IID, HELDOUT])
@pytest.mark.parametrize("worth", [Worth.USEFULNESS, Worth.LOG_PROB])
@pytest.mark.parametrize("stage", STAGES[:2])
def test_a_subset_of_one_is_worth_what_the_feature_is(stage: str, split: SplitName, worth: Worth) -> None:
    _, _, features, subsets = measured(stage)
    one, other = (found.splits[split].tracks[worth].sums for found in (subsets, features))
    np.testing.assert_allclose(one[0], other[3], atol=2e-4)


@torch.no_grad()
@pytest.mark.parametrize("stage", STAGES)
def test_members_are_removed_all_at_once(stage: str) -> None:
    _, basis, rest = way(stage)
    activation = basis.encode(rest.state)
    mean = activation.mean(0)
    members = [3, 1]
    moved = rest.state - basis.scale * (activation - mean)[:, members] @ basis.decoder[members]
    before, after = plain(stage, rest.state), plain(stage, moved)
    found = joint_loss(rest, basis, members, activation, mean, STREAMS.answer)
    torch.testing.assert_close(found[0], before - after, rtol=0, atol=1e-9)
    lost = before.sigmoid().log() - after.sigmoid().log()
    torch.testing.assert_close(found[1], lost, rtol=0, atol=1e-9)


@pytest.mark.parametrize("stage", STAGES)
def test_what_never_varies_is_worth_exactly_nothing(stage: str) -> None:
    _, basis, rest = way(stage)
    activation = basis.encode(rest.state)
    assert not joint_loss(rest, basis, [0, 2], activation * 0 + 2.0, torch.full((5,), 2.0), STREAMS.answer).any()


def test_placebos_of_one_member_are_the_features_and_of_more_their_sum() -> None:
    _, _, features, subsets = measured()
    for metric in (Firing.SCORE, Worth.USEFULNESS):
        own, whole = (found.splits[IID].tracks[metric].placebos for found in (subsets, features))
        assert own is not None
        assert whole is not None
        np.testing.assert_array_equal(own[:, 0], whole[:, 3])
        np.testing.assert_allclose(own.mean(2)[:, 1], whole.mean(2)[:, [3, 1]].sum(1), rtol=1e-4, atol=1e-4)
        assert subsets.splits[HELDOUT].tracks[metric].placebos is None


def test_a_subset_has_a_series_of_its_own_name() -> None:
    _, _, _, subsets = measured()
    at = np.arange(STREAMS.streams)
    params = SimpleNamespace(benchmark=SimpleNamespace(evaluation_streams=len(at)))
    probe = SimpleNamespace(splits=dict.fromkeys((IID, HELDOUT), SimpleNamespace(streams=at)))
    stage = Swept(cast(Run, SimpleNamespace(params=params)), "s", "b", cast(ProbeSet, probe), [subsets] * 4)
    named = tuple(Subset(name, "family_0", len(features), features) for name, features in SUBSETS.items())
    for split, placebos in ((IID, 20), (HELDOUT, 0)):
        series = SweptSubsets(stage, named).series("family_0.top2", Worth.USEFULNESS, split)
        assert series.name == f"{split}/family_0.top2:usefulness"
        own = subsets.splits[split]
        chosen, sums = own.halves[Half.REPORT], own.tracks[Worth.USEFULNESS].sums[1]
        assert series.values() == pytest.approx(np.full(4, sums[chosen].sum() / own.reads[chosen].sum()))
        assert series.placebos.shape == (placebos, 4)


def test_subsets_are_nested_by_rank() -> None:
    assert nested("family_7", [54, 27, 3], 2) == {"family_7.top1": (54,), "family_7.top2": (54, 27)}
    assert list(nested("family_7", [54], 5)) == ["family_7.top1"]


@pytest.mark.parametrize("members", [(), (1, 1), (5,), (-1,)])
def test_what_is_no_subset_is_refused(members: tuple[int, ...]) -> None:
    model, frame, features, _ = measured()
    with pytest.raises(MeasureError, match=r"subset strange: features .* expected at least one, each once, of the"):
        measure_subsets(model, features, frame, {"strange": members})


# --- patched from another checkpoint ---------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("stage", STAGES)
def test_a_subpatch_is_a_pass_with_the_donors_activations(stage: str) -> None:
    _, basis, rest = way(stage)
    receiver, donor = side(rest, basis), side(way(stage, seed=1)[2], basis)
    found = subpatches(receiver, donor, basis, nested("a", [3, 1], 2), STREAMS)
    before = plain(stage, rest.state)
    for members, one in (([3], found["a.top1"]), ([3, 1], found["a.top2"])):
        change = (donor.activation - receiver.activation)[:, members] @ basis.decoder[members]
        wanted = plain(stage, rest.state + basis.scale * change) - before
        assert one.gain.gained.sum() == pytest.approx(float(wanted.sum()), abs=1e-7)
        assert one.gain.change.sum() == pytest.approx(float((plain(stage, donor.above.state) - before).sum()), abs=1e-7)
        assert one.gain.counts.sum() == len(STREAMS.answer)


@pytest.mark.parametrize("stage", STAGES)
def test_a_checkpoint_patched_into_itself_gains_exactly_nothing(stage: str) -> None:
    _, basis, rest = way(stage)
    one = subpatches(side(rest, basis), side(rest, basis), basis, {"all": range(5)}, STREAMS)["all"]
    assert not one.gain.gained.any()
    assert not one.patch.no_op.any()
    assert fraction(one.gain, resamples(STREAMS.streams, 100, 0), 0.95).value is None
