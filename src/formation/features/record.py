"""What was measured of a run's features, for a chapter: one stage, files read when asked for. Imports no torch."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from formation import artifacts
from formation.artifacts import Run
from formation.errors import ArtifactError
from formation.features import files
from formation.features.moments import schedule
from formation.features.source import chosen_stages

Data = dict[str, Any]


class NotPublished(ArtifactError):
    """A publication does not have it: it is older than the analysis, or made without it."""


@dataclass(frozen=True)
class FeatureRecord:
    """The files of one stage of a run."""

    run: Run
    stage: str

    @cached_property
    def quality(self) -> Data:
        """How the basis was chosen and how good it is."""
        return self._json(files.QUALITY, files.QUALITY_SCHEMA, "shared-feature-fit")

    @cached_property
    def listed(self) -> Data:
        """The features of the basis one by one."""
        return self._json(files.FEATURES, files.FEATURES_SCHEMA, "shared-feature-fit")

    @cached_property
    def basis_quality(self) -> Data:
        """What the basis explains at every checkpoint."""
        return self.plot("basis_quality", "shared-feature-fit")

    @cached_property
    def atlas(self) -> Data:
        """Every feature at every checkpoint."""
        return self.plot("trajectory_atlas", "feature-trajectory-sweep")

    @cached_property
    def timeline(self) -> Data:
        """Births of features and behaviours."""
        return self.plot("birth_timeline", "feature-birth-analyze")

    @cached_property
    def birth_summary(self) -> Data:
        """Births counted."""
        return self._json(files.BIRTH_SUMMARY, files.BIRTH_SUMMARY_SCHEMA, "feature-birth-analyze")

    @cached_property
    def patches(self) -> Data:
        """What single features carry between two checkpoints."""
        return self.plot("feature_patch", "feature-patch")

    @cached_property
    def alternatives(self) -> Data:
        """Births in other bases."""
        return self._json("alternatives.json", "feature-alternatives/1", "feature-alternatives")

    @cached_property
    def cards(self) -> Data:
        """What each useful feature fires on."""
        return self._json(files.CARDS, files.CARDS_SCHEMA, "feature-cards")

    @cached_property
    def lineage(self) -> Data:
        """What writes the useful features at the end of training."""
        return self.plot(f"lineage_{schedule(self.run)[-1]}", "feature-lineage", "lineage")

    @cached_property
    def families(self) -> Data:
        """Features that move together."""
        return self._json(files.FAMILIES, files.FAMILIES_SCHEMA, "feature-family-cluster")

    @cached_property
    def family_map(self) -> Data:
        """Where each feature lies among the others."""
        return self.plot("family_map", "feature-family-cluster")

    @cached_property
    def family_births(self) -> Data:
        """Births of families."""
        return self._json(files.FAMILY_BIRTHS, files.FAMILY_BIRTHS_SCHEMA, "feature-family-birth")

    @cached_property
    def subpatches(self) -> Data:
        """What ranked subsets carry of retrieval's window."""
        return self._json(files.FAMILY_SUBPATCHES, files.FAMILY_SUBPATCHES_SCHEMA, "feature-family-subpatch")

    @cached_property
    def registry(self) -> Data:
        """Candidate circuits."""
        return self._json(files.REGISTRY, files.REGISTRY_SCHEMA, "candidate-circuit-registry")

    @cached_property
    def trace(self) -> Data:
        """The strongest candidate over training."""
        return self.plot("joint_trace", "feature-family-trace")

    def plot(self, name: str, command: str, kind: str | None = None) -> Data:
        """The data of one figure; `kind` is its schema's where that is not its name."""
        schema = f"feature-plot-{(kind or name).removeprefix('feature_').replace('_', '-')}/1"
        return self._json(f"{files.PLOTS}/{name}.json", schema, command)

    def _json(self, name: str, schema: str, command: str) -> Data:
        place, remedy = files.place(self.stage, name), f"formation {command} --run {self.run.name}"
        artifacts.record_read(self.run.path(place))
        if self.run.home != artifacts.artifacts_folder(self.run.root) and not self.run.path(place).is_file():
            raise NotPublished(f"{self.run.name}: {name} is not among what was published of this run; run: {remedy}")
        return self.run.json(place, schema, remedy)


def open_features(run: Run, stage: str | None = None) -> FeatureRecord:
    """The features of a run's stage, of the first of its parameters by default."""
    return FeatureRecord(run, chosen_stages(run, None if stage is None else [stage])[0])
