"""The probe set: a few streams of every evaluation split with both twins, the same at every checkpoint.

Measures that patch, ablate or follow single reads run on these streams; full splits serve behaviour only
(`docs/measures.md` §3). The draw is stratified: streams are grouped by the read their twins were made for (its stale
count, its lag, and whether it comes early, in the middle or late), and the groups are drawn from in turn, so that rare
kinds of reads are there. The file is immutable and bears its digest in its name; `probe_set.json` points to it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from formation import artifacts
from formation import params as parameters
from formation.artifacts import Run
from formation.benchmark.events import as_split
from formation.benchmark.generate import Dataset
from formation.benchmark.stage import folder_of_run, load_for_run
from formation.benchmark.streams import Special, Split, SplitName, Twin, TwinKind, Vocabulary
from formation.benchmark.tokens import answers
from formation.errors import ArtifactError, MeasureError

SCHEMA = "probe-set/1"
POINTER = "analysis/probe_set.json"
EVALUATION = (SplitName.VALIDATION_IID, SplitName.TEST_IID, SplitName.HELDOUT_PAIRS, SplitName.STRUCTURAL_OOD)
STALE_CAP = 3  # stale counts from here on share a stratum
PARTS = 3  # early, middle, late

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class ProbeSplit:
    """The probe streams of one split, with their twins; `streams` are their numbers in the full split."""

    streams: Int[np.ndarray, "probe"]
    split: Split
    twins: Mapping[TwinKind, Twin]


@dataclass(frozen=True)
class ProbeSet:
    """Probe streams of every evaluation split; `digest` is that of their content, `benchmark` that of the dataset."""

    digest: str
    benchmark: str
    splits: Mapping[SplitName, ProbeSplit]


def generate_probe_set(run: Run) -> Path:
    """Write the run's probe set and `probe_set.json`; return the path of the probe set.

    Raises `MeasureError` if there are fewer evaluation streams than probe streams.
    """
    count, available = run.params.record.probe_streams, run.params.benchmark.evaluation_streams
    if count > available:
        raise MeasureError(
            f"params/{run.preset}.yml: record.probe_streams = {count}: expected at most benchmark.evaluation_streams "
            f"= {available}; lower it, then run: {_remedy(run)}"
        )
    dataset = load_for_run(run)
    arrays = {name: array for split in EVALUATION for name, array in _draw(dataset, split, run.params.record).items()}
    about = {"schema": SCHEMA, **_identity(run), "vocabulary": _vocabulary(dataset)}
    digest = _digest(arrays, about)
    path = run.path(f"analysis/probe_set-{digest[:16]}.safetensors")
    artifacts.write_arrays(path, arrays, {**about, "digest": digest})
    artifacts.write_json(
        run.path(POINTER), {**about, "digest": digest, "file": path.name, **_contents(dataset, arrays)}
    )
    print(f"{run.name}: probe set {digest[:12]}, {count} streams of each of {len(EVALUATION)} splits, with both twins")
    return path


def load_probe_set(run: Run) -> ProbeSet:
    """The run's probe set.

    Raises `ArtifactError` if it is missing or damaged, or was drawn from another benchmark or with other parameters
    (both named).
    """
    pointer = run.json(POINTER, SCHEMA, _remedy(run))
    for field, expected in _identity(run).items():
        if pointer[field] != expected:
            raise ArtifactError(
                f"{run.path(POINTER)}: {field} is {_short(pointer[field])}, but the run has {_short(expected)}; "
                f"run: {_remedy(run)}"
            )
    arrays, about = artifacts.read_arrays(run.path(f"analysis/{pointer['file']}"), SCHEMA, _remedy(run))
    if about["digest"] != pointer["digest"]:
        raise ArtifactError(
            f"{run.path('analysis')}/{pointer['file']}: digest is {_short(about['digest'])}, but {POINTER} says "
            f"{_short(pointer['digest'])}; run: {_remedy(run)}"
        )
    vocabulary = Vocabulary(**about["vocabulary"])
    splits = {name: _probe_split(name, vocabulary, arrays) for name in EVALUATION}
    return ProbeSet(about["digest"], about["benchmark"], splits)


def stratified(strata: Int[np.ndarray, "stream"], count: int, rng: np.random.Generator) -> Int[np.ndarray, "probe"]:
    """`count` streams drawn from the strata in turn, in ascending order: no stratum has two more than another has
    unless the other has no more to give.
    """
    order = rng.permutation(len(strata))
    turn = np.empty(len(strata), np.int64)
    for stratum in np.unique(strata):
        members = order[strata[order] == stratum]
        turn[members] = np.arange(len(members))
    return np.sort(order[np.argsort(turn[order], kind="stable")][:count])


def target_strata(split: Split, target: Int[np.ndarray, "stream"]) -> Int[np.ndarray, "stream"]:
    """A number for each stream: stale count (capped), lag and third of its twins' target read, combined."""
    reads = split.reads
    first = np.searchsorted(reads.stream, np.arange(len(split.tokens)))
    count = np.bincount(reads.stream, minlength=len(split.tokens))
    part = (target - first) * PARTS // count
    stale = np.minimum(reads.stale[target], STALE_CAP)
    return np.asarray((reads.lag[target] * (STALE_CAP + 1) + stale) * PARTS + part)


def _draw(dataset: Dataset, name: SplitName, record: parameters.RecordParams) -> Arrays:
    """The arrays of one split's probe streams, named `<split>/…`."""
    split = dataset.splits[name]
    twins = {kind: dataset.twins[name, kind] for kind in TwinKind}
    rng = np.random.default_rng([record.probe_seed, list(SplitName).index(name)])
    target = twins[TwinKind.KEY].target
    streams = stratified(target_strata(split, target), record.probe_streams, rng)
    first = np.searchsorted(split.reads.stream, streams)
    out = {"streams": streams, "tokens": split.tokens[streams].astype(np.int16)}
    for kind, twin in twins.items():
        out[f"{kind}_twin"] = twin.tokens[streams].astype(np.int16)
        out[f"{kind}_target"] = twin.target[streams] - first
    return {f"{name}/{key}": array for key, array in out.items()}


def _probe_split(name: SplitName, vocabulary: Vocabulary, arrays: Arrays) -> ProbeSplit:
    tokens = arrays[f"{name}/tokens"].astype(np.int64)
    split = as_split(name, vocabulary, tokens, (tokens != Special.PAD).sum(axis=1))
    first = np.searchsorted(split.reads.stream, np.arange(len(tokens)))
    twins = {}
    for kind in TwinKind:
        twin = arrays[f"{name}/{kind}_twin"].astype(np.int64)
        value = answers(vocabulary, twin, split.reads)
        target = first + arrays[f"{name}/{kind}_target"]
        twins[kind] = Twin(kind, twin, value, value != split.reads.value, target)
    return ProbeSplit(arrays[f"{name}/streams"], split, twins)


def _identity(run: Run) -> dict[str, Any]:
    """What a probe set is drawn from; one drawn from anything else is refused."""
    record = run.params.record
    return {
        "benchmark": folder_of_run(run).name,
        "probe_streams": record.probe_streams,
        "probe_seed": record.probe_seed,
    }


def _contents(dataset: Dataset, arrays: Arrays) -> dict[str, Any]:
    """What a reader wants to know of the draw, by split: streams, reads, and affected reads of each twin."""
    out = {}
    for name in EVALUATION:
        part = _probe_split(name, dataset.splits[name].vocabulary, arrays)
        strata = target_strata(part.split, part.twins[TwinKind.KEY].target)
        out[name.value] = {
            "streams": len(part.streams),
            "reads": len(part.split.reads.stream),
            "strata": len(np.unique(strata)),
            **{f"{kind}_affected": int(twin.affected.sum()) for kind, twin in part.twins.items()},
        }
    return {"splits": out}


def _vocabulary(dataset: Dataset) -> dict[str, int]:
    vocabulary = dataset.splits[SplitName.TEST_IID].vocabulary
    return {"keys": vocabulary.keys, "values": vocabulary.values}


def _digest(arrays: Arrays, about: Mapping[str, Any]) -> str:
    content = {
        name: [array.dtype.str, list(array.shape), hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()]
        for name, array in arrays.items()
    }
    return parameters.digest({"about": dict(about), "arrays": content})


def _short(value: object) -> str:
    return value[:12] if isinstance(value, str) else str(value)


def _remedy(run: Run) -> str:
    return f"formation generate-probe-set --run {run.name}"
