"""Named subsets of features (`docs/measures.md` §6): which ones are looked at, and their series over the checkpoints.

Nothing here needs torch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from formation.artifacts import Run
from formation.benchmark.streams import SplitName
from formation.errors import ArtifactError
from formation.features import files
from formation.features.metrics import FeatureMetric, Firing, Half, Worth
from formation.features.moments import schedule
from formation.features.snapshot_store import load_snapshots
from formation.features.swept import HELDOUT, IID, OOD, Swept, open_stage
from formation.record.probe_set import ProbeSet
from formation.record.series import ComponentMetric, Series
from formation.statistics import Estimate

SIZES = 4  # a family's most useful features, up to so many, are its candidates; more are no longer looked at one by one
TRAJECTORY = "subset-trajectory"
# what is followed of a subset: metric and split by the name of its curve
CURVES: Mapping[str, tuple[FeatureMetric, SplitName]] = {
    "score": (Firing.SCORE, IID),
    "usefulness": (Worth.USEFULNESS, IID),
    "log_prob": (Worth.LOG_PROB, IID),
    "heldout_usefulness": (Worth.USEFULNESS, HELDOUT),
    "ood_usefulness": (Worth.USEFULNESS, OOD),
}
CLUSTER, RANK = "feature-family-cluster", "feature-family-rank"

Subsets = Mapping[str, Sequence[int]]  # features by the subset's name, the most useful first


@dataclass(frozen=True)
class Subset:
    """Features of one family, the most useful first; `size` is null for the whole family."""

    name: str  # `family_7.top2`, or `family_7` for the whole
    family: str
    size: int | None
    features: tuple[int, ...]


def nested(name: str, ranking: Sequence[int], most: int) -> dict[str, tuple[int, ...]]:
    """The one most useful feature, the two, … up to `most` of them: `family_7.top1`, `family_7.top2`."""
    return {f"{name}.top{size}": tuple(ranking[:size]) for size in range(1, min(most, len(ranking)) + 1)}


def of_families(families: Iterable[Mapping[str, Any]]) -> list[Subset]:
    """The nested subsets of every stable family and the family itself; `families` are those of the rank stage."""
    found = []
    for family in families:
        if family["stable"]:
            order = tuple(member["feature"] for member in family["members"])
            tops = nested(family["name"], order, min(SIZES, len(order) - 1))
            found += [Subset(name, family["name"], len(features), features) for name, features in tops.items()]
            found.append(Subset(family["name"], family["name"], None, order))
    return found


def current_subsets(stage: Swept) -> list[Subset]:
    """The subsets of the families as they are now; raises `ArtifactError` where ranks are not of these families."""
    families = stage.read(files.FAMILIES, files.FAMILIES_SCHEMA, CLUSTER)["families"]
    ranks = stage.read(files.FAMILY_RANKS, files.FAMILY_RANKS_SCHEMA, RANK)["families"]
    grouped = {family["name"]: (family["stable"], sorted(family["features"])) for family in families}
    if grouped != {f["name"]: (f["stable"], sorted(one["feature"] for one in f["members"])) for f in ranks}:
        path = stage.run.path(files.place(stage.stage, files.FAMILY_RANKS))
        raise ArtifactError(f"{path}: is of other families than {files.FAMILIES}; run: {stage.remedy(RANK)}")
    return of_families(ranks)


@dataclass(frozen=True, eq=False)
class SweptSubsets:
    """Subsets over the checkpoints: `stage` has a subset where that of features has a feature."""

    stage: Swept
    subsets: tuple[Subset, ...]

    def series(self, name: str, metric: FeatureMetric, split: SplitName = IID, half: Half = Half.REPORT) -> Series:
        """A subset over the checkpoints, by its name."""
        return replace(
            self.stage.series(self._place(name), metric, split, half), metric=ComponentMetric(name, metric.value)
        )

    def at_end(self, name: str, metric: FeatureMetric, split: SplitName = IID, half: Half = Half.REPORT) -> Estimate:
        """A subset at the end of training."""
        return self.stage.at_end(self._place(name), metric, split, half)

    def _place(self, name: str) -> int:
        return next(place for place, subset in enumerate(self.subsets) if subset.name == name)


def load_subsets(run: Run, stage: str, probe: ProbeSet | None = None, warmup: bool = False) -> SweptSubsets:
    """The subsets of a stage by its own name, from the end of warm-up on, or with `warmup` from the start.

    Raises `ArtifactError` where they were not measured, or are those of other families than there are now.
    """
    empty = open_stage(run, stage, probe)
    subsets = current_subsets(empty)
    path, remedy = run.path(files.place(stage, files.SUBSETS)), empty.remedy(TRAJECTORY)
    if _measured(empty) != subsets:
        raise ArtifactError(f"{path}: its subsets are not those of the families there are; run: {remedy}")
    if not subsets:
        return SweptSubsets(empty, ())
    steps = [step for step in schedule(run) if warmup or step >= run.params.training.warmup]
    snapshots = load_snapshots(run, stage, steps, empty.basis, files.SUBSET_SNAPSHOTS)
    measured = {len(next(iter(one.splits[IID].tracks.values())).sums) for one in snapshots}
    if measured != {len(subsets)}:
        raise ArtifactError(f"{path}: its checkpoints are of other subsets; run: {remedy}")
    return SweptSubsets(replace(empty, snapshots=snapshots), tuple(subsets))


def _measured(stage: Swept) -> list[Subset]:
    rows = stage.read(files.SUBSETS, files.SUBSETS_SCHEMA, TRAJECTORY)["subsets"]
    return [Subset(row["name"], row["family"], row["size"], tuple(row["features"])) for row in rows]
