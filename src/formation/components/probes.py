"""Residual probes: what can be read off the stream linearly, at every stage and role (Alain & Bengio 2016).

Probes are fitted on the whole validation split and scored on the probe streams of the others, so no stream is fitted
and scored. Beside each stands its control task (Hewitt & Liang 2019): the same probe fitted and scored on labels
shuffled across streams. Reads keep their place in the shuffle: a read takes the label of another stream's read of the
same ordinal number, so what position alone tells of a label is the control's too. Selectivity is the difference.

Some combinations ask a token for its own name (the query key at `embed` of the query key). They are measured like all
others, and are the ceiling.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from formation.benchmark.streams import Split, SplitName
from formation.components.lda import Discriminant, fit, gram
from formation.components.material import SCORED, Material, Measured
from formation.components.probe_targets import Target, class_counts, labels
from formation.components.roles import NOWHERE, Role, roles
from formation.components.states import stages, states_at
from formation.model import Transformer
from formation.params import RecordParams
from formation.statistics import stream_sums

# Towards the identity. More finds values with few rows each more often, less finds keys in directions of small
# variance; on a half-trained model this stays within 0.06 of logistic regression, mostly within 0.03.
SHRINKAGE = 1e-2

Figures = dict[str, dict[str, dict[str, dict[str, float]]]]


@dataclass(frozen=True)
class RoleReads:
    """The reads of a split that have a role, those with a stale value first, and what they are asked.

    Labels, and labels shuffled for the control task, are those of the first reads: of all, or of those with a stale
    value where the target is that value.
    """

    reads: Int[Tensor, "row"]
    stale: int  # how many have a stale value
    labels: Mapping[Target, Int[Tensor, "labelled"]]
    controls: Mapping[Target, Int[Tensor, "labelled"]]
    placebos: Mapping[Target, Int[np.ndarray, "placebo labelled"]]  # labels permuted; none where nothing is scored


@dataclass(frozen=True)
class Asked:
    """The streams of one split, and where its probes look: the places of all roles, one role after the other."""

    tokens: Int[Tensor, "stream pos"]
    stream: Int[Tensor, "place"]
    position: Int[Tensor, "place"]
    roles: Mapping[Role, RoleReads]

    def slices(self) -> Iterator[tuple[Role, RoleReads, slice]]:
        """Every role with the slice of its places."""
        start = 0
        for role, part in self.roles.items():
            yield role, part, slice(start, start + len(part.reads))
            start += len(part.reads)


@dataclass(frozen=True)
class ProbeFrame:
    """What is the same at every checkpoint: rows, labels, shuffles, and the number of classes of each target."""

    fitted: Asked
    scored: Mapping[SplitName, tuple[Material, Asked]]
    classes: Mapping[Target, int]


@dataclass(frozen=True)
class Fitted:
    """The probes of one role at all stages, on states centred by the mean of the fitted ones."""

    centre: Float[Tensor, "stage 1 d"]
    probes: Mapping[Target, Discriminant]
    controls: Mapping[Target, Discriminant]


def probe_frame(validation: Split, materials: Mapping[SplitName, Material], record: RecordParams) -> ProbeFrame:
    """The frame of probes fitted on all streams of `validation` and scored on the materials of `SCORED`."""
    every = [validation, *(materials[name].split for name in SCORED)]
    counts = [class_counts(split) for split in every]
    return ProbeFrame(
        fitted=_asked(validation, None, _rng(record, SplitName.VALIDATION_IID)),
        scored={n: (materials[n], _asked(materials[n].split, materials[n], _rng(record, n))) for n in SCORED},
        classes={target: max(count[target] for count in counts) for target in Target},
    )


@torch.inference_mode()
def measure_probes(
    model: Transformer, frame: ProbeFrame, record: RecordParams
) -> tuple[list[Measured], dict[str, Any]]:
    """Every probe's score: component `<stage>/<role>`, metric `probe_<target>`, the share of reads it labels rightly.

    The second part is {component: {target: {split: {n, accuracy, control}}}}; a split without a labelled read is left
    out. Placebos are scores against labels permuted over the scored reads.
    """
    names = stages(model.params.layers)
    states = states_at(model, frame.fitted.tokens, names, frame.fitted.stream, frame.fitted.position, record.batch)
    fitted = {
        role: _fit(_stacked(states, names, rows), part, frame.classes) for role, part, rows in frame.fitted.slices()
    }
    every: list[Measured] = []
    figures: Figures = {f"{name}/{role}": {target: {} for target in Target} for role in fitted for name in names}
    for material, asked in frame.scored.values():
        states = states_at(model, asked.tokens, names, asked.stream, asked.position, record.batch)
        for role, part, rows in asked.slices():
            x = _stacked(states, names, rows) - fitted[role].centre
            components = [f"{name}/{role}" for name in names]
            every += _score(x, fitted[role], part, material, components, figures)
    return every, figures


def _fit(x: Float[Tensor, "stage row d"], part: RoleReads, classes: Mapping[Target, int]) -> Fitted:
    """The probes and control probes of one role; rows share their products, for all targets but one."""
    centre = x.mean(1, keepdim=True) if x.shape[1] else x.new_zeros(len(x), 1, x.shape[-1])
    x = x - centre
    stale = gram(x[:, : part.stale])
    products = {part.stale: stale, x.shape[1]: stale + gram(x[:, part.stale :])}

    def fits(labels: Mapping[Target, Int[Tensor, "labelled"]]) -> dict[Target, Discriminant]:
        return {t: fit(x[:, : len(y)], y, classes[t], SHRINKAGE, products[len(y)]) for t, y in labels.items()}

    return Fitted(centre, fits(part.labels), fits(part.controls))


def _score(
    x: Float[Tensor, "stage row d"],
    fitted: Fitted,
    part: RoleReads,
    material: Material,
    components: Sequence[str],
    figures: Figures,
) -> Iterator[Measured]:
    """The probes of one role on one split; accuracies beside their controls are put into `figures`."""
    for target, label in part.labels.items():
        count = len(label)
        if not count:
            continue
        said = fitted.probes[target].predict(x[:, :count]).numpy()
        right = (said == label.numpy()).astype(np.float64)
        control = (fitted.controls[target].predict(x[:, :count]) == part.controls[target]).numpy().mean(1)
        stream = material.stream[part.reads[:count]].numpy()
        sums = stream_sums(right.T, stream, material.streams).T
        counts = np.bincount(stream, minlength=material.streams).astype(np.float64)
        placebos = _placebo_scores(said, part.placebos[target])
        for at, component in enumerate(components):
            scores = {"accuracy": float(right[at].mean()), "control": float(control[at])}
            figures[component][target][material.name] = {"n": count, **scores}
            yield Measured(component, f"probe_{target}", material.name, sums[at], counts, placebos[at])


def _placebo_scores(
    said: Int[np.ndarray, "stage row"], permuted: Int[np.ndarray, "placebo row"]
) -> list[Float[np.ndarray, "placebo"]]:
    """Share of the permuted labels that each stage's predictions would have met."""
    hits = (permuted == one for one in said.astype(permuted.dtype))
    return [hit.view(np.uint8).sum(1, dtype=np.uint32) / permuted.shape[1] for hit in hits]


def _stacked(states: Mapping[str, Tensor], names: Sequence[str], rows: slice) -> Float[Tensor, "stage row d"]:
    return torch.stack([states[name][rows] for name in names])


# --- the frame -------------------------------------------------------------------------------------------------------


def _asked(split: Split, material: Material | None, rng: np.random.Generator) -> Asked:
    """Rows and labels of one split; placebos where it is a material's."""
    where, every = roles(split), labels(split)
    placebos = None if material is None else _Placebos(every, material.permuted.numpy())
    parts = {role: _role_reads(split, where[role], every, placebos, rng) for role in Role}
    stream = np.concatenate([split.reads.stream[part.reads] for part in parts.values()])
    position = np.concatenate([where[role][part.reads] for role, part in parts.items()])
    tokens = split.tokens[:, : int(split.length.max())]
    return Asked(torch.from_numpy(tokens), torch.from_numpy(stream), torch.from_numpy(position), parts)


def _role_reads(
    split: Split,
    where: Int[np.ndarray, "read"],
    every: Mapping[Target, Int[np.ndarray, "read"]],
    placebos: "_Placebos | None",
    rng: np.random.Generator,
) -> RoleReads:
    """Reads, labels and shuffles of the role that stands at `where`."""
    there = np.flatnonzero(where != NOWHERE)
    fresh = split.reads.stale[there] == 0
    reads = there[np.argsort(fresh, kind="stable")]
    stale = len(there) - int(fresh.sum())
    rows = {target: reads[:stale] if target is Target.STALE_VALUE else reads for target in Target}
    ordinal = np.arange(len(split.reads.stream)) - np.searchsorted(split.reads.stream, split.reads.stream)
    known = {target: every[target][rows[target]] for target in Target}
    return RoleReads(
        reads=torch.from_numpy(reads),
        stale=stale,
        labels={target: torch.from_numpy(known[target]) for target in Target},
        controls={t: torch.from_numpy(_shuffled(known[t], ordinal[rows[t]], rng)) for t in Target},
        placebos={} if placebos is None else {target: placebos.at(target, rows[target]) for target in Target},
    )


def _shuffled(
    labels: Int[np.ndarray, "row"], group: Int[np.ndarray, "row"], rng: np.random.Generator
) -> Int[np.ndarray, "row"]:
    """The labels permuted within each group."""
    out = np.empty_like(labels)
    out[np.argsort(group, kind="stable")] = labels[np.lexsort((rng.random(len(labels)), group))]
    return out


class _Placebos:
    """Labels in the orders that the permutations of all reads put them in; roles with the same reads share them."""

    def __init__(
        self, every: Mapping[Target, Int[np.ndarray, "read"]], permuted: Int[np.ndarray, "placebo read"]
    ) -> None:
        self.every = {target: column.astype(np.int16) for target, column in every.items()}  # two bytes are enough
        self.permuted = permuted
        self.made: dict[tuple[Target, bytes], Int[np.ndarray, "placebo row"]] = {}

    def at(self, target: Target, rows: Int[np.ndarray, "row"]) -> Int[np.ndarray, "placebo row"]:
        """The permuted labels of `rows`."""
        key = target, rows.tobytes()
        if key not in self.made:
            chosen = np.zeros(self.permuted.shape[1], np.bool_)
            chosen[rows] = True
            order = self.permuted[chosen[self.permuted]].reshape(len(self.permuted), len(rows))
            self.made[key] = self.every[target][order]
        return self.made[key]


def _rng(record: RecordParams, name: SplitName) -> np.random.Generator:
    """A random stream for each split's control tasks, the same at every checkpoint."""
    return np.random.default_rng([record.probe_seed, 3, list(SplitName).index(name)])
