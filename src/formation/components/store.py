"""Per-stream sums of one checkpoint's components, `analysis/components/step_XXXXXX.safetensors`: whole or not there.

One file holds every `Measured` of a checkpoint and, in its header, the finished row and what both were made from, so a
killed sweep leaves whole checkpoints or none. Placebos are kept for the split whose births are dated.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from formation import artifacts
from formation.artifacts import Run
from formation.benchmark.streams import SplitName
from formation.components.files import FOLDER, METRICS
from formation.components.material import Measured
from formation.components.rows import SCHEMA as ROW_SCHEMA
from formation.components.rows import ComponentRow, as_json
from formation.errors import ArtifactError
from formation.record.lines import Source, read_rows, row_in

SCHEMA = "checkpoint-components/2"
DATED = SplitName.TEST_IID  # whose births are dated and windows found; the other splits are measured beside it

Name = tuple[str, str]  # component, metric


class Sums:
    """The measured metrics of one split at one checkpoint, by component and metric."""

    def __init__(self, names: Sequence[Name], arrays: Mapping[str, np.ndarray]) -> None:
        self.index = {name: row for row, name in enumerate(names)}
        self.sums: Float[np.ndarray, "metric stream"] = arrays["sums"]
        self.counts: Float[np.ndarray, "metric stream"] = arrays["counts"]
        self.placebos: Float[np.ndarray, "metric placebo"] | None = arrays.get("placebos")
        self.permuted: np.ndarray | None = arrays.get("permuted")  # which metrics have placebos

    @property
    def names(self) -> list[Name]:
        """Every component and metric, in the order of the arrays."""
        return list(self.index)

    def has_placebos(self, name: Name) -> bool:
        """Whether the metric can be gated."""
        return self.permuted is not None and bool(self.permuted[self.index[name]])


def components_path(run: Run, step: int) -> Path:
    """Where a checkpoint's components are."""
    return run.path(f"{FOLDER}/step_{step:06d}.safetensors")


def write_components(run: Run, row: ComponentRow, every: Iterable[Measured]) -> None:
    """Write a finished checkpoint, atomically."""
    by_split: dict[SplitName, list[Measured]] = {}
    for one in every:
        by_split.setdefault(one.split, []).append(one)
    arrays = {f"{split}/{key}": a for split, found in by_split.items() for key, a in _arrays(split, found).items()}
    names = {split: [[one.component, one.metric] for one in found] for split, found in by_split.items()}
    about = {"schema": SCHEMA, "run": run.name, "step": row.step, "names": names, "row": as_json(row)}
    artifacts.write_arrays(components_path(run, row.step), arrays, about)


def read_row(run: Run, step: int) -> ComponentRow:
    """The finished row of a checkpoint; `ArtifactError` if there is none or its file is damaged."""
    path = components_path(run, step)
    _, about = artifacts.read_arrays(path, SCHEMA, remedy(run))
    return row_in(path, ComponentRow, about["row"], remedy(run))


def load_sums(run: Run, row: ComponentRow) -> dict[SplitName, Sums]:
    """The sums behind a row by split; `ArtifactError` if the file is missing, damaged or not of this row."""
    path = components_path(run, row.step)
    arrays, about = artifacts.read_arrays(path, SCHEMA, remedy(run))
    if about["row"] != as_json(row):
        raise ArtifactError(f"{path}: is of another sweep than {METRICS}; run: {remedy(run)}")
    out = {}
    for split, names in about["names"].items():
        own = {key.removeprefix(f"{split}/"): a for key, a in arrays.items() if key.startswith(f"{split}/")}
        out[SplitName(split)] = Sums([(component, metric) for component, metric in names], own)
    return out


def load_rows(run: Run, source: Source) -> list[ComponentRow]:
    """The rows of the run's finished component sweep, in order of steps; none if it has none.

    Raises `ArtifactError` if it is a sweep of another run, or of other parameters, benchmark or probe set, naming both.
    """
    path = run.path(METRICS)
    artifacts.record_read(path)
    if not path.is_file():
        return []
    return read_rows(path, ROW_SCHEMA, ComponentRow, run, source, remedy(run))


def remedy(run: Run) -> str:
    """The command that makes these files."""
    return f"formation component-sweep --run {run.name}"


def _arrays(split: SplitName, found: Sequence[Measured]) -> dict[str, Any]:
    """The measured as arrays in the smallest type that holds them."""
    out = {
        "sums": np.stack([one.sums for one in found]).astype(np.float32),
        "counts": np.stack([one.counts for one in found]).astype(np.float32),
    }
    if split is not DATED:
        return out
    width = max((len(one.placebos) for one in found if one.placebos is not None), default=0)
    placebos = [np.zeros(width) if one.placebos is None else one.placebos for one in found]
    return out | {
        "placebos": np.stack(placebos).astype(np.float32),
        "permuted": np.array([one.placebos is not None for one in found]),
    }
