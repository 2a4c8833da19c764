"""The `feature-trajectory-sweep` stage: every feature of a shared basis at every checkpoint.

A checkpoint is finished when its snapshot is whole and was made from the same parameters, benchmark, probe set, record
parameters, checkpoint file and basis. The tables for readers are made from the snapshots, without torch.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.streams import SplitName
from formation.components.material import Material, materials
from formation.components.roles import Kind
from formation.components.states import states_at
from formation.components.store import DATED
from formation.errors import MeasureError
from formation.features import files
from formation.features.basis import Basis
from formation.features.choices import Positions
from formation.features.measures.above import require_finite
from formation.features.measures.tables import profiles_json, summary_json, trajectory_rows
from formation.features.measures.trajectories import Frame, measure_features, trajectory_frame
from formation.features.measures.trajectory_atlas import ATLAS, ATLAS_SCHEMA, atlas_json
from formation.features.params import Section
from formation.features.snapshot_store import FeatureRow, load_snapshots, read_row, snapshot_path, write_snapshot
from formation.features.snapshots import Snapshot
from formation.features.source import chosen_stages, fit_remedy
from formation.features.store import StoredBasis, load_basis
from formation.record.lines import Source
from formation.record.probe_set import ProbeSet, load_probe_set
from formation.record.resumable import checkpoint_digests, finished_rows, measure_rest, only_sweep
from formation.record.sources import source_of
from formation.training import checkpoints

MISMATCH = 5.0  # how far from 1 the root mean square of standardised activations may be, up or down


def feature_trajectory_sweep(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Measure all features at every checkpoint, for each stage; return the paths of `feature_trajectories.jsonl`.

    Raises `ArtifactError` where the basis, the probe set or a checkpoint cannot be used, and `MeasureError` for a basis
    of another stage, width or normalisation, or an activation that is not finite, naming checkpoint and stage.
    """
    probe = load_probe_set(run)
    material = materials(probe, run.params.record)
    return [_sweep(run, stage, probe, material) for stage in chosen_stages(run, stages)]


def _sweep(run: Run, stage: str, probe: ProbeSet, material: Mapping[SplitName, Material]) -> Path:
    source, digests = source_of(run, probe), checkpoint_digests(run)
    stored = load_basis(run, stage, probe.benchmark)
    stored.basis.check(stage, run.params.model.d_model)
    record, section = run.params.record, run.params.of(Section)
    frame = trajectory_frame(stored.basis, stored.placebos, material, record.batch, section.seed)
    with only_sweep(run, f"logs/feature_sweep_{stage}.lock", files.place(stage, files.SNAPSHOTS)):
        finished = finished_rows(
            run,
            source,
            digests,
            lambda run, step: snapshot_path(run, stage, step),
            lambda run, step: read_row(run, stage, step),
            lambda row: _moved(row, stage, stored),
        )
        if len(finished) < len(digests):
            _check_normalisation(run, frame, section.positions)
            measure = partial(_measure, run, frame, stored.digest, source, digests)
            measure_rest(f"{run.name} features of {stage}", digests, finished, measure)
    snapshots = load_snapshots(run, stage, list(digests), stored.digest, source=source)
    return _write(run, stage, stored, source, snapshots)


def _moved(row: FeatureRow, stage: str, stored: StoredBasis) -> str:
    """Why a row of this sweep's source cannot be used, empty if it can."""
    if row.stage != stage:
        return f"they are of {row.stage}"
    return "" if row.basis == stored.digest else f"basis was {row.basis[:12]}, now {stored.digest[:12]}"


def _measure(run: Run, frame: Frame, basis: str, source: Source, digests: Mapping[int, str], step: int) -> FeatureRow:
    """Measure one checkpoint, write it, and return its row as it reads back."""
    stage = frame.basis.stage
    row = FeatureRow(run=run.name, step=step, source=source, checkpoint=digests[step], stage=stage, basis=basis)
    snapshot = measure_features(checkpoints.load_model(run, step), step, frame)
    write_snapshot(snapshot_path(run, stage, step), snapshot, row.model_dump())
    return row


def _check_normalisation(run: Run, frame: Frame, positions: Positions) -> None:
    """Refuse a basis whose mean and scale are not those of its stage, by the last checkpoint's activations.

    Over the fit's checkpoints their mean square is 1 by definition; at one of them it is of that size.
    """
    basis, material, step = frame.basis, frame.materials[DATED], run.params.training.steps
    if positions is Positions.ANSWERS:
        stream, position = material.stream, material.position
    else:
        stream, position = (material.kinds != Kind.PAD).nonzero(as_tuple=True)
    model = checkpoints.load_model(run, step)
    x = states_at(model, material.tokens, [basis.stage], stream, position, frame.batch)[basis.stage]
    require_finite(x, basis.stage, step)
    size = _size(basis, x)
    if not 1 / MISMATCH <= size <= MISMATCH:
        raise MeasureError(
            f"{basis.stage} at the checkpoint of step {step}: activations standardised by the basis have a root mean "
            f"square of {size:.3g}, expected near 1 ({1 / MISMATCH:g} to {MISMATCH:g}): its mean and scale are "
            f"those of other activations; run: {fit_remedy(run, basis.stage)}"
        )


def _size(basis: Basis, x: torch.Tensor) -> float:
    return float(((x - basis.mean) / basis.scale).double().square().mean().sqrt())


def _write(run: Run, stage: str, stored: StoredBasis, source: Source, snapshots: Sequence[Snapshot]) -> Path:
    """Write what readers and figures need of the snapshots."""
    origin = {"run": run.name, "stage": stage, "basis": stored.digest, "source": source.model_dump()}

    def path(name: str) -> Path:
        return run.path(files.place(stage, name))

    artifacts.write_jsonl(path(files.TRAJECTORIES), trajectory_rows(snapshots))
    summary = summary_json(snapshots, run.params.windows)
    artifacts.write_json(path(files.SUMMARY), {"schema": files.SUMMARY_SCHEMA, **origin, **summary})
    artifacts.write_json(path(files.PROFILES), {"schema": files.PROFILES_SCHEMA, **origin, **profiles_json(snapshots)})
    artifacts.write_json(path(ATLAS), {"schema": ATLAS_SCHEMA, **origin, **atlas_json(snapshots)})
    last = summary["checkpoints"][-1]
    print(
        f"{run.name}: {stage}: {last['features']} features at {len(snapshots)} checkpoints; at the last "
        f"{last['active_features']} are active and {last['useful_features']} useful, "
        f"explained variance {last['explained_variance'] or 0:.2f}"
    )
    return path(files.TRAJECTORIES)
