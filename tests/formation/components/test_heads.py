"""What heads would copy, by their weights."""

import numpy as np
import pytest
import torch

from formation.benchmark.streams import SplitName
from formation.components.heads import ov_copying
from formation.model import Transformer
from tests.formation.components.small import CONTEXT, material, random_model
from tests.planted import Damage, Decoy, Plan, plant

VOCABULARY = material()[SplitName.TEST_IID].split.vocabulary


def copying(plan: Plan, layer: int, head: int) -> dict[str, float]:
    return ov_copying(plant(plan, VOCABULARY, CONTEXT), VOCABULARY, layer, head)


def test_the_planted_retrieval_head_copies_every_value() -> None:
    found = copying(Plan(), 1, 2)
    assert found["ov_copy"] > 0.9
    assert found["ov_copy_top"] == 1


def test_shuffled_values_are_not_copied() -> None:
    assert copying(Plan().with_lesion(Damage.SHUFFLED_VALUES, (1, 2)), 1, 2)["ov_copy_top"] == 0


def test_a_head_that_writes_nothing_copies_nothing() -> None:
    assert copying(Plan(decoys={(1, 0): Decoy.SILENT}), 1, 0)["ov_copy"] == 0


def test_random_weights_copy_nothing() -> None:
    """Negative control, over many heads: eigenvalues lean to no side, and one value in 32 is its own best by chance."""
    found = [ov_copying(random_model(seed, 32, 0.02), VOCABULARY, 1, head) for seed in range(20) for head in range(2)]
    assert abs(np.mean([one["ov_copy"] for one in found])) < 0.12
    assert np.mean([one["ov_copy_top"] for one in found]) == pytest.approx(1 / VOCABULARY.values, abs=0.03)


def whole_map(model: Transformer, layer: int, head: int) -> np.ndarray:
    """From value token to value logit, through the whole matrices."""
    token = model.token.detach().numpy().astype(np.float64)[VOCABULARY.value(0) :]
    block, size = model.layers[layer], model.params.d_model // model.params.heads
    state = {name: tensor.numpy().astype(np.float64) for name, tensor in block.state_dict().items()}
    width, centre = token.shape[1], np.eye(token.shape[1]) - 1 / token.shape[1]
    value = state["attn.qkv.weight"][2 * width :][head * size : (head + 1) * size]
    out = state["attn.out.weight"][:, head * size : (head + 1) * size]
    inner = np.diag(state["attn_norm.weight"]) @ value.T @ out.T @ centre @ np.diag(model.norm.weight.detach().numpy())
    return np.asarray(token @ centre @ inner @ token.T)


@pytest.mark.parametrize("seed", range(3))
def test_the_small_eigenproblem_has_the_eigenvalues_of_the_whole_map(seed: int) -> None:
    model = random_model(seed)
    with torch.no_grad():
        model.layers[1].attn_norm.weight += torch.randn(16, generator=torch.Generator().manual_seed(seed))
    every = whole_map(model, 1, 1)
    values = np.linalg.eigvals(every)
    found = ov_copying(model, VOCABULARY, 1, 1)
    assert found["ov_copy"] == pytest.approx(values.real.sum() / np.abs(values).sum(), abs=1e-5)
    assert found["ov_copy_top"] == (every.argmax(1) == np.arange(len(every))).mean()
