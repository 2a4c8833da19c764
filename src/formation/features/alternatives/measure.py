"""Features of all kinds at every checkpoint: what is fit, which are followed, and their curves.

Features are chosen by their usefulness at the last checkpoint on one half of the probe streams; their curves are those
of the other half.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from formation.artifacts import Run
from formation.benchmark.generate import Dataset
from formation.benchmark.streams import SplitName
from formation.components.material import Material
from formation.components.states import states_at
from formation.features.alternatives.births import Curves
from formation.features.alternatives.crosscoder import fit_crosscoder
from formation.features.alternatives.kinds import (
    Coded,
    Features,
    Kind,
    Look,
    OfBasis,
    OfCrosscoder,
    OfNeurons,
    component_basis,
    neurons_before,
)
from formation.features.bases.activations import draw_places
from formation.features.bases.material import choose_checkpoints
from formation.features.bases.samples import Sample
from formation.features.bases.settings import FitSettings
from formation.features.halves import part_of
from formation.features.meaning import meaningful
from formation.features.measures.above import Above, above, require_finite, whole_stage
from formation.features.measures.placebos import Placebos, placebo_usefulness
from formation.features.measures.usefulness import removal
from formation.features.metrics import Half, Halves, Worth
from formation.features.params import Section
from formation.features.store import StoredBasis
from formation.model import Transformer
from formation.progress import track
from formation.statistics import resamples
from formation.training import checkpoints

STREAMS = 512  # training streams that components and crosscoder are fit on, a quarter of the basis'
MOST = 16  # features of each kind that are followed
RUNGS = 6  # sizes of removal at which random directions are measured
FIT_STEPS, FIT_BATCH, FIT_RATE = 400, 512, 1e-3  # of the crosscoder, a fifth of a basis' steps


@dataclass(frozen=True, eq=False)
class Setting:
    """What is the same at every checkpoint."""

    run: Run
    stored: StoredBasis
    material: Material  # of the split whose births are dated, all probe streams
    halves: Halves

    @property
    def stage(self) -> str:
        """The stage's own name."""
        return self.stored.basis.stage

    @property
    def batch(self) -> int:
        """Streams a forward pass."""
        return self.run.params.record.batch


@dataclass(frozen=True, eq=False)
class Fitted:
    """Features of every kind, and how much each varies over what it was fit on, in the stage's unit."""

    kinds: tuple[Features, ...]
    deviations: Mapping[Kind, Float[Tensor, "feature"]]
    code: Float[Tensor, "read feature"]  # the crosscoder's of all probe reads
    missing: Mapping[Kind, str]  # why a kind is not there


# --- fit -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Pooled:
    """Training rows at the fit checkpoints, and what neurons write there."""

    samples: list[Sample]
    neurons: OfNeurons | None
    neuron_deviation: Tensor


def fit_kinds(setting: Setting, dataset: Dataset) -> Fitted:
    """All kinds of features of a stage; raises as fitting a basis does."""
    run, basis, section = setting.run, setting.stored.basis, setting.run.params.of(Section)
    schedule = tuple(checkpoints.schedule(run))
    pooled = _pool(setting, dataset, choose_checkpoints(run).fit, schedule)
    settings = FitSettings(basis.latents, basis.k, steps=FIT_STEPS, batch=FIT_BATCH, learning_rate=FIT_RATE)
    crosscoder = OfCrosscoder(fit_crosscoder(pooled.samples, settings, section.seed))
    kinds: list[Features] = [
        OfBasis(Kind.SHARED, basis, schedule),
        OfBasis(Kind.COMPONENTS, component_basis(pooled.samples, basis), schedule),
        crosscoder,
    ]
    code = crosscoder.crosscoder.encode({sample.step: sample.x for sample in pooled.samples})
    deviations = {kind.kind: _deviation(kind, pooled.samples, code) for kind in kinds}
    missing = {}
    if pooled.neurons is None:
        missing[Kind.NEURONS] = f"no MLP block writes to {setting.stage} last"
    else:
        kinds.insert(2, pooled.neurons)
        deviations[Kind.NEURONS] = pooled.neuron_deviation
    return Fitted(tuple(kinds), deviations, _probe_code(setting, crosscoder), missing)


def _pool(setting: Setting, dataset: Dataset, steps: Sequence[int], schedule: tuple[int, ...]) -> _Pooled:
    """One pass of some training streams at every fit checkpoint."""
    run, section = setting.run, setting.run.params.of(Section)
    places = draw_places(dataset.splits[SplitName.TRAIN], section.positions, STREAMS, section.seed)
    samples: list[Sample] = []
    moments: list[Tensor] = []
    neurons = None
    with track(f"{run.name} activations", len(steps), "checkpoints") as bar:
        for step in steps:
            model = checkpoints.load_model(run, step)
            neurons = neurons_before(model, setting.stage, schedule)
            names = [setting.stage, *([neurons.site] if neurons else [])]
            found = states_at(model, places.tokens, names, places.stream, places.position, setting.batch)
            x = found[setting.stage].clone()
            require_finite(x, setting.stage, step)
            samples.append(Sample(setting.stage, step, x))
            if neurons:
                moments.append(_moments(neurons.at(Look(model, step, x, found[neurons.site].clone(), None))))
            bar.advance()
    return _Pooled(samples, neurons, _spread(moments) if moments else torch.zeros(0))


def _deviation(kind: Features, samples: Sequence[Sample], code: Tensor) -> Float[Tensor, "feature"]:
    """How much each feature's amount varies over the samples."""
    return _spread([_moments(kind.at(Look(None, one.step, one.x, None, code))) for one in samples])


def _moments(coded: Coded) -> Float[Tensor, "moment feature"]:
    amounts = coded.amounts.double()
    return torch.stack([amounts.mean(0), amounts.square().mean(0)])


def _spread(moments: Sequence[Float[Tensor, "moment feature"]]) -> Float[Tensor, "feature"]:
    """Standard deviation over all checkpoints' rows."""
    mean, square = torch.stack(list(moments)).mean(0).unbind()
    return (square - mean.square()).clamp(min=0).sqrt()


@torch.no_grad()
def _probe_code(setting: Setting, crosscoder: OfCrosscoder) -> Float[Tensor, "read feature"]:
    """The crosscoder's code of all probe reads, made from their states at all its checkpoints."""
    material, states = setting.material, {}
    for step in crosscoder.steps:
        model = checkpoints.load_model(setting.run, step)
        found = states_at(model, material.tokens, [setting.stage], material.stream, material.position, setting.batch)
        states[step] = found[setting.stage].clone()
    return crosscoder.crosscoder.encode(states)


# --- at one checkpoint -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Seen:
    """A half of the probe streams at one checkpoint."""

    step: int
    material: Material
    above: Above
    coded: Mapping[Kind, Coded]


def _see(setting: Setting, fitted: Fitted, half: Half, step: int) -> _Seen:
    chosen = setting.halves[half]
    material = part_of(setting.material, chosen)
    reads = torch.from_numpy(chosen)[setting.material.stream]
    model = checkpoints.load_model(setting.run, step)
    whole = whole_stage(model, material, setting.stage, setting.batch, step)
    rest = above(model, setting.stage, whole, material, setting.batch)
    look = Look(model, step, rest.state, _hidden(setting, fitted, model, material), fitted.code[reads])
    there = [kind for kind in fitted.kinds if step in kind.steps]
    return _Seen(step, material, rest, {kind.kind: kind.at(look) for kind in there})


def _hidden(setting: Setting, fitted: Fitted, model: Transformer, material: Material) -> Tensor | None:
    for kind in fitted.kinds:
        if isinstance(kind, OfNeurons):
            at = (material.stream, material.position, setting.batch)
            return states_at(model, material.tokens, [kind.site], *at)[kind.site].clone()
    return None


def _usefulness(seen: _Seen, coded: Coded) -> Float[np.ndarray, "stream feature"]:
    """Margin lost when each feature is replaced by its mean, summed over the reads of each stream."""
    changed = coded.amounts - coded.amounts.mean(0)
    lost = removal(seen.above, coded.directions, changed, seen.material.answer)[Worth.USEFULNESS]
    sums = torch.zeros(seen.material.streams, lost.shape[1], dtype=torch.float64)
    return np.asarray(sums.index_add_(0, seen.material.stream, lost.double()).numpy())


def _placebos(
    setting: Setting, seen: _Seen, deviations: Float[Tensor, "feature"]
) -> Float[np.ndarray, "feature placebo"]:
    """Mean margin lost when random directions are taken away in each feature's place, of its size or the next above."""
    basis, drawn = setting.stored.basis, setting.stored.placebos
    own = (deviations / basis.scale).to(drawn.ladder.dtype)
    ladder = torch.quantile(own, torch.arange(1, RUNGS + 1, dtype=own.dtype) / RUNGS)
    rung = torch.searchsorted(ladder, own).clamp(max=RUNGS - 1)
    placebos: Placebos = replace(drawn, ladder=ladder, rung=rung)
    every = torch.arange(len(seen.material.answer))
    lost = placebo_usefulness(seen.above, basis, placebos, seen.material.answer, [every])[Worth.USEFULNESS]
    return np.asarray(lost[0].double().numpy() / len(every))


# --- followed --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Followed:
    """Features of one kind, the most useful first, of all that are meaningful at the last checkpoint."""

    source: Features
    features: tuple[int, ...]
    meaningful: int


def choose(setting: Setting, fitted: Fitted) -> list[Followed]:
    """The features to follow: meaningful ones at the last checkpoint, on the half that selects."""
    params = setting.run.params
    seen = _see(setting, fitted, Half.SELECTION, checkpoints.schedule(setting.run)[-1])
    reads = _reads(seen.material)
    weights = resamples(len(reads), params.record.bootstrap_draws, params.windows.seed)
    out = []
    for kind in fitted.kinds:
        placebos = _placebos(setting, seen, fitted.deviations[kind.kind])
        level = np.quantile(placebos, params.windows.placebo_quantile, axis=1, method="higher")
        found = meaningful(_usefulness(seen, seen.coded[kind.kind]), reads, weights, params.windows.fdr, level)
        out.append(Followed(kind, tuple(found[:MOST]), len(found)))
    return out


def follow(setting: Setting, fitted: Fitted, followed: Sequence[Followed]) -> list[Curves]:
    """Their curves on the reported half, at every checkpoint at which their kind is there."""
    rows: dict[Kind, list[tuple[np.ndarray, ...]]] = {one.source.kind: [] for one in followed}
    reads = np.zeros(0)
    for seen in _checkpoints(setting, fitted):
        reads = _reads(seen.material)
        there = [one for one in followed if one.source.kind in seen.coded and one.features]
        own = [fitted.deviations[one.source.kind][list(one.features)] for one in there]
        placebos = _placebos(setting, seen, torch.cat(own)) if own else np.zeros((0, 0))
        for one in there:
            coded, placebos_of = seen.coded[one.source.kind].take(one.features), placebos[: len(one.features)]
            placebos = placebos[len(one.features) :]
            rows[one.source.kind].append((_usefulness(seen, coded).T, placebos_of, *_activity(coded)))
    return [_curves(one, rows[one.source.kind], reads) for one in followed]


def _checkpoints(setting: Setting, fitted: Fitted) -> Iterator[_Seen]:
    schedule = checkpoints.schedule(setting.run)
    with track(f"{setting.run.name} alternatives", len(schedule), "checkpoints") as bar:
        for step in schedule:
            yield _see(setting, fitted, Half.REPORT, step)
            bar.advance()


def _activity(coded: Coded) -> tuple[np.ndarray, np.ndarray]:
    """Fraction of the reads at which each feature is active, and its mean amount."""
    amounts = coded.amounts.double()
    return (amounts > 0).double().mean(0).numpy(), amounts.mean(0).numpy()


def _curves(one: Followed, rows: Sequence[tuple[np.ndarray, ...]], reads: Float[np.ndarray, "stream"]) -> Curves:
    steps = np.array(one.source.steps)
    empty = (np.zeros((0, len(reads), len(steps))), *(np.zeros((0, 0, len(steps))),), *[np.zeros((0, len(steps)))] * 2)
    parts = tuple(np.stack(column, axis=-1) for column in zip(*rows, strict=True)) if rows else empty
    return Curves(one.source.kind.value, one.source.count, one.meaningful, one.features, steps, reads, *parts)


def _reads(material: Material) -> Float[np.ndarray, "stream"]:
    """Reads of each stream."""
    count: Int[np.ndarray, stream] = np.bincount(material.stream.numpy(), minlength=material.streams)
    return count.astype(np.float64)
