"""Stages by the names a user writes."""

import pytest

from formation.components.states import stages
from formation.errors import MeasureError
from formation.features.stage import stage_name


def test_the_last_stage_is_named_by_depth() -> None:
    assert stage_name("last_post_mlp", 3) == "layer_2_post_mlp"
    assert stage_name("last_post_mlp", 1) == "layer_0_post_mlp"


def test_every_stage_keeps_its_own_name() -> None:
    assert [stage_name(name, 2) for name in stages(2)] == list(stages(2))


@pytest.mark.parametrize("name", ["layer_2_post_mlp", "layer_0.mlp.out", "logits", ""])
def test_what_is_no_stage_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(
        MeasureError, match="no residual stage; expected one of: last_post_mlp, embed, layer_0_post_attn"
    ):
        stage_name(name, 2)
