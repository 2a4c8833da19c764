"""The tiny book, printed once for both runs."""

from pathlib import Path

import pytest

from livingpaper.render import render
from tests.livingpaper.render import tiny


@pytest.fixture(scope="session")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny book, printed; tests only read it."""
    root = tiny.make_book(tmp_path_factory.mktemp("printed"))
    for run, _ in tiny.RUNS:
        render(root, tiny.printing(root, run), "embedded")
    return root
