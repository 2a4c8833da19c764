"""The `shared-feature-fit` stage."""

from collections.abc import Sequence
from pathlib import Path

from formation.artifacts import Run


def shared_feature_fit(run: Run, stages: Sequence[str] | None = None) -> list[Path]:
    """Fit, choose and judge a basis for each stage; return the paths of the basis files."""
    raise NotImplementedError
