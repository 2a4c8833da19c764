"""Placebos by permuted answers: what the same numbers would have given had other answers been right."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from formation.components.material import Material


def permuted_answers(material: Material, rows: Int[Tensor, "row"] | None = None) -> Int[Tensor, "placebo row"]:
    """The right answers, permuted over the reads of the split, for the reads `rows` (default: all)."""
    order = material.permuted if rows is None else material.permuted[:, rows]
    return material.answer[order]


def means_of_permuted(
    by_answer: Sequence[Float[Tensor, "row vocab"]], permuted: Int[Tensor, "placebo row"]
) -> Float[np.ndarray, "table placebo"]:
    """Means over the reads of what stands under their permuted answers, for several tables at once."""
    tables = torch.stack(list(by_answer), dim=-1)
    place = permuted + torch.arange(tables.shape[0]) * tables.shape[1]
    return np.asarray(F.embedding_bag(place, tables.flatten(0, 1), mode="mean").T.double().numpy())
