"""A dataset folder bears the digest of its content, is whole or absent, and is never changed."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from formation import artifacts
from formation.benchmark import store
from formation.benchmark.generate import Dataset, generate
from formation.benchmark.streams import SplitName
from formation.errors import ArtifactError

from . import planted

SMALL = {"train_streams": 20, "evaluation_streams": 6}


def listing(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_round_trip_keeps_everything(hardened: Dataset, tmp_path: Path) -> None:
    folder = store.write(hardened, tmp_path)
    assert folder.name == store.digest(hardened)
    found = store.load(folder)
    assert found.params == hardened.params
    assert found.statistics == hardened.statistics
    assert np.array_equal(found.heldout, hardened.heldout)
    for name, split in hardened.splits.items():
        for side in ("tokens", "length"):
            assert np.array_equal(getattr(found.splits[name], side), getattr(split, side))
        for events in ("reads", "writes"):
            for column, values in vars(getattr(split, events)).items():
                assert np.array_equal(getattr(getattr(found.splits[name], events), column), values)
    for key, twin in hardened.twins.items():
        assert all(np.array_equal(getattr(found.twins[key], side), values) for side, values in vars(twin).items())


def test_writing_again_changes_nothing(hardened: Dataset, tmp_path: Path) -> None:
    folder = store.write(hardened, tmp_path)
    before = {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in folder.iterdir()}
    assert store.write(hardened, tmp_path) == folder
    assert {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in folder.iterdir()} == before
    assert [entry.name for entry in tmp_path.iterdir()] == [folder.name]


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    folder = store.write(generate(planted.params(**SMALL), 120), tmp_path)
    rng = np.random.default_rng(0)
    for file in sorted(folder.iterdir()):
        whole = file.read_bytes()
        for place in rng.integers(len(whole), size=3):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << int(rng.integers(7))
            file.write_bytes(bytes(damaged))
            with pytest.raises(ArtifactError, match=str(folder)):
                store.load(folder, "formation generate-benchmark --run x")
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ArtifactError, match=str(folder)):
            store.load(folder)
        file.unlink()
        with pytest.raises(ArtifactError, match=file.name):
            store.load(folder)
        file.write_bytes(whole)
    store.load(folder)


def test_a_rewritten_file_is_noticed_though_it_agrees_with_itself(tmp_path: Path) -> None:
    """Whole, readable, self-consistent, and of another dataset."""
    folder = store.write(generate(planted.params(**SMALL), 120), tmp_path / "a")
    other = store.write(generate(planted.params(seed=9, **SMALL), 120), tmp_path / "b")
    (folder / "train.safetensors").write_bytes((other / "train.safetensors").read_bytes())
    with pytest.raises(ArtifactError, match=r"damaged .*delete the folder and run: formation x"):
        store.load(folder, "formation x")
    with pytest.raises(ArtifactError, match="damaged"):
        store.write(generate(planted.params(**SMALL), 120), tmp_path / "a")


def test_a_moved_folder_is_noticed(tmp_path: Path) -> None:
    folder = store.write(generate(planted.params(**SMALL), 120), tmp_path)
    renamed = folder.rename(tmp_path / ("0" * 64))
    with pytest.raises(ArtifactError, match="damaged"):
        store.load(renamed)


def test_a_failed_write_leaves_nothing(hardened: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *_: object) -> None:
        if path.name.startswith(SplitName.TEST_IID):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifacts, "write_arrays", full)
    with pytest.raises(OSError, match="No space left"):
        store.write(hardened, tmp_path)
    assert list(tmp_path.iterdir()) == []


def _write_small(folder: Path) -> str:
    return store.write(generate(planted.params(**SMALL), 120), folder).name


def test_three_runs_may_write_the_same_dataset_at_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        names = set(pool.map(_write_small, [tmp_path] * 3))
    assert len(names) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == list(names)
    store.load(tmp_path / names.pop())
