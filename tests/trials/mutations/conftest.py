"""One copy of this paper for all mutations of it."""

import shutil
from collections.abc import Iterator

import pytest

from tests.trials.mutations.bench import Bench
from tests.trials.mutations.real import built, copied, stood_in


@pytest.fixture(scope="session")
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The real paper, really built under `--trials`, else with stand-ins for its artifacts."""
    root = copied(tmp_path_factory.mktemp("real") / "paper")
    make = built if request.config.getoption("--trials") else stood_in
    yield Bench(make(root))
    shutil.rmtree(root)
