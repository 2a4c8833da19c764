"""Where a fit begins: the directions in which its rows lie together, by k-means on the sphere.

Fits that begin at random directions come to rest in different places; those that begin here, from other rows drawn at
random, mostly find the same features (`docs/measures.md` §5).
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

ROWS = 20_000  # looked at, at most
ROUNDS = 10


def common_directions(
    rows: Float[Tensor, "row d_model"], count: int, draw: torch.Generator
) -> Float[Tensor, "count d_model"]:
    """`count` unit directions: each the mean of the rows nearest to it, weighted by how far they reach along it.

    Coates & Ng 2012 (*Learning Feature Representations with K-means*), but with signs: a rectified feature and its
    opposite are two. It begins at rows drawn at random; a direction that no row is nearest to stays where it is.
    """
    begin = torch.randint(len(rows), (count,), generator=draw)
    seen = torch.randperm(len(rows), generator=draw)[:ROWS]
    directions, x = F.normalize(rows[begin], dim=1), rows[seen]
    for _ in range(ROUNDS):
        reach, nearest = (x @ directions.T).max(dim=1)
        pulled = x * reach.clamp(min=0)[:, None]
        directions = F.normalize(torch.zeros_like(directions).index_add(0, nearest, pulled) + 1e-6 * directions, dim=1)
    return directions
