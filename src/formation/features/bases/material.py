"""What the `shared-feature-fit` stage looks at: training streams to fit on, probe streams to judge on.

A basis is fit on training streams at the *fit checkpoints*. It is judged on probe streams, which no training saw, at
those and at the *held-out checkpoints* between them: on the validation split where a default is chosen, on the IID test
split where its quality is told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from formation.artifacts import Run
from formation.benchmark.generate import Dataset
from formation.benchmark.streams import SplitName
from formation.components.material import Material, materials
from formation.components.roles import NOWHERE, Kind
from formation.components.states import states_at
from formation.errors import MeasureError
from formation.features.bases.activations import Activations, activations, draw_places
from formation.features.choices import Positions
from formation.features.measures.above import Above, above, require_finite
from formation.features.params import Section
from formation.model import Transformer
from formation.progress import track
from formation.record.probe_set import ProbeSet
from formation.training import checkpoints
from formation.training.replay import load_replayed

CHOSEN_ON, JUDGED_ON = SplitName.VALIDATION_IID, SplitName.TEST_IID


@dataclass(frozen=True)
class Checkpoints:
    """Steps of a run's checkpoints, in ascending order: those a basis is fit on, and those only looked at."""

    fit: tuple[int, ...]
    heldout: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Rows:
    """A stage at some positions of one checkpoint, with the neurons that wrote there last, if any did."""

    x: Float[Tensor, "row d_model"]
    token: Int[Tensor, "row"]
    hidden: Float[Tensor, "row neuron"] | None
    weight: Float[Tensor, "d_model neuron"] | None


@dataclass(frozen=True, eq=False)
class Judged:
    """One checkpoint on the probe streams."""

    step: int
    choice: Rows  # of the validation split, at the positions of the fit
    report: Rows  # of the test split, likewise
    places: Rows  # of the test split, every role of every read
    roles: Mapping[str, Bool[Tensor, "row"]]  # which rows of `places` each stands at
    above: Above  # the way from the stage to the answers of the test split
    answers: Rows  # of the test split, at answer positions, in the order of `answer`
    answer: Int[Tensor, "read"]


def choose_checkpoints(run: Run) -> Checkpoints:
    """Fit checkpoints spread evenly over the schedule from step 0 to the end, held-out ones over those between.

    Raises `MeasureError` for a run with fewer checkpoints than the parameters ask for.
    """
    section, schedule = run.params.of(Section), checkpoints.schedule(run)
    fit, heldout = section.fit_checkpoints, section.heldout_checkpoints
    if fit + heldout > len(schedule):
        raise MeasureError(
            f"params/{run.preset}.yml: features.fit_checkpoints = {fit} and features.heldout_checkpoints = {heldout}: "
            f"expected at most {len(schedule)} together, the checkpoints that run {run.name} has; lower them, then "
            f"run: formation shared-feature-fit --run {run.name}"
        )
    last = len(schedule) - 1
    chosen = tuple(schedule[round(place * last / (fit - 1))] for place in range(fit))
    rest = [step for step in schedule if step not in chosen]
    return Checkpoints(chosen, tuple(rest[(2 * place + 1) * len(rest) // (2 * heldout)] for place in range(heldout)))


def fit_samples(run: Run, stage: str, dataset: Dataset, steps: Sequence[int]) -> list[Activations]:
    """A stage on training streams, at the positions of the parameters, for every fit checkpoint."""
    section = run.params.of(Section)
    places = draw_places(dataset.splits[SplitName.TRAIN], section.positions, section.streams, section.seed)
    found = []
    with track(f"{run.name} activations", len(steps), "checkpoints") as bar:
        for sample in activations(run, stage, steps, places):
            found.append(sample)
            bar.advance()
    return found


def judged(run: Run, stage: str, probe: ProbeSet, steps: Sequence[int]) -> list[Judged]:
    """A stage on the probe streams at every step; raises as `activations` does."""
    material = materials(probe, run.params.record)
    with track(f"{run.name} probe streams", len(steps), "checkpoints") as bar:
        found = []
        for step in steps:
            found.append(_judged(run, stage, step, material))
            bar.advance()
    return found


def _judged(run: Run, stage: str, step: int, material: Mapping[SplitName, Material]) -> Judged:
    model, positions = load_replayed(run, step), run.params.of(Section).positions
    choice, test = (_Whole(run, model, stage, step, material[split]) for split in (CHOSEN_ON, JUDGED_ON))
    stream, position, roles = _role_places(test.material)
    return Judged(
        step=step,
        choice=choice.rows(*_positions(choice.material, positions)),
        report=test.rows(*_positions(test.material, positions)),
        places=test.rows(stream, position),
        roles=roles,
        above=above(model, stage, test.x, test.material, run.params.record.batch),
        answers=test.rows(test.material.stream, test.material.position),
        answer=test.material.answer,
    )


class _Whole:
    """A stage at all positions of a split's probe streams."""

    def __init__(self, run: Run, model: Transformer, stage: str, step: int, material: Material) -> None:
        self.material = material
        self.shape = material.tokens.shape
        block = behind(model, stage)
        names = [stage] if block is None else [stage, f"layer_{block}.mlp.hidden"]
        stream = torch.arange(self.shape[0]).repeat_interleave(self.shape[1])
        position = torch.arange(self.shape[1]).repeat(self.shape[0])
        found = states_at(model, material.tokens, names, stream, position, run.params.record.batch)
        require_finite(found[stage], stage, step)
        self.x = found[stage].clone().view(*self.shape, -1)
        self.hidden = None if block is None else found[names[1]].clone().view(*self.shape, -1)
        self.weight = None if block is None else _output_weight(model, block)

    def rows(self, stream: Int[Tensor, "row"], position: Int[Tensor, "row"]) -> Rows:
        """The stage at some positions."""
        hidden = None if self.hidden is None else self.hidden[stream, position]
        return Rows(self.x[stream, position], self.material.tokens[stream, position], hidden, self.weight)


def behind(model: Transformer, stage: str) -> int | None:
    """The layer whose MLP wrote into a stage last, if that is what the stage is right behind."""
    return next((layer for layer in range(len(model.layers)) if stage == f"layer_{layer}_post_mlp"), None)


def _output_weight(model: Transformer, layer: int) -> Float[Tensor, "d_model neuron"]:
    return model.get_parameter(f"layers.{layer}.mlp.fc_out.weight").detach()


def _positions(material: Material, positions: Positions) -> tuple[Int[Tensor, "row"], Int[Tensor, "row"]]:
    """Where a basis is fit, on probe streams."""
    if positions is Positions.ANSWERS:
        return material.stream, material.position
    stream, position = (material.kinds != Kind.PAD).nonzero(as_tuple=True)
    return stream, position


def _role_places(material: Material) -> tuple[Int[Tensor, "row"], Int[Tensor, "row"], dict[str, Bool[Tensor, "row"]]]:
    """Stream and position of every role of every read that has it, and which are whose."""
    parts = [(role.value, (place != NOWHERE).nonzero()[:, 0], place) for role, place in material.roles.items()]
    stream = torch.cat([material.stream[reads] for _, reads, _ in parts])
    position = torch.cat([place[reads] for _, reads, place in parts])
    whose = [name for name, reads, _ in parts for _ in range(len(reads))]
    return stream, position, {name: torch.tensor([one == name for one in whose]) for name, _, _ in parts}
