"""A stage whose checkpoints are all measured in its basis, as later stages read it: arrays alone, without torch.

All of it looks at checkpoints from the end of warm-up on. Streams are numbered and resampled as those of the full split
(`formation.record.analysis`), so that features, components and behaviour are resampled together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.streams import SplitName
from formation.errors import ArtifactError
from formation.features import files
from formation.features.metrics import FeatureMetric, Firing, Half
from formation.features.moments import schedule
from formation.features.plain import plain
from formation.features.snapshot_store import load_snapshots
from formation.features.snapshots import Snapshot, feature_series
from formation.features.source import basis_digest
from formation.params import WindowParams
from formation.record.gate import require_length
from formation.record.probe_set import ProbeSet, load_probe_set
from formation.record.series import ComponentMetric, Series
from formation.record.sources import source_of
from formation.statistics import Estimate, ratio, resamples

IID, HELDOUT, OOD = SplitName.TEST_IID, SplitName.HELDOUT_PAIRS, SplitName.STRUCTURAL_OOD
LAST = 3  # checkpoints whose mean is the end of a trajectory, as at the end of a run everywhere


@dataclass(frozen=True, eq=False)
class Swept:
    """The snapshots of one stage, in order; `basis` is the digest of the basis they are measured in."""

    run: Run
    stage: str
    basis: str
    probe: ProbeSet
    snapshots: Sequence[Snapshot]

    @property
    def steps(self) -> list[int]:
        """Steps of the checkpoints."""
        return [one.step for one in self.snapshots]

    @property
    def rule(self) -> WindowParams:
        """The gate and the birth rule."""
        return self.run.params.windows

    @property
    def streams(self) -> int:
        """Streams of a full split."""
        return self.run.params.benchmark.evaluation_streams

    @property
    def silent(self) -> list[int]:
        """Features that are active at no checkpoint on the streams that select."""
        active = self.trajectories(Firing.ACTIVE, Half.SELECTION)
        return [int(feature) for feature in np.flatnonzero(~active.any(0))]

    def trajectories(
        self, metric: FeatureMetric, half: Half | None, split: SplitName = IID
    ) -> Float[np.ndarray, "checkpoint feature"]:
        """A metric of every feature over the checkpoints."""
        return np.stack([one.splits[split].values(metric, half) for one in self.snapshots])

    def at(self, split: SplitName) -> Int[np.ndarray, "probe"]:
        """Numbers of a split's probe streams in the full split."""
        return self.probe.splits[split].streams

    def half(self, half: Half, split: SplitName = IID) -> Bool[np.ndarray, "probe"]:
        """Which of a split's probe streams are of a half."""
        return self.snapshots[0].splits[split].halves[half]

    def weights(self, split: SplitName) -> Float[np.ndarray, "draw stream"]:
        """Draws of a full split's streams, those of the record."""
        return self._weights[split]

    @cached_property
    def _weights(self) -> Mapping[SplitName, Float[np.ndarray, "draw stream"]]:
        draws, order = self.run.params.record.bootstrap_draws, list(SplitName)
        return {
            split: resamples(self.streams, draws, (self.rule.seed, order.index(split))) for split in (IID, HELDOUT, OOD)
        }

    def series(self, feature: int, metric: FeatureMetric, split: SplitName = IID, half: Half = Half.REPORT) -> Series:
        """A feature, or a subset by its place, over the checkpoints; without placebos where the split has none."""
        if split is IID:
            return feature_series(self.snapshots, split, metric, feature, self.at(split), self.streams, half)
        own = [one.splits[split] for one in self.snapshots]
        chosen, at = own[0].halves[half], self.at(split)
        sums, reads = np.zeros((self.streams, len(own))), np.zeros(self.streams)
        sums[at] = np.stack([np.where(chosen, one.tracks[metric].sums[feature], 0) for one in own], axis=1)
        reads[at] = np.where(chosen, own[0].reads, 0)
        name = ComponentMetric(f"feature_{feature}", metric.value)
        return Series(name, split, np.array(self.steps), sums, reads, np.zeros((0, len(own))))

    def at_end(self, feature: int, metric: FeatureMetric, split: SplitName = IID, half: Half = Half.REPORT) -> Estimate:
        """The metric's mean over the last checkpoints, with its interval over streams."""
        chosen = self.snapshots[0].splits[split].halves[half]
        sums, reads = np.zeros(self.streams), np.zeros(self.streams)
        last = [one.splits[split].tracks[metric].sums[feature] for one in self.snapshots[-LAST:]]
        sums[self.at(split)] = np.where(chosen, np.mean(last, axis=0, dtype=np.float64), 0)
        reads[self.at(split)] = np.where(chosen, self.snapshots[0].splits[split].reads, 0)
        return ratio(sums, reads, self.weights(split), self.rule.confidence)

    def read(self, name: str, schema: str, command: str) -> dict[str, Any]:
        """What an earlier stage, `command`, found in this very basis; `ArtifactError` where it did not."""
        path, remedy = self.run.path(files.place(self.stage, name)), self.remedy(command)
        data = artifacts.read_json(path, schema, remedy)
        for field, wanted in (("run", self.run.name), ("basis", self.basis)):
            if data.get(field) != wanted:
                raise ArtifactError(
                    f"{path}: {field} is {str(data.get(field))[:32]}, expected {wanted[:32]}; run: {remedy}"
                )
        return data

    def remedy(self, command: str) -> str:
        """A command on this stage."""
        return f"formation {command} --run {self.run.name} --stage {self.stage}"

    def write(self, name: str, schema: str, data: Mapping[str, Any]) -> Path:
        """Write a file of the stage with its origin and `data`, figures rounded; return its path."""
        path = self.run.path(files.place(self.stage, name))
        artifacts.write_json(path, {"schema": schema, **self.origin(), **plain(data)})
        return path

    def plot(self, name: str, data: Mapping[str, Any]) -> Path:
        """Write the data of a figure: `plots/<name>.json`."""
        return self.write(f"{files.PLOTS}/{name}.json", f"feature-plot-{name.replace('_', '-')}/1", data)

    def origin(self) -> dict[str, Any]:
        """What is made from it, as its files say."""
        return {
            "run": self.run.name,
            "preset": self.run.preset,
            "seed": self.run.seed,
            "stage": self.stage,
            "basis": self.basis,
            "source": source_of(self.run, self.probe).model_dump(),
            "warmup": self.run.params.training.warmup,
        }


def open_stage(run: Run, stage: str, probe: ProbeSet | None = None) -> Swept:
    """The stage by its own name, without a snapshot.

    Raises `ArtifactError` where basis or probe set is missing, damaged or of anything else.
    """
    probe = probe or load_probe_set(run)
    return Swept(run, stage, basis_digest(run, stage, probe.benchmark), probe, ())


def load_swept(run: Run, stage: str, probe: ProbeSet | None = None) -> Swept:
    """The stage with its snapshots from the end of warm-up on.

    Raises `ArtifactError` as `open_stage` does and for a snapshot, `MeasureError` where there are too few checkpoints
    after warm-up for a birth.
    """
    empty = open_stage(run, stage, probe)
    steps = [step for step in schedule(run) if step >= run.params.training.warmup]
    require_length(len(steps), run.params.windows)
    snapshots = load_snapshots(run, stage, steps, empty.basis, source=source_of(run, empty.probe))
    return replace(empty, snapshots=snapshots)
