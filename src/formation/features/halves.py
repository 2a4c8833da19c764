"""Some of a split's probe streams as material of its own: those on which what was selected elsewhere is measured."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from formation.benchmark.events import as_split
from formation.benchmark.streams import Split
from formation.components.material import Material, TwinMaterial


def part_of(material: Material, chosen: Bool[np.ndarray, "stream"]) -> Material:
    """The material of the chosen streams alone, in the same order; streams and reads are numbered anew.

    It has no placebos: permutations of all reads are none of some.
    """
    streams = torch.from_numpy(chosen)
    reads = streams[material.stream]
    number = torch.cumsum(reads, 0) - 1  # of each chosen read among them
    return replace(
        material,
        split=_split(material.split, chosen),
        tokens=material.tokens[streams],
        kinds=material.kinds[streams],
        stream=(torch.cumsum(streams, 0) - 1)[material.stream[reads]],
        position=material.position[reads],
        answer=material.answer[reads],
        roles={role: place[reads] for role, place in material.roles.items()},
        twins={kind: _twin(twin, streams, reads, number, chosen) for kind, twin in material.twins.items()},
        permuted=material.permuted[:0, : int(reads.sum())],
    )


def _twin(
    twin: TwinMaterial,
    streams: Bool[Tensor, "stream"],
    reads: Bool[Tensor, "read"],
    number: Int[Tensor, "read"],
    chosen: Bool[np.ndarray, "stream"],
) -> TwinMaterial:
    return replace(
        twin,
        split=_split(twin.split, chosen),
        tokens=twin.tokens[streams],
        answer=twin.answer[reads],
        affected=twin.affected[reads],
        first=number[twin.first[reads[twin.first]]],
    )


def _split(split: Split, chosen: Bool[np.ndarray, "stream"]) -> Split:
    return as_split(split.name, split.vocabulary, split.tokens[chosen], split.length[chosen])
