"""What tests of stages share: planted runs with a basis and snapshots. Read them, never write to them."""

import pytest

from formation.artifacts import Run
from tests.formation.features.swept_planted import swept
from tests.formation.projects import own_artifacts as own
from tests.planted import Course


@pytest.fixture(scope="session")
def rising(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in which retrieval forms."""
    with own():
        return swept(tmp_path_factory.mktemp("rising"))


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in which nothing is there."""
    with own():
        return swept(tmp_path_factory.mktemp("random"), Course.RANDOM)
