"""The material of a sweep: first affected reads, permutations for placebos, sums by stream."""

import numpy as np
import torch

from formation.benchmark.streams import SplitName, TwinKind
from formation.components.material import materials, measured
from formation.components.roles import Role
from tests.formation.components import small


def test_tokens_positions_and_answers_fit_together() -> None:
    for name, material in small.material().items():
        split = material.split
        assert material.name == name
        assert material.tokens.shape[1] == split.length.max()
        queried = material.tokens[material.stream, material.position]
        assert torch.equal(queried, torch.from_numpy(split.vocabulary.key(0) + split.reads.key))
        assert torch.equal(material.tokens[material.stream, material.position + 1], material.answer)
        value = material.tokens[material.stream, material.roles[Role.MATCHING_VALUE]]
        assert torch.equal(value, material.answer)


def test_first_affected_reads_are_those_and_one_a_stream() -> None:
    for material in small.material().values():
        for kind in TwinKind:
            twin = material.twins[kind]
            wanted = {}
            for read in np.flatnonzero(twin.affected).tolist():
                wanted.setdefault(int(material.stream[read]), read)
            assert twin.first.tolist() == list(wanted.values())
            assert torch.equal(twin.affected, twin.answer != material.answer)


def test_permutations_hold_every_read_once_and_are_the_same_for_every_sweep() -> None:
    again = materials(small.probe_set(), small.RECORD)
    for name, material in small.material().items():
        reads = torch.arange(len(material.answer))
        assert material.permuted.shape == (small.RECORD.placebos, len(reads))
        assert torch.equal(material.permuted.sort(dim=1).values, reads.expand_as(material.permuted))
        assert torch.equal(material.permuted, again[name].permuted)
        assert (material.permuted == reads).double().mean() < 0.05


def test_measured_sums_by_stream() -> None:
    material = small.material()[SplitName.TEST_IID]
    rows = torch.tensor([0, 1, len(material.stream) - 1])
    one = measured("layer_0.mlp", "share", material, torch.tensor([1.0, 2.0, 4.0]), rows)
    assert one.sums[0] == 3
    assert one.sums[-1] == 4
    assert one.counts.tolist() == [2, *[0] * (material.streams - 2), 1]
    assert one.value == 7 / 3
    every = measured("layer_0.mlp", "share", material, material.position.float())
    assert every.value == material.position.double().mean()
    assert measured("layer_0.mlp", "share", material, torch.zeros(0), torch.zeros(0, dtype=torch.int64)).value is None
