"""What every measure of components looks at: a split's probe streams with their twins, laid out once for a sweep."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from formation.benchmark.events import twin_split
from formation.benchmark.streams import Split, SplitName, TwinKind
from formation.components.roles import Role, kinds, roles
from formation.params import RecordParams
from formation.record.probe_set import EVALUATION, ProbeSet, ProbeSplit
from formation.statistics import stream_sums

# probes are fitted on the validation split, so that no stream is fitted and scored
SCORED = (SplitName.TEST_IID, SplitName.HELDOUT_PAIRS, SplitName.STRUCTURAL_OOD)


@dataclass(frozen=True)
class Material:
    """The probe streams of one split; every array is the same at every checkpoint."""

    name: SplitName
    split: Split
    tokens: Int[Tensor, "stream pos"]  # trimmed to the longest stream
    kinds: Int[Tensor, "stream pos"]  # `roles.Kind`
    stream: Int[Tensor, "read"]
    position: Int[Tensor, "read"]  # answer positions
    answer: Int[Tensor, "read"]  # token ids of the right answers
    roles: Mapping[Role, Int[Tensor, "read"]]  # positions, `roles.NOWHERE` where a read has none
    twins: Mapping[TwinKind, "TwinMaterial"]
    permuted: Int[Tensor, "placebo read"]  # permutations of the reads, for placebos

    @property
    def streams(self) -> int:
        """Number of streams."""
        return len(self.tokens)


@dataclass(frozen=True)
class TwinMaterial:
    """The same streams in a twin; `first` is each stream's first affected read, where resampling is scored."""

    kind: TwinKind
    split: Split
    tokens: Int[Tensor, "stream pos"]
    answer: Int[Tensor, "read"]  # token ids right in the twin
    affected: Bool[Tensor, "read"]
    first: Int[Tensor, "affected_stream"]  # reads; a stream without an affected read has none


@dataclass(frozen=True)
class Measured:
    """One metric of one component, on one split: sums over the reads of each stream, so that streams can be resampled.

    The metric is `sums.sum() / counts.sum()`. `placebos` are the same metric under permuted answers or labels, or null
    where a permutation has no meaning.
    """

    component: str  # `layer_1.head_2`, `layer_0.mlp`, `layer_1_post_mlp/query_key`
    metric: str
    split: SplitName
    sums: Float[np.ndarray, "stream"]
    counts: Float[np.ndarray, "stream"]
    placebos: Float[np.ndarray, "placebo"] | None

    @property
    def value(self) -> float | None:
        """The metric over all streams, null where nothing could be measured."""
        total = self.counts.sum()
        return float(self.sums.sum() / total) if total else None


def materials(probe: ProbeSet, record: RecordParams) -> dict[SplitName, Material]:
    """The material of every evaluation split of the probe set."""
    return {name: _material(name, probe.splits[name], record) for name in EVALUATION}


def measured(
    component: str,
    metric: str,
    material: Material,
    values: Float[Tensor, "row"],
    rows: Int[Tensor, "row"] | None = None,
    placebos: Float[np.ndarray, "placebo"] | None = None,
) -> Measured:
    """A `Measured` from one value a read; `rows` are the reads they belong to (default: all, in order)."""
    stream = (material.stream if rows is None else material.stream[rows]).numpy()
    sums = stream_sums(values.double().numpy(), stream, material.streams)
    counts = np.bincount(stream, minlength=material.streams).astype(np.float64)
    return Measured(component, metric, material.name, sums, counts, placebos)


def _material(name: SplitName, probe: ProbeSplit, record: RecordParams) -> Material:
    split = probe.split
    longest = int(split.length.max())
    generator = np.random.default_rng([record.probe_seed, 2, list(SplitName).index(name)])
    reads = len(split.reads.stream)
    order = generator.permuted(np.tile(np.arange(reads), (record.placebos, 1)), axis=1)
    return Material(
        name=name,
        split=split,
        tokens=torch.from_numpy(split.tokens[:, :longest]),
        kinds=torch.from_numpy(kinds(split)[:, :longest]),
        stream=torch.from_numpy(split.reads.stream),
        position=torch.from_numpy(split.reads.position),
        answer=torch.from_numpy(split.answer_tokens()),
        roles={role: torch.from_numpy(place) for role, place in roles(split).items()},
        twins={kind: _twin(probe, kind, longest) for kind in TwinKind},
        permuted=torch.from_numpy(order),
    )


def _twin(probe: ProbeSplit, kind: TwinKind, longest: int) -> TwinMaterial:
    twin = probe.twins[kind]
    affected = np.flatnonzero(twin.affected)
    _, place = np.unique(probe.split.reads.stream[affected], return_index=True)
    return TwinMaterial(
        kind=kind,
        split=twin_split(probe.split, twin),
        tokens=torch.from_numpy(twin.tokens[:, :longest]),
        answer=torch.from_numpy(probe.split.vocabulary.value(0) + twin.value),
        affected=torch.from_numpy(twin.affected),
        first=torch.from_numpy(affected[place]),
    )
