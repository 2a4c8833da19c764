"""Planted formation: a run whose checkpoints were written by hand, for every stage that works on a trained run."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import torch

from formation import artifacts
from formation.artifacts import Run, create_run
from formation.benchmark.stage import generate_for_run, load_for_run
from formation.benchmark.streams import Vocabulary
from formation.model import Transformer
from formation.record.probe_set import generate_probe_set
from formation.training.checkpoints import save_checkpoint
from formation.training.execution import choose_execution
from formation.training.loop import RECORD, SCHEMA
from formation.training.state import TrainingState, architecture, make_optimizer, training_streams
from tests.planted.circuit import model_params, plant
from tests.planted.plan import Plan

EVERY = 10  # steps between checkpoints
KEYS, VALUES, CONTEXT = 6, 32, 120  # of the smoke preset


class Course(StrEnum):
    """What happens from checkpoint to checkpoint."""

    RISING = "rising"  # the retrieval heads' strength rises: a formation
    SHUFFLED = "shuffled"  # the same models in random order: nothing forms
    RANDOM = "random"  # other random weights at each checkpoint: nothing is there


@dataclass(frozen=True)
class _Sizes:
    """How much is measured; few streams make the stages quick, and leave intervals wide."""

    evaluation: int
    probe: int


def ramp(before: int, rising: int, behind: int) -> list[float]:
    """Strengths of checkpoints: still at 0.1, then rising evenly to 1, then staying there."""
    return [0.1] * before + [float(s) for s in np.linspace(0.1, 1, rising + 2)[1:-1]] + [1.0] * behind


def formation_run(
    root: Path,
    plan: Plan,
    strengths: Sequence[float] = tuple(ramp(8, 6, 6)),
    course: Course = Course.RISING,
    evaluation: int = 64,
    probe: int = 48,
    seed: int = 1,
) -> Run:
    """A finished run `smoke-s<seed>` of the project at `root`, one checkpoint a strength, with dataset and probe set.

    `root` has a `params/` folder like this project's. `evaluation` and `probe` are streams a split. What a training
    would have left is there but for the learning curve.
    """
    run = create_run(f"smoke-s{seed}", root, _overrides(plan, len(strengths), _Sizes(evaluation, probe)))
    generate_for_run(run)
    generate_probe_set(run)
    write_checkpoints(run, plan, strengths, course)
    return run


def write_checkpoints(run: Run, plan: Plan, strengths: Sequence[float], course: Course) -> None:
    """Write the run's checkpoints and its `training.json`, over those that are there; it has its dataset already."""
    how, digest = choose_execution(run.params.training, "cpu"), training_streams(load_for_run(run)).digest()
    for index, model in enumerate(_models(run, plan, strengths, course)):
        optimizer = make_optimizer(model, run.params.training)
        state = TrainingState(model, optimizer, torch.Generator().manual_seed(run.seed), index * EVERY, 0)
        save_checkpoint(run, state, how, digest)
    record = {
        "schema": SCHEMA,
        "run": run.name,
        "steps": run.params.training.steps,
        "checkpoints": len(strengths),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "tokens_seen": 0,
        "params_digest": run.params.identity(run.seed),
        "data_digest": digest,
        "architecture": architecture(run.params),
        **how.as_dict(),
    }
    artifacts.write_json(run.path(RECORD), record)


def _models(run: Run, plan: Plan, strengths: Sequence[float], course: Course) -> list[Transformer]:
    """The models of all checkpoints, in order."""
    vocabulary, rng = Vocabulary(KEYS, VALUES), np.random.default_rng(run.seed)
    if course is Course.RANDOM:
        draw = torch.Generator().manual_seed(run.seed)
        return [Transformer(run.params.model, vocabulary.size, draw) for _ in strengths]
    order = rng.permutation(len(strengths)) if course is Course.SHUFFLED else np.arange(len(strengths))
    return [plant(plan.with_strength(strengths[index]), vocabulary, CONTEXT) for index in order]


def _overrides(plan: Plan, checkpoints: int, sizes: _Sizes) -> list[str]:
    """The run's parameters: the model the plan needs, a checkpoint every `EVERY` steps, no warm-up."""
    model = model_params(plan, Vocabulary(KEYS, VALUES), CONTEXT)
    steps = (checkpoints - 1) * EVERY
    return [
        *(f"model.{name}={getattr(model, name)}" for name in ("d_model", "layers", "heads", "d_ff", "context")),
        *(f"training.{name}={value}" for name, value in {"steps": steps, "checkpoint_every": EVERY}.items()),
        "training.warmup=0",
        "benchmark.train_streams=32",  # nothing is trained on them
        f"benchmark.evaluation_streams={sizes.evaluation}",
        f"record.probe_streams={sizes.probe}",
    ]
