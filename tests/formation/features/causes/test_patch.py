"""Feature patches against whole passes, the no-op, the full exchange, and what a reconstruction preserves."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from formation.benchmark.streams import SplitName
from formation.errors import MeasureError
from formation.features.basis import Basis
from formation.features.causes.patch import PatchMode, Side, patch_features, preserved_margin, side, unexplained
from formation.features.choices import Kind
from formation.features.measures.above import above, margins, whole_stage
from formation.model import Transformer
from tests.formation.components.small import CONTEXT, material, shifted
from tests.formation.features.drawn import random_basis
from tests.planted import Plan, plant

BATCH = 30
STREAMS = material()[SplitName.TEST_IID]
STAGES = ("layer_0_post_mlp", "layer_1_post_mlp", "final_norm")


@cache
def sides(stage: str) -> tuple[Transformer, Basis, Side, Side]:
    basis = random_basis(stage)
    models = [shifted(seed, 0.4) for seed in (0, 1)]
    receiver, donor = (
        side(above(model, stage, whole_stage(model, STREAMS, stage, BATCH), STREAMS, BATCH), basis) for model in models
    )
    return models[0], basis, receiver, donor


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("mode", PatchMode)
def test_a_patch_is_what_a_whole_pass_gives(stage: str, mode: PatchMode) -> None:
    """Decoded with the donor's activations, plus what the basis does not explain of the receiver."""
    model, basis, receiver, donor = sides(stage)
    found = patch_features(receiver, donor, basis, [0, 2], mode, STREAMS.answer)
    mixed = receiver.activation.clone()
    swapped = [0, 2] if mode is PatchMode.SWAP else [1, 3, 4]
    mixed[:, swapped] = donor.activation[:, swapped]
    state = basis.decode(mixed) + (receiver.above.state - basis.reconstruct(receiver.above.state))

    def put(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[STREAMS.stream, STREAMS.position] = state
        return x

    with torch.inference_mode():
        logits, _ = model.run(STREAMS.tokens, edits={stage: put})
    expected = margins(logits[STREAMS.stream, STREAMS.position], STREAMS.answer)
    torch.testing.assert_close(found.patched, expected, rtol=0, atol=1e-9)
    assert (found.patched - found.receiver).abs().max() > 1e-3


@pytest.mark.parametrize("stage", STAGES)
@given(st.sets(st.integers(0, 4)), st.sampled_from(PatchMode))
@settings(max_examples=5)
def test_the_no_op_is_exactly_nothing(stage: str, chosen: set[int], mode: PatchMode) -> None:
    _, basis, receiver, donor = sides(stage)
    found = patch_features(receiver, donor, basis, sorted(chosen), mode, STREAMS.answer)
    assert (found.no_op == 0).all()
    itself = patch_features(receiver, receiver, basis, sorted(chosen), mode, STREAMS.answer)
    assert torch.equal(itself.patched, itself.receiver)
    assert itself.carried is None


def test_swapping_all_is_keeping_none() -> None:
    _, basis, receiver, donor = sides("layer_1_post_mlp")
    swapped = patch_features(receiver, donor, basis, range(5), PatchMode.SWAP, STREAMS.answer)
    kept = patch_features(receiver, donor, basis, [], PatchMode.KEEP, STREAMS.answer)
    assert torch.equal(swapped.patched, kept.patched)


def complete(stage: str) -> Basis:
    """A basis that explains everything: each axis and its opposite."""
    axes = torch.eye(16, dtype=torch.float64)
    both = torch.cat([axes, -axes])
    zeros = torch.zeros(16, dtype=torch.float64)
    return Basis(stage, Kind.TOPK, 32, both, both.new_zeros(32), both, zeros, zeros, 1.0, 0.0)


def test_with_a_complete_basis_all_features_carry_all_and_everything_is_preserved() -> None:
    stage = "layer_1_post_mlp"
    _, _, receiver, donor = sides(stage)
    basis = complete(stage)
    receiver, donor = side(receiver.above, basis), side(donor.above, basis)
    found = patch_features(receiver, donor, basis, range(32), PatchMode.SWAP, STREAMS.answer)
    torch.testing.assert_close(found.patched, found.whole, rtol=0, atol=1e-9)
    assert found.carried == pytest.approx(1)
    assert found.receiver_error == pytest.approx(0, abs=1e-12)
    kept = preserved_margin(receiver.above, basis, STREAMS.answer)
    assert kept.share == pytest.approx(1)
    assert kept.accuracy[0] == kept.accuracy[1]


def test_a_basis_that_explains_nothing_preserves_nothing() -> None:
    _, _, receiver, _ = sides("layer_1_post_mlp")
    basis = complete("layer_1_post_mlp")
    dead = replace(basis, encoder_bias=basis.encoder_bias - 1e9, mean=receiver.above.state.mean(0))
    assert unexplained(dead, receiver.above.state) == pytest.approx(1)
    assert preserved_margin(receiver.above, dead, STREAMS.answer).share == pytest.approx(0, abs=1e-9)
    assert unexplained(dead, receiver.above.state[:1].expand(3, -1)) is None


def test_the_values_directions_carry_a_planted_formation() -> None:
    """From a circuit that does not answer to one that does: the value tokens' directions are enough, others not."""
    vocabulary, stage = STREAMS.split.vocabulary, "layer_1_post_mlp"
    models = [plant(Plan().with_strength(strength), vocabulary, CONTEXT).double() for strength in (0.05, 1.0)]
    token = models[1].token.detach()
    first = vocabulary.value(0)
    values, others = token[first : first + vocabulary.values], token[:first]
    rows = torch.cat([values, others])
    rows = rows / rows.norm(dim=1, keepdim=True)
    zeros = torch.zeros(rows.shape[1], dtype=torch.float64)
    basis = Basis(stage, Kind.TOPK, len(rows), rows, rows.new_zeros(len(rows)), rows, zeros, zeros, 1.0, 0.0)
    unformed, formed = (
        side(above(model, stage, whole_stage(model, STREAMS, stage, BATCH), STREAMS, BATCH), basis) for model in models
    )
    carried = patch_features(unformed, formed, basis, range(len(values)), PatchMode.SWAP, STREAMS.answer)
    left = patch_features(unformed, formed, basis, range(len(values)), PatchMode.KEEP, STREAMS.answer)
    assert carried.carried is not None
    assert left.carried is not None
    assert carried.carried > 0.9
    assert abs(left.carried) < 0.1


def test_what_cannot_be_patched_is_refused() -> None:
    _, basis, receiver, donor = sides("final_norm")
    with pytest.raises(MeasureError, match="feature 5: expected one of 0 to 4"):
        patch_features(receiver, donor, basis, [5], PatchMode.SWAP, STREAMS.answer)
    fewer = Side(donor.above, donor.activation[:3])
    with pytest.raises(MeasureError, match=r"a patch of \d+ reads with 3"):
        patch_features(receiver, fewer, basis, [0], PatchMode.SWAP, STREAMS.answer)
