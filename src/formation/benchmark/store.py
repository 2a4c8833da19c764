"""Where a dataset lives: `artifacts/benchmarks/<digest>/`, never changed once written.

The folder bears the digest of its content. It is filled under a temporary name and renamed when complete, so it is
whole or not there, also when several runs write the same dataset at once; one that is there already is verified and
kept. `sanity.json` and `examples.txt` are reports *about* the dataset, renewed when today's code says something else.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from formation import artifacts
from formation import params as parameters
from formation.benchmark.events import as_split
from formation.benchmark.generate import Dataset, with_counterfactual
from formation.benchmark.streams import Special, Split, SplitName, Twin, TwinKind, Vocabulary
from formation.benchmark.tokens import answers
from formation.errors import ArtifactError
from formation.params import BenchmarkParams

SCHEMA, SPLIT_SCHEMA, TWIN_SCHEMA, HELDOUT_SCHEMA = "benchmark/1", "split/1", "twin/1", "heldout/1"
INDEX = "benchmark.json"

Arrays = dict[str, np.ndarray]


def write(dataset: Dataset, folder: Path, remedy: str = "") -> Path:
    """The dataset's folder below `folder` (`artifacts/benchmarks`), written unless it is there already.

    An existing folder is verified against its digest; a damaged one is an `ArtifactError` and is left as it is.
    """
    files = _files(dataset)
    index = _index(dataset.params, dataset.statistics, files)
    target = folder / str(index["digest"])
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder, prefix=f".{target.name[:12]}.", suffix=".part"))
        try:
            _fill(scratch, files, index)
            _rename(scratch, target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    load(target, remedy)
    return target


def load(folder: Path, remedy: str = "") -> Dataset:
    """The dataset in `folder`; `ArtifactError` if a file is missing or damaged, or the content is not the folder's."""
    index = artifacts.read_json(folder / INDEX, SCHEMA, remedy)
    files = {name: _read(folder / name, schema, remedy) for name, schema in _schemas().items()}
    try:
        params = BenchmarkParams.model_validate(index["params"])
        expected = _index(params, index["statistics"], files)
    except (KeyError, ValueError):
        raise _damaged(folder, "its index is not one", remedy) from None
    if index != expected or index["digest"] != folder.name:
        raise _damaged(folder, f"its content has digest {expected['digest'][:12]}, not that of its name", remedy)
    vocabulary = Vocabulary(params.keys, params.values)
    splits: dict[SplitName, Split] = {name: _split(name, vocabulary, files[_split_file(name)]) for name in _stored()}
    twins: dict[tuple[SplitName, TwinKind], Twin] = {
        (name, kind): _twin(kind, splits[name], files[_twin_file(name, kind)])
        for name in _stored()
        if name is not SplitName.TRAIN
        for kind in TwinKind
    }
    splits, twins = with_counterfactual(splits, twins)
    return Dataset(params, splits, twins, files["heldout.safetensors"]["heldout"], index["statistics"])


def digest(dataset: Dataset) -> str:
    """SHA-256 (hex) of a dataset's content: parameters, streams, twins, held-out pairs, generation statistics."""
    return str(_index(dataset.params, dataset.statistics, _files(dataset))["digest"])


def params_digest(params: BenchmarkParams) -> str:
    """SHA-256 (hex) of benchmark parameters."""
    return parameters.digest(params.model_dump(mode="json"))


def _stored() -> list[SplitName]:
    """Splits with a file of their own; the counterfactual split has the streams of `test_iid`."""
    return [name for name in SplitName if name is not SplitName.COUNTERFACTUAL]


def _split_file(name: SplitName) -> str:
    return f"{name}.safetensors"


def _twin_file(name: SplitName, kind: TwinKind) -> str:
    return f"{name}.{kind}_twin.safetensors"


def _schemas() -> dict[str, str]:
    """Schema of every array file of a dataset."""
    evaluation = [name for name in _stored() if name is not SplitName.TRAIN]
    return {
        "heldout.safetensors": HELDOUT_SCHEMA,
        **{_split_file(name): SPLIT_SCHEMA for name in _stored()},
        **{_twin_file(name, kind): TWIN_SCHEMA for name in evaluation for kind in TwinKind},
    }


def _files(dataset: Dataset) -> dict[str, Arrays]:
    """The arrays of every file; events are read from the tokens again on load, so they cannot disagree with them."""
    files: dict[str, Arrays] = {"heldout.safetensors": {"heldout": dataset.heldout}}
    for name in _stored():
        files[_split_file(name)] = {"tokens": dataset.splits[name].tokens.astype(np.int16)}
    for (name, kind), twin in dataset.twins.items():
        if name is not SplitName.COUNTERFACTUAL:
            files[_twin_file(name, kind)] = {
                "tokens": twin.tokens.astype(np.int16),
                "target": twin.target.astype(np.int64),
            }
    return files


def _index(params: BenchmarkParams, statistics: Mapping[str, Any], files: Mapping[str, Arrays]) -> dict[str, Any]:
    """What `benchmark.json` says about this content, as it reads back from JSON."""
    plain = {"params": params.model_dump(mode="json"), "statistics": json.loads(json.dumps(statistics))}
    return {
        "schema": SCHEMA,
        "digest": _digest(plain["params"], plain["statistics"], files),
        "params_digest": params_digest(params),
        **plain,
        "files": sorted(files),
    }


def _digest(params: Mapping[str, Any], statistics: Mapping[str, Any], files: Mapping[str, Arrays]) -> str:
    arrays = {
        name: {key: [array.dtype.str, list(array.shape), _bytes_digest(array)] for key, array in content.items()}
        for name, content in files.items()
    }
    return parameters.digest({"params": params, "statistics": statistics, "arrays": arrays})


def _bytes_digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _damaged(folder: Path, why: str, remedy: str) -> ArtifactError:
    again = f"run: {remedy}" if remedy else "make it again"
    return ArtifactError(f"{folder}: damaged ({why}); delete the folder and {again}")


def _fill(folder: Path, files: Mapping[str, Arrays], index: Mapping[str, Any]) -> None:
    for name, arrays in files.items():
        artifacts.write_arrays(folder / name, arrays, {"schema": _schemas()[name], "digest": index["digest"]})
    artifacts.write_json(folder / INDEX, index)


def _rename(scratch: Path, target: Path) -> None:
    """Give the finished folder its name; if another process was first, its folder stays."""
    scratch.chmod(0o755)
    try:
        os.rename(scratch, target)
    except OSError:
        if not target.is_dir():
            raise


def _read(path: Path, schema: str, remedy: str) -> Arrays:
    return artifacts.read_arrays(path, schema, remedy)[0]


def _split(name: SplitName, vocabulary: Vocabulary, arrays: Arrays) -> Split:
    tokens = arrays["tokens"].astype(np.int64)
    return as_split(name, vocabulary, tokens, (tokens != Special.PAD).sum(axis=1))


def _twin(kind: TwinKind, base: Split, arrays: Arrays) -> Twin:
    tokens = arrays["tokens"].astype(np.int64)
    value = answers(base.vocabulary, tokens, base.reads)
    return Twin(kind, tokens, value, value != base.reads.value, arrays["target"])
