"""Fixtures and rules of the whole suite: one thread a process, shapes checked at run time, no silent browser skip."""

import os
import shutil

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# The machine is shared: a slow draw says nothing about the code.
hypothesis.settings.register_profile("house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, naming the package that would let it."""
    for item in items:
        if (
            item.get_closest_marker("browser")
            and CHROMIUM is None
            and not os.environ.get("LIVINGPAPER_REQUIRE_CHROMIUM")
        ):
            item.add_marker(pytest.mark.skip(reason="needs Chromium: install the Debian package chromium"))
        if item.get_closest_marker("quarto") and shutil.which("quarto") is None:
            item.add_marker(pytest.mark.skip(reason="needs Quarto on PATH: https://quarto.org"))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser; its absence is a failure here, because without it such tests were skipped above."""
    if CHROMIUM is None:
        pytest.fail("Chromium is required here and is not installed: install the Debian package chromium")
    return CHROMIUM
