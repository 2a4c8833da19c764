"""The reference itself: replacing components and stages by given ones."""

import pytest
import torch

from formation.benchmark.streams import SplitName, TwinKind
from formation.components.ablation import resample
from formation.components.clean import clean_pass
from formation.components.roles import NOWHERE, Role
from formation.components.states import stages, states_at
from formation.errors import MeasureError
from tests.formation.components.patching import outputs, patched_logits, patched_stage
from tests.formation.components.small import material, random_model

MODEL = random_model(std=0.3)
STREAMS = material()[SplitName.TEST_IID]
TWIN = STREAMS.twins[TwinKind.KEY]


def test_replacing_all_by_themselves_changes_no_bit() -> None:
    plain = patched_logits(MODEL, STREAMS, {}, len(STREAMS.tokens))
    assert torch.equal(patched_logits(MODEL, STREAMS, outputs(MODEL, STREAMS.tokens), len(STREAMS.tokens)), plain)


def test_one_replaced_by_the_twins_is_resampling() -> None:
    donor = outputs(MODEL, TWIN.tokens)
    found = resample(MODEL, clean_pass(MODEL, STREAMS, 16), STREAMS, TwinKind.KEY, 16)
    for component, ablated in found.items():
        logits = patched_logits(MODEL, STREAMS, {component.name: donor[component.name]}, 16)
        torch.testing.assert_close(logits[ablated.rows], ablated.logits, rtol=0, atol=2e-5)


@torch.inference_mode()
def test_several_are_replaced_at_once() -> None:
    """All components zero: what is left is the embedding and the biases of attention."""
    zero = {name: torch.zeros_like(whole) for name, whole in outputs(MODEL, STREAMS.tokens).items()}
    _, kept = MODEL.run(STREAMS.tokens, keep=["embed"])
    left = kept["embed"] + sum(layer.attn.out.bias for layer in MODEL.layers)
    wanted = (MODEL.norm(left) @ MODEL.token.T)[STREAMS.stream, STREAMS.position]
    torch.testing.assert_close(patched_logits(MODEL, STREAMS, zero, 16), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("stage", stages(2))
def test_a_stage_patched_by_itself_changes_no_bit(stage: str) -> None:
    reads = TWIN.first
    tokens, place = STREAMS.tokens[STREAMS.stream[reads]], STREAMS.roles[Role.MATCHING_VALUE][reads]
    state = states_at(MODEL, tokens, [stage], torch.arange(len(reads)), place, len(reads))[stage]
    nowhere = torch.full_like(place, NOWHERE)
    plain = patched_stage(MODEL, tokens, stage, nowhere, state, STREAMS.position[reads], len(reads))
    again = patched_stage(MODEL, tokens, stage, place, state, STREAMS.position[reads], len(reads))
    assert torch.equal(again, plain)


def test_the_last_stage_patched_at_the_answer_is_the_donor() -> None:
    reads = TWIN.first
    rows, position = torch.arange(len(reads)), STREAMS.position[reads]
    base, twin = STREAMS.tokens[STREAMS.stream[reads]], TWIN.tokens[STREAMS.stream[reads]]
    for stage in ("layer_1_post_mlp", "final_norm"):
        state = states_at(MODEL, twin, [stage], rows, position, 16)[stage]
        found = patched_stage(MODEL, base, stage, position, state, position, 16)
        with torch.inference_mode():
            torch.testing.assert_close(found, MODEL(twin)[rows, position], rtol=0, atol=1e-4)


def test_what_is_not_there_is_named() -> None:
    nothing = torch.zeros(1, dtype=torch.long)
    with pytest.raises(MeasureError, match=r"no component 'layer_9\.mlp'; there are: layer_0\.head_0, .*layer_1\.mlp"):
        patched_logits(MODEL, STREAMS, {"layer_9.mlp": torch.zeros(1, 1, 16)}, 16)
    with pytest.raises(MeasureError, match=r"no stage 'layer_9_post_mlp'; there are: embed, .*final_norm"):
        patched_stage(MODEL, STREAMS.tokens[:1], "layer_9_post_mlp", nothing, torch.zeros(1, 16), nothing, 1)
