"""Exchanges against the reference: every patch is what whole passes of the receiver give."""

from functools import cache

import pytest
import torch
from torch import Tensor

from formation.benchmark.streams import SplitName
from formation.components.exchange import Patched, PatchKind, Side, exchange, side
from formation.components.roles import Role
from formation.components.states import states_at
from tests.formation.components.patching import outputs, patched_logits, patched_stage
from tests.formation.components.small import material, shifted

BATCH = 16
STREAMS = material()[SplitName.TEST_IID]


@cache
def sides() -> tuple[Side, Side]:
    """Receiver and donor, in float64."""
    return side(shifted(0, 0.3), STREAMS, BATCH), side(shifted(1, 0.3), STREAMS, BATCH)


@cache
def exchanged() -> list[Patched]:
    return list(exchange(*sides(), BATCH))


@torch.inference_mode()
def reference(patch: Patched) -> Tensor:
    """The patched logits, from whole passes."""
    receiver, donor = (one.model for one in sides())
    if patch.kind in (PatchKind.HEAD, PatchKind.MLP):
        theirs = outputs(donor, STREAMS.tokens)[patch.component]
        return patched_logits(receiver, STREAMS, {patch.component: theirs}, BATCH)
    if patch.kind is PatchKind.STAGE_ROLE:
        stage, role = patch.component.split("/")
        tokens, place = STREAMS.tokens[STREAMS.stream[patch.rows]], STREAMS.roles[Role(role)][patch.rows]
        state = states_at(donor, tokens, [stage], torch.arange(len(tokens)), place, BATCH)[stage]
        return patched_stage(receiver, tokens, stage, place, state, STREAMS.position[patch.rows], BATCH)
    if patch.kind is PatchKind.READOUT:
        return patched_logits(donor, STREAMS, {}, BATCH)
    name = f"{patch.component}.out" if patch.kind is PatchKind.ATTENTION else patch.component
    _, kept = donor.run(STREAMS.tokens, keep=[name])
    logits, _ = receiver.run(STREAMS.tokens, edits={name: lambda _: kept[name]})
    return logits[STREAMS.stream, STREAMS.position]


@pytest.mark.parametrize("kind", PatchKind)
def test_a_patch_is_what_whole_passes_give(kind: PatchKind) -> None:
    found = [patch for patch in exchanged() if patch.kind is kind]
    assert found
    for patch in found:
        torch.testing.assert_close(patch.patched, reference(patch), rtol=0, atol=1e-9)
        assert (patch.patched - patch.unpatched).abs().max() > 0.01


def test_what_is_not_patched_is_the_plain_pass() -> None:
    receiver, donor = (patched_logits(one.model, STREAMS, {}, BATCH) for one in sides())
    for patch in exchanged():
        torch.testing.assert_close(patch.receiver, receiver[patch.rows], rtol=0, atol=1e-9)
        torch.testing.assert_close(patch.donor, donor[patch.rows], rtol=0, atol=1e-9)
