"""States at chosen positions are those of a whole run."""

import pytest
import torch

from formation.components.states import stages, states_at
from tests.formation.components import small


def test_stages_are_names_of_the_model_in_its_order() -> None:
    model = small.random_model()
    names = stages(2)
    assert names == ("embed", *(f"layer_{i}_post_{part}" for i in (0, 1) for part in ("attn", "mlp")), "final_norm")
    assert [name for name in model.names if name in names] == list(names)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_states_are_those_of_a_whole_run_in_any_order_of_rows(batch: int) -> None:
    """Row by row, whatever the batch; streams without a row are passed over."""
    model, generator = small.random_model(), torch.Generator().manual_seed(0)
    tokens = torch.randint(0, model.vocabulary, (7, 11), generator=generator)
    stream = torch.tensor([6, 0, 0, 4, 6, 0])
    position = torch.tensor([10, 3, 0, 5, 1, 3])
    names = ("embed", "layer_1_post_attn", "layer_0.mlp.hidden", "final_norm")
    found = states_at(model, tokens, names, stream, position, batch)
    with torch.inference_mode():
        _, kept = model.run(tokens, keep=names)
    assert list(found) == list(names)
    for name in names:
        torch.testing.assert_close(found[name], kept[name][stream, position], rtol=1e-5, atol=1e-5)


def test_no_rows_give_no_states() -> None:
    """Of no stream anything is known, not even a width."""
    none = torch.zeros(0, dtype=torch.int64)
    assert states_at(small.random_model(), torch.zeros(2, 3, dtype=torch.int64), ("embed",), none, none, 4) == {}
