"""Checkpoints of a run: one safetensors file a step, complete enough to resume or replay from, checked on every load.

`checkpoints/step_000040.safetensors` holds weights `model.*`, the optimizer's first and second moments `exp_avg.*` and
`exp_avg_sq.*` (SGD: its momentum buffer, and zeros), the random generator's state, and in its header step, place in the
data order, architecture, execution and digests. Nothing here unpickles anything.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from formation import artifacts
from formation.artifacts import Run
from formation.errors import ArtifactError, TrainingError
from formation.model import Transformer
from formation.training.execution import Execution
from formation.training.state import (
    TrainingState,
    architecture,
    make_optimizer,
    order_seed,
    vocabulary_size,
)

FOLDER, SCHEMA = "checkpoints", "checkpoint/1"
MOMENTS = ("exp_avg", "exp_avg_sq")
_SGD_MOMENT = "momentum_buffer"  # kept as `exp_avg`, so that a checkpoint has one form whatever the optimizer
_FILE = re.compile(r"step_(\d{6,})\.safetensors")
_PICKLED = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin"}


@dataclass(frozen=True)
class Checkpoint:
    """The state after `step`: tensors by parameter name, and the header's facts in `about`."""

    step: int
    weights: dict[str, Tensor]
    exp_avg: dict[str, Tensor]
    exp_avg_sq: dict[str, Tensor]
    generator: Tensor
    about: dict[str, Any]


def load_model(run: Run, step: int) -> Transformer:
    """The run's model after `step`, in float32 on the CPU, for analyses."""
    return _filled(run, load_checkpoint(run, step)).eval()


def load_checkpoint(run: Run, step: int) -> Checkpoint:
    """The run's checkpoint of `step`.

    Raises `ArtifactError` for a missing (naming those that exist) or damaged file, `TrainingError` for a foreign one.
    """
    file = path(run, step)
    if not file.is_file():
        artifacts.record_read(file)
        raise ArtifactError(f"{file}: no checkpoint of step {step}; {_available(run)}")
    arrays, about = artifacts.read_arrays(file, SCHEMA, _remedy(run))
    _refuse_foreign(run, step, file, arrays, about)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    weights, exp_avg, exp_avg_sq = (_with_prefix(tensors, f"{kind}.") for kind in ("model", *MOMENTS))
    return Checkpoint(step, weights, exp_avg, exp_avg_sq, tensors["generator"], about)


def steps(run: Run) -> list[int]:
    """Steps of the run's checkpoints in ascending order; a pickled file among them is a `TrainingError`."""
    folder = run.path(FOLDER)
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for file in files:
        if file.suffix in _PICKLED:
            raise TrainingError(
                f"{file}: refused, a checkpoint that needs pickle could run code; "
                f"expected step_<number>.safetensors; move it away"
            )
    return sorted(int(match[1]) for file in files if (match := _FILE.fullmatch(file.name)))


def save_checkpoint(run: Run, state: TrainingState, how: Execution, data_digest: str) -> Path:
    """Write the state as the run's checkpoint of its step and return the file."""
    file = path(run, state.step)
    artifacts.write_arrays(file, _arrays(state), _about(run, state, how, data_digest))
    return file


def restore(run: Run, checkpoint: Checkpoint, how: Execution) -> TrainingState:
    """The training state a checkpoint holds, ready for its next step; later steps never write into `checkpoint`."""
    model = _filled(run, checkpoint).to(how.device)
    optimizer = make_optimizer(model, run.params.training)
    for name, parameter in model.named_parameters():
        first, second = (side[name].to(how.device, copy=True) for side in (checkpoint.exp_avg, checkpoint.exp_avg_sq))
        if run.params.training.optimizer == "sgd":
            optimizer.state[parameter] = {_SGD_MOMENT: first}
        else:
            step = torch.tensor(float(checkpoint.step), device=how.device)
            optimizer.state[parameter] = {"step": step, "exp_avg": first, "exp_avg_sq": second}
    generator = torch.Generator()
    generator.set_state(checkpoint.generator)
    return TrainingState(model, optimizer, generator, checkpoint.step, checkpoint.about["tokens_seen"])


def schedule(run: Run) -> list[int]:
    """Steps that get a checkpoint: 0, every `training.checkpoint_every`, and the last."""
    training = run.params.training
    return sorted({*range(0, training.steps, training.checkpoint_every), training.steps})


def path(run: Run, step: int) -> Path:
    """The file of a step's checkpoint."""
    return run.path(f"{FOLDER}/step_{step:06d}.safetensors")


def require_same_origin(run: Run, checkpoint: Checkpoint, how: Execution, data_digest: str) -> None:
    """Refuse to go on from a checkpoint whose streams or execution are not those of now: the bytes would differ."""
    file, about = path(run, checkpoint.step), checkpoint.about
    if about["data_digest"] != data_digest:
        raise TrainingError(
            f"{file}: trained on streams {about['data_digest'][:12]}, now they are {data_digest[:12]}; "
            f"move the run's checkpoints folder away to train anew"
        )
    for field, now in how.as_dict().items():
        if (then := about["execution"].get(field)) != now:
            raise TrainingError(
                f"{file}: {field} was {then!r}, now it is {now!r}; the run would not end in the same bytes: "
                f"go on as it began, or move the run's checkpoints folder away to train anew"
            )


def _filled(run: Run, checkpoint: Checkpoint) -> Transformer:
    model = Transformer(run.params.model, vocabulary_size(run.params))
    model.load_state_dict(checkpoint.weights)
    return model


def _arrays(state: TrainingState) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {"generator": state.generator.get_state().numpy()}
    for name, parameter in state.model.named_parameters():
        arrays[f"model.{name}"] = parameter.detach().cpu().numpy()
        moments = dict(state.optimizer.state.get(parameter, {}))
        if _SGD_MOMENT in moments:
            moments["exp_avg"] = moments.pop(_SGD_MOMENT)
        for kind in MOMENTS:  # before the first step there are none yet; zeros are what it starts from
            arrays[f"{kind}.{name}"] = moments.get(kind, torch.zeros_like(parameter)).detach().cpu().numpy()
    return arrays


def _about(run: Run, state: TrainingState, how: Execution, data_digest: str) -> dict[str, Any]:
    training = run.params.training
    return {
        "schema": SCHEMA,
        "step": state.step,
        "params_digest": run.params.identity(run.seed),
        "data_digest": data_digest,
        "architecture": architecture(run.params),
        "execution": how.as_dict(),
        "order": {"seed": order_seed(training, run.seed), "streams_seen": state.step * training.batch},
        "tokens_seen": state.tokens_seen,
    }


def _refuse_foreign(
    run: Run, step: int, file: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> None:
    """Raise `TrainingError` unless the file is this run's, of this step, and fits the run's model."""
    expected = {
        "architecture": architecture(run.params),
        "params_digest": run.params.identity(run.seed),
        "step": step,
    }
    for field, wanted in expected.items():
        if about.get(field) != wanted:
            raise TrainingError(
                f"{file}: not a checkpoint of run {run.name}: {_difference(field, about.get(field), wanted)}; "
                f"move it away and run: {_remedy(run)}"
            )
    model = Transformer(run.params.model, vocabulary_size(run.params))
    forms = {name: (tuple(parameter.shape), "float32") for name, parameter in model.named_parameters()}
    wanted_forms = {f"{kind}.{name}": form for kind in ("model", *MOMENTS) for name, form in forms.items()}
    found = {name: (array.shape, str(array.dtype)) for name, array in arrays.items() if name != "generator"}
    if found != wanted_forms or "generator" not in arrays:
        raise TrainingError(f"{file}: its arrays are not those of the run's model; move it away, run: {_remedy(run)}")


def _difference(field: str, found: Any, wanted: Any) -> str:
    """What differs, in a few words: of two mappings only the entries that are not equal."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        names: Iterable[str] = sorted({*found, *wanted})
        parts = (f"{n} {found.get(n)!r}, expected {wanted.get(n)!r}" for n in names if found.get(n) != wanted.get(n))
        return f"{field}: {', '.join(parts)}"
    short = (str(value)[:12] if field == "params_digest" else repr(value) for value in (found, wanted))
    return f"{field} " + ", expected ".join(short)


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _available(run: Run) -> str:
    """Which checkpoints exist, or how to make them."""
    there = steps(run)
    if not there:
        return f"the run has none yet; run: {_remedy(run)}"
    shown = ", ".join(map(str, there)) if len(there) <= 12 else f"{there[0]}, {there[1]}, …, {there[-1]}"
    return f"there are {len(there)}: {shown}"


def _remedy(run: Run) -> str:
    return f"formation train --run {run.name}"
