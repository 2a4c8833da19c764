"""The `component-sweep` stage: heads, MLPs, residual states and dynamics of every checkpoint, one row each.

It is apart from the behavioural sweep, so that an edited measure of components never measures behaviour again, nor the
other way round; rows of both are joined by their step. A checkpoint is finished when its file in `analysis/components/`
is whole and was made from the same parameters, benchmark, probe set, record parameters and checkpoint files: its own,
and those its dynamics compare it with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.generate import Dataset
from formation.benchmark.stage import load_for_run
from formation.benchmark.streams import SplitName
from formation.components.dimensionality import measure_dimensionality
from formation.components.dynamics import DynamicsFrame, dynamics_frame, measure_dynamics
from formation.components.files import FOLDER, METRICS
from formation.components.material import Material, materials
from formation.components.probes import ProbeFrame, measure_probes, probe_frame
from formation.components.rows import ComponentRow, as_json, from_json, metrics_of
from formation.components.sample import Sample, sample_states
from formation.components.store import components_path, read_row, write_components
from formation.components.writers import measure_writers
from formation.model import Transformer
from formation.params import RecordParams
from formation.record.lines import Source
from formation.record.probe_set import ProbeSet, load_probe_set
from formation.record.resumable import checkpoint_digests, finished_rows, measure_rest, only_sweep
from formation.record.sources import source_of
from formation.training import checkpoints
from formation.training.state import training_streams

LOCK = "logs/component_sweep.lock"


@dataclass(frozen=True)
class _Frames:
    """What is the same at every checkpoint."""

    materials: Mapping[SplitName, Material]
    probes: ProbeFrame
    dynamics: DynamicsFrame


def component_sweep(run: Run) -> Path:
    """Measure the components of every checkpoint of the run; return the path of `component_metrics.jsonl`.

    Raises `ArtifactError` or `TrainingError` where the benchmark, the probe set or a checkpoint cannot be used.
    """
    dataset, probe = load_for_run(run), load_probe_set(run)
    source = source_of(run, probe)
    digests = checkpoint_digests(run)
    with only_sweep(run, LOCK, FOLDER):
        finished = finished_rows(run, source, digests, components_path, read_row, lambda row: _moved(row, digests))
        if len(finished) < len(digests):
            frames = _frames(dataset, probe, run.params.record)
            models = _Models(run, frames.dynamics.sample)
            measure_rest(
                f"{run.name} components",
                digests,
                finished,
                lambda step: _measure(run, models, step, source, digests, frames),
            )
    path = run.path(METRICS)
    artifacts.write_jsonl(path, (as_json(finished[step]) for step in digests))
    print(f"{run.name}: components of {len(digests)} checkpoints")
    return path


def _frames(dataset: Dataset, probe: ProbeSet, record: RecordParams) -> _Frames:
    material = materials(probe, record)
    return _Frames(
        material,
        probe_frame(dataset.splits[SplitName.VALIDATION_IID], material, record),
        dynamics_frame(material, training_streams(dataset), record),
    )


class _Models:
    """The run's models by place in the schedule; the last few are kept, for neighbours are compared."""

    def __init__(self, run: Run, sample: Sample) -> None:
        self.steps = checkpoints.schedule(run)
        self.load = lru_cache(maxsize=4)(lambda step: checkpoints.load_model(run, step))
        self.states = lru_cache(maxsize=4)(lambda model: sample_states(model, sample))

    def at(self, place: int) -> Transformer | None:
        """The model at a place of the schedule, null before the first."""
        return self.load(self.steps[place]) if place >= 0 else None

    @property
    def final(self) -> Transformer:
        """The model at the end of training."""
        return self.load(self.steps[-1])


def _measure(
    run: Run, models: _Models, step: int, source: Source, digests: Mapping[int, str], frames: _Frames
) -> ComponentRow:
    """Measure one checkpoint, write it, and return its row as it reads back: then resuming cannot change a byte."""
    place = models.steps.index(step)
    model, record = models.load(step), run.params.record
    writers, weights = measure_writers(model, frames.materials, record)
    states, probes = measure_probes(model, frames.probes, record)
    every = [*writers, *states]
    row = from_json(
        {
            "run": run.name,
            "step": step,
            "source": source.model_dump(),
            "checkpoint": digests[step],
            "beside": _beside(digests, step),
            "metrics": metrics_of(every),
            "weights": weights,
            "probes": probes,
            "spectra": measure_dimensionality(models.states(model)),
            "dynamics": measure_dynamics(
                model, models.at(place - 1), models.at(place - 2), models.final, frames.dynamics, models.states
            ),
        }
    )
    write_components(run, row, every)
    return read_row(run, step)


def _beside(digests: Mapping[int, str], step: int) -> dict[str, str]:
    """Digests of the checkpoints that this one's dynamics compare it with."""
    steps = list(digests)
    place = steps.index(step)
    places = {"previous": place - 1, "before_previous": place - 2, "final": len(steps) - 1}
    return {name: digests[steps[at]] for name, at in places.items() if at >= 0}


def _moved(row: ComponentRow, digests: Mapping[int, str]) -> str:
    """Why a row of this sweep's source cannot be used, empty if it can."""
    same = row.beside == _beside(digests, row.step)
    return "" if same else "a checkpoint they are compared with has changed since"
