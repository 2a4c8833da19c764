"""Groups of what is alike: a tree of correlations, cut where silhouettes are largest, and how far two cuts agree."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from scipy.special import comb

Labels = Int[np.ndarray, "item"]  # group of every item, counted from 0
Members = Bool[np.ndarray, "group item"]
Distances = Float[np.ndarray, "item item"]
Tree = Float[np.ndarray, "merge 4"]


def correlations(rows: Float[np.ndarray, "item time"]) -> Float[np.ndarray, "item item"]:
    """Pearson's correlation of every two items over time; 0 with an item that does not vary."""
    centred = rows - rows.mean(1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 0)
    return np.asarray(np.clip(unit @ unit.T, -1, 1))


def distances(correlation: Float[np.ndarray, "item item"]) -> Distances:
    """1 − r, and exactly 0 of an item to itself."""
    apart = 1 - (correlation + correlation.T) / 2
    np.fill_diagonal(apart, 0.0)
    return np.asarray(apart)


def layout(correlation: Float[np.ndarray, "item item"]) -> Float[np.ndarray, "item 2"]:
    """Places in a plane whose distances are nearest to √(2 (1 − r)), those of the standardised rows.

    Classical scaling (Torgerson 1952, Psychometrika 17:401); of each axis the farthest item lies on the positive side.
    """
    about = correlation - correlation.mean(0) - correlation.mean(1, keepdims=True) + correlation.mean()
    values, vectors = np.linalg.eigh((about + about.T) / 2)
    axes = vectors[:, ::-1][:, :2] * np.sqrt(values[::-1][:2].clip(min=0))
    farthest = np.take_along_axis(axes, np.abs(axes).argmax(0)[None], axis=0)
    return np.asarray(axes * np.where(farthest < 0, -1, 1))


def cluster(apart: Distances, most: int) -> tuple[Labels, float]:
    """The cut of the average-linkage tree with the largest mean silhouette, and that mean.

    Cuts into 2 to `most` groups are looked at, fewer than there are items; of equal ones the coarsest counts.
    """
    best, found = -np.inf, np.zeros(len(apart), dtype=np.int64)
    for labels in reversed(list(_cuts(tree_of(apart), len(apart), most))):
        mean = float(silhouettes(apart, labels).mean())
        if mean > best + 1e-12:
            best, found = mean, labels
    return _by_size(found), best


def tree_of(apart: Distances) -> Tree:
    """The average-linkage tree, as scipy has it."""
    return np.asarray(hierarchy.linkage(squareform(apart, checks=False), method="average"))


def silhouettes(apart: Distances, labels: Labels) -> Float[np.ndarray, "item"]:
    """How much nearer every item is to its own group than to the next one, in [−1, 1]; 0 for an item that is alone.

    (b − a) / max(a, b), a the mean distance to the others of its group, b to the nearest other group (Rousseeuw 1987,
    J. Comput. Appl. Math. 20:53).
    """
    member = labels[:, None] == np.arange(labels.max() + 1)
    size, sums = member.sum(0), apart @ member
    own_size = size[labels]
    own = sums[member] / np.maximum(own_size - 1, 1)
    other = np.where(member, np.inf, sums / size).min(1)
    larger = np.maximum(own, other)
    value = np.divide(other - own, larger, out=np.zeros(len(labels)), where=larger > 0)
    return np.asarray(np.where(own_size > 1, value, 0.0))


def adjusted_rand(one: Labels, other: Labels) -> float:
    """Agreement of two groupings, 1 where they are the same and 0 on average by chance.

    Hubert & Arabie 1985, J. Classif. 2:193.
    """
    table = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(table, (one, other), 1)
    both, rows, columns = (comb(part, 2).sum() for part in (table, table.sum(1), table.sum(0)))
    chance = rows * columns / comb(len(one), 2)
    most = (rows + columns) / 2
    return 1.0 if most == chance else float((both - chance) / (most - chance))


def best_jaccard(one: Members, other: Members) -> Float[np.ndarray, "group"]:
    """For every group of `one`, the largest |A ∩ B| / |A ∪ B| with a group B of `other`; groups may overlap."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    shared = a @ b.T
    return np.asarray((shared / (a.sum(1)[:, None] + b.sum(1) - shared)).max(1))


def members(labels: Labels) -> Members:
    """Who is in which group, in the order of groups."""
    return np.asarray(labels == np.arange(labels.max() + 1)[:, None])


def branches(correlation: Float[np.ndarray, "item item"]) -> Members:
    """Every group that some cut of the items' tree has, from the first two that join up to the whole."""
    items = len(correlation)
    found = np.concatenate([np.eye(items, dtype=bool), np.zeros((items - 1, items), dtype=bool)])
    for merge, (left, right, *_) in enumerate(tree_of(distances(correlation))):
        found[items + merge] = found[int(left)] | found[int(right)]
    return found[items:]


def cohesion(correlation: Float[np.ndarray, "item item"], groups: Members) -> Float[np.ndarray, "group"]:
    """Mean correlation of every two different items of each group; −1 for a group of one, which has no two."""
    own = groups.T.astype(np.float64)
    size = own.sum(0)
    within = ((correlation @ own) * own).sum(0) - np.diagonal(correlation) @ own
    return np.asarray(np.where(size > 1, within / np.maximum(size * (size - 1), 1), -1.0))


def _cuts(tree: Tree, items: int, most: int) -> Iterator[Labels]:
    """The tree cut into `most` groups, then into one fewer each time, down to 2."""
    group = np.arange(items)
    for merge, (left, right, *_) in enumerate(tree):
        groups = items - merge
        if 2 <= groups <= most:
            yield np.unique(group, return_inverse=True)[1]
        group[(group == int(left)) | (group == int(right))] = items + merge


def _by_size(labels: Labels) -> Labels:
    """The same groups, numbered from the largest down; of equal ones the group of the first item comes first."""
    size, first = np.bincount(labels), np.unique(labels, return_index=True)[1]
    order = np.lexsort((first, -size))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return np.asarray(rank[labels])
