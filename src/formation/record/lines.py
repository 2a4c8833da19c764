"""The rows of a sweep, of behaviour or of components: what every row says, and how it is written and read back."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from formation import artifacts
from formation.artifacts import Run
from formation.errors import ArtifactError
from formation.params import Frozen

DIGITS = 6  # behind the point, of every figure of a row


class Source(Frozen):
    """What a sweep was made from: digests of the run's parameters, dataset, probe set and record parameters."""

    params: str
    benchmark: str
    probe_set: str
    record: str


class SweepRow(Frozen):
    """One checkpoint; `checkpoint` is the digest of its file."""

    run: str
    step: int
    source: Source
    checkpoint: str


AnyRow = TypeVar("AnyRow", bound=SweepRow)


def row_json(schema: str, row: SweepRow) -> dict[str, Any]:
    """A row as JSON data, figures rounded to 1e-6."""
    return {"schema": schema, **_rounded(row.model_dump(mode="json"))}


def row_from(kind: type[AnyRow], data: Mapping[str, Any]) -> AnyRow:
    """A row read from JSON data; pydantic's `ValidationError` for what does not fit its schema."""
    return kind.model_validate_json(json.dumps({key: value for key, value in data.items() if key != "schema"}))


def row_in(path: Path, kind: type[AnyRow], data: Mapping[str, Any], remedy: str) -> AnyRow:
    """A row found in a file; what does not fit its schema is an `ArtifactError` naming the first wrong field."""
    try:
        return row_from(kind, data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise ArtifactError(f"{path}: step {data.get('step')}: {field}: {first['msg']}; run: {remedy}") from None


def read_rows(path: Path, schema: str, kind: type[AnyRow], run: Run, source: Source, remedy: str) -> list[AnyRow]:
    """The rows of a finished sweep, in order of steps.

    Raises `ArtifactError` if there is none, or it is of another run, parameters, benchmark or probe set, naming both.
    """
    rows = [row_in(path, kind, data, remedy) for data in artifacts.read_jsonl(path, schema, remedy)]
    for row in rows:
        if row.run != run.name:
            raise ArtifactError(f"{path}: run is {row.run!r}, expected {run.name!r}; run: {remedy}")
        require_source(f"{path}: step {row.step}", row.source.model_dump(), source, remedy)
    return rows


def require_source(where: str, found: Mapping[str, str], source: Source, remedy: str) -> None:
    """Refuse what was made from anything else than `source`; `ArtifactError` naming the first side that differs."""
    for field, expected in source.model_dump().items():
        if found[field] != expected:
            raise ArtifactError(
                f"{where}: {field} is {found[field][:12]}, but the run has {expected[:12]}; run: {remedy}"
            )


def _rounded(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _rounded(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_rounded(value) for value in data]
    return round(data, DIGITS) if isinstance(data, float) else data
