"""Datasets shared by the tests of the benchmark: generated once, never changed."""

import pytest

from formation.benchmark.generate import Dataset, generate

from . import planted


@pytest.fixture(scope="session")
def hardened() -> Dataset:
    return generate(planted.params(), context=120)


@pytest.fixture(scope="session")
def sourced() -> Dataset:
    return generate(planted.source(), context=120)
