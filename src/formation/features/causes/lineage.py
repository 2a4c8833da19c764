"""Where features come from: edges from heads, MLP blocks and neurons to the features of a stage, at one checkpoint.

An edge says what becomes of a feature's score at answer positions when the writer's output is replaced at all positions
(`docs/measures.md` §3 *Ablation* for what stands in; resampling is scored at first affected reads). Five figures:

- *moved*: the mean absolute change of the score, exactly, by running the model with the replacement;
- *lost*: the mean loss, with its sign. A writer that only says where to look takes a feature of values from some reads
  and gives it to others, and a mean replaces on average nothing: much is moved then, and little lost;
- *activation lost*: the loss of what is left once the basis has kept its largest scores;
- *gradient*: the score's gradient times (own output − stand-in), over all positions: *lost* to first order;
- *direct*: the part of that which the writer itself puts at the answer position, nothing between it and the stage.

*Moved* names all that a feature depends on, *direct* names who writes it. Scores are those without the mask of the
basis (§6), in units of its scale. With zero in place of every output, the direct terms with those of the embeddings and
biases sum to the score (`attributions.direct_terms`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from formation.components.ablation import TWINS
from formation.components.material import Material
from formation.features.basis import Basis
from formation.features.causes.attributions import Batch, Frame, first_order, rows_for, strongest
from formation.features.causes.writers import StandIn, Writer, replaced, site, writers_before
from formation.model import Transformer
from formation.params import Ablation
from formation.progress import Tracker, track
from formation.statistics import Estimate, ratio

NEURONS = 32  # ablated one by one: those with the largest gradient figures
LEAST = 0.05  # of a feature's strongest edge: weaker ones are left out
FAINT = 1e-3  # of a feature's mean score: what moves less is no edge, even if nothing moves more


@dataclass(frozen=True)
class Lineage:
    """Every edge into some features, by one kind of ablation; means over reads where not by stream."""

    stage: str
    kind: Ablation
    features: tuple[int, ...]
    writers: tuple[Writer, ...]
    moved: Float[np.ndarray, "writer feature stream"]  # summed over the reads of each stream, like `lost`
    lost: Float[np.ndarray, "writer feature stream"]
    counts: Float[np.ndarray, "stream"]  # reads
    activation_lost: Float[np.ndarray, "writer feature"]
    gradient: Float[np.ndarray, "writer feature"]
    direct: Float[np.ndarray, "writer feature"]
    score: Float[np.ndarray, "feature"]  # with nothing replaced


@dataclass(frozen=True)
class Edge:
    """One edge, in units of the feature's score."""

    writer: Writer
    feature: int
    kind: Ablation
    moved: Estimate
    lost: Estimate
    activation_lost: float
    gradient: float
    direct: float
    share: float  # moved, of the feature's mean score


def edges(
    lineage: Lineage, weights: Float[np.ndarray, "draw stream"], confidence: float, least: float = LEAST
) -> list[Edge]:
    """Edges that stand out, feature by feature, the strongest first.

    They move at least `least` of what the strongest edge into the same feature moves, and `FAINT` of its mean score.
    """
    found = []
    for place in range(len(lineage.features)):
        every = [_edge(lineage, writer, place, weights, confidence) for writer in range(len(lineage.writers))]
        floor = max(least * max(edge.moved.value for edge in every), FAINT * float(lineage.score[place]))
        kept = [edge for edge in every if edge.moved.value >= floor > 0]
        found += sorted(kept, key=lambda edge: -edge.moved.value)
    return found


def _edge(
    lineage: Lineage, writer: int, place: int, weights: Float[np.ndarray, "draw stream"], confidence: float
) -> Edge:
    moved, lost = (
        ratio(sums[writer, place], lineage.counts, weights, confidence) for sums in (lineage.moved, lineage.lost)
    )
    score = float(lineage.score[place])
    return Edge(
        writer=lineage.writers[writer],
        feature=lineage.features[place],
        kind=lineage.kind,
        moved=moved,
        lost=lost,
        activation_lost=float(lineage.activation_lost[writer, place]),
        gradient=float(lineage.gradient[writer, place]),
        direct=float(lineage.direct[writer, place]),
        share=moved.value / score if score else 0.0,
    )


# --- measuring -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Exact:
    """Sums over reads: scores moved and lost by stream, activations lost, and the scores with nothing replaced."""

    moved: Float[np.ndarray, "writer feature stream"]
    lost: Float[np.ndarray, "writer feature stream"]
    activation_lost: Float[np.ndarray, "writer feature"]
    score: Float[np.ndarray, "feature"]


def measure_lineage(
    model: Transformer,
    basis: Basis,
    material: Material,
    features: Sequence[int],
    kind: Ablation,
    stand_in: StandIn,
    batch: int,
    neurons: int = NEURONS,
) -> Lineage:
    """Edges into `features` by one kind of ablation: from all heads and MLP blocks, and from the strongest `neurons`.

    One pass of the split for each writer, and one backward pass for each feature. Raises `MeasureError` if the basis is
    of another width, or nothing writes before its stage.
    """
    basis.check(basis.stage, model.params.d_model)
    frame = Frame(model, basis, material, features, _scored(material, kind), batch)
    blocks = writers_before(model, basis.stage)
    passes = len(list(frame.batches())) * (len(features) + len(blocks) + neurons)
    with track(f"lineage, {kind}", passes, "passes") as tracker:
        gradient, direct = first_order(frame, stand_in, tracker.advance)
        writers: tuple[Writer, ...] = (*blocks, *strongest(gradient, neurons))
        exact = _measure(frame, writers, stand_in, tracker)
    counts = np.bincount(material.stream[frame.scored].numpy(), minlength=material.streams).astype(np.float64)
    reads = counts.sum()
    return Lineage(
        stage=basis.stage,
        kind=kind,
        features=tuple(features),
        writers=writers,
        moved=exact.moved,
        lost=exact.lost,
        counts=counts,
        activation_lost=exact.activation_lost / reads,
        gradient=rows_for(writers, gradient) / reads,
        direct=rows_for(writers, direct) / reads,
        score=exact.score / reads,
    )


def _scored(material: Material, kind: Ablation) -> Bool[Tensor, "read"]:
    """All reads, or under resampling the first affected one of each stream."""
    if kind not in TWINS:
        return torch.ones(len(material.answer), dtype=torch.bool)
    scored = torch.zeros(len(material.answer), dtype=torch.bool)
    scored[material.twins[TWINS[kind]].first] = True
    return scored


@torch.no_grad()
def _measure(frame: Frame, writers: Sequence[Writer], stand_in: StandIn, tracker: Tracker) -> _Exact:
    shape, stage = (len(writers), len(frame.features)), frame.basis.stage
    moved, lost = (np.zeros((*shape, frame.material.streams)) for _ in range(2))
    activation_lost = np.zeros(shape)
    score = np.zeros(shape[1])
    for one in frame.batches():
        _, kept = frame.model.run(one.tokens, keep=[*frame.names, stage])
        own = {name: kept[name] for name in frame.names}
        instead = stand_in(one.streams, own)
        scores, active = _seen(frame, one, kept[stage])
        score += scores.sum(0)
        stream = one.streams.start + one.stream.numpy()
        for index, writer in enumerate(writers):
            edits = {site(writer): replaced(writer, instead[site(writer)])}
            left, still_active = _seen(frame, one, frame.model.run(one.tokens, keep=[stage], edits=edits)[1][stage])
            np.add.at(moved[index].T, stream, np.abs(scores - left))
            np.add.at(lost[index].T, stream, scores - left)
            activation_lost[index] += (active - still_active).sum(0)
            tracker.advance()
    return _Exact(moved, lost, activation_lost, score)


def _seen(
    frame: Frame, one: Batch, stage: Float[Tensor, "stream pos d_model"]
) -> tuple[Float[np.ndarray, "row feature"], Float[np.ndarray, "row feature"]]:
    """Scores and activations of the features at the reads."""
    x, features = one.at_reads(stage), list(frame.features)
    return (
        frame.basis.scores(x)[:, features].double().numpy(),
        frame.basis.encode(x)[:, features].double().numpy(),
    )
