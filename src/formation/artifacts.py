"""Where every file of a run lives, and the only way to read or write one.

A run's folder is `artifacts/runs/<run>/`. Writes are atomic (temporary file, fsync, rename). Reads are recorded: where
`LIVINGPAPER_READS` names a file, every artifact looked for is appended to it (also those not found), so that the press
knows what a result depended on. JSON artifacts carry a `schema` name and no non-finite numbers.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_tensors

from formation import params as parameters
from formation import presets
from formation.errors import ArtifactError, FormationError
from formation.params import Params
from formation.press import tell
from formation.room import no_room

PARAMS_FILE = "params.json"
PARAMS_SCHEMA = "params/1"
_HEADER = "formation"  # the entry of a safetensors header that holds `<sha256> <about as JSON>`


def artifacts_folder(root: Path) -> Path:
    """Folder of everything computed: `FORMATION_ARTIFACTS`, else `artifacts/` of the project."""
    given = os.environ.get("FORMATION_ARTIFACTS")
    return Path(given) if given else root / "artifacts"


# --- writing ---------------------------------------------------------------------------------------------------------


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically (temporary file beside it, fsync, rename); on failure the old file stands."""
    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(scratch, 0o644)
        os.replace(scratch, path)
        _fsync_folder(path.parent)
    except BaseException as error:
        if scratch is not None:
            Path(scratch).unlink(missing_ok=True)
        reason = no_room(error, path, len(data)) if isinstance(error, OSError) else None
        if reason is None:
            raise
        kept = "the old file stands" if path.is_file() else "nothing was written"
        raise FormationError(f"{reason}; {kept}; make room and run again") from None


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON artifact atomically; it must have a `schema`, and non-finite numbers are refused by path."""
    if "schema" not in data:
        raise ArtifactError(f"{path}: a JSON artifact needs a 'schema' entry")
    write_bytes(path, (json.dumps(_plain(data, path, ""), indent=1, ensure_ascii=False) + "\n").encode())


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON lines, atomically, all at once."""
    text = "".join(json_line(row, path) for row in rows)
    write_bytes(path, text.encode())


def json_line(row: Mapping[str, Any], path: Path) -> str:
    """One JSON line; non-finite numbers are refused naming `path` and key."""
    return json.dumps(_plain(row, path, ""), ensure_ascii=False, separators=(",", ":")) + "\n"


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Write named arrays as self-checking safetensors; `about` is JSON data and must have a `schema`.

    The header holds a digest over all arrays and `about`, so that a flipped bit anywhere is noticed on load.
    """
    if "schema" not in about:
        raise ArtifactError(f"{path}: an array artifact needs a 'schema' entry")
    solid = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = json.dumps(_plain(about, path, ""), sort_keys=True, ensure_ascii=False)
    # one entry only: safetensors writes several in random order, and equal artifacts must have equal bytes
    metadata = {_HEADER: f"{_arrays_digest(solid, text)} {text}"}
    write_bytes(path, save_tensors(solid, metadata=metadata))


def _plain(data: Any, path: Path, pointer: str) -> Any:
    """JSON data with numpy scalars and arrays turned plain; a non-finite number is an error naming its pointer."""
    if isinstance(data, Mapping):
        return {str(key): _plain(value, path, f"{pointer}/{key}") for key, value in data.items()}
    if isinstance(data, np.ndarray):
        return _plain(data.tolist(), path, pointer)
    if isinstance(data, list | tuple):
        return [_plain(value, path, f"{pointer}/{i}") for i, value in enumerate(data)]
    if isinstance(data, np.generic):
        data = data.item()
    if isinstance(data, float) and not np.isfinite(data):
        raise ArtifactError(f"{path}#{pointer}: {data} is not a finite number and cannot be stored")
    return data


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- reading ---------------------------------------------------------------------------------------------------------


def record_read(path: Path) -> None:
    """Tell the press that `path` was looked for, found or not."""
    tell({"path": str(path.resolve()), "found": path.is_file()})


def read_bytes(path: Path, remedy: str = "") -> bytes:
    """The bytes of an artifact; a missing one is an error that ends with `remedy`, the command to run."""
    record_read(path)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ArtifactError(f"{path}: not found{'; run: ' + remedy if remedy else ''}") from None
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}") from None


def read_json(path: Path, schema: str, remedy: str = "") -> dict[str, Any]:
    """A JSON artifact of the given schema."""
    try:
        data = json.loads(read_bytes(path, remedy))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path}: not valid JSON ({error}); {_again(remedy)}") from None
    _check_schema(path, data, schema, remedy)
    return dict(data)


def read_jsonl(path: Path, schema: str, remedy: str = "") -> list[dict[str, Any]]:
    """Rows of a JSON-lines artifact, each of the given schema; a half-written line is an error naming it."""
    rows = []
    for number, line in enumerate(read_bytes(path, remedy).splitlines(), 1):
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise ArtifactError(f"{path}: line {number} is not valid JSON; {_again(remedy)}") from None
        _check_schema(path, row, schema, remedy)
        rows.append(row)
    return rows


def read_arrays(path: Path, schema: str, remedy: str = "") -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and `about` of a file written by `write_arrays`; damaged or foreign files are refused with their path."""
    record_read(path)
    if not path.is_file():
        raise ArtifactError(f"{path}: not found{'; run: ' + remedy if remedy else ''}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (a safetensors handle is no dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not a readable safetensors file ({error}); {_again(remedy)}") from None
    if _HEADER not in metadata:
        raise ArtifactError(f"{path}: a safetensors file, but not one of this project; expected schema {schema}")
    sha256, _, text = metadata[_HEADER].partition(" ")
    if _arrays_digest(arrays, text) != sha256:
        raise ArtifactError(f"{path}: damaged (its content does not match its digest); {_again(remedy)}")
    about = json.loads(text)
    _check_schema(path, about, schema, remedy)
    return arrays, about


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _again(remedy: str) -> str:
    return f"delete it and run: {remedy}" if remedy else "delete it and make it again"


def _check_schema(path: Path, data: Any, schema: str, remedy: str) -> None:
    found = data.get("schema") if isinstance(data, dict) else None
    if found != schema:
        raise ArtifactError(f"{path}: schema is {found!r}, expected {schema!r}; {_again(remedy)}")


def _arrays_digest(arrays: Mapping[str, np.ndarray], about: str) -> str:
    total = hashlib.sha256(about.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        total.update(array.data if array.size else b"")
    return total.hexdigest()


# --- runs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One run: its name, folder, resolved parameters and seed."""

    name: str
    preset: str
    seed: int
    params: Params
    folder: Path
    root: Path

    @property
    def home(self) -> Path:
        """Folder in which the run's folder and the datasets lie: `artifacts/`, or that of its publication."""
        return self.folder.parent.parent

    @property
    def analysis(self) -> Path:
        """Folder of everything measured on the run."""
        return self.folder / "analysis"

    def path(self, relative: str) -> Path:
        """A file of the run; a path that would leave the run's folder is refused."""
        target = (self.folder / relative).resolve()
        if not target.is_relative_to(self.folder.resolve()):
            raise ArtifactError(f"{relative!r}: leaves the folder of run {self.name}")
        return target

    def json(self, relative: str, schema: str, remedy: str = "") -> dict[str, Any]:
        """A JSON artifact of the run."""
        return read_json(self.path(relative), schema, remedy)


def open_run(name: str, root: Path | None = None, overrides: Sequence[str] = ()) -> Run:
    """The run `name`, with parameters from its preset, the overrides it was made with, and `overrides`.

    A folder made with other benchmark, model or training parameters is refused, both digests named. Reads `params.json`
    if it exists and writes nothing.
    """
    root = root or presets.project_root()
    preset, seed = presets.split_run(name, root)
    folder = artifacts_folder(root) / "runs" / name
    stored = _stored(folder)
    kept = stored["overrides"] if stored and not overrides else []
    resolved = presets.load(preset, root, [*kept, *overrides])
    if stored and stored["digest"] != resolved.identity(seed):
        raise ArtifactError(
            f"{folder / PARAMS_FILE}: run {name} was made with parameters {stored['digest'][:12]}, "
            f"now they are {resolved.identity(seed)[:12]}; use another seed or preset, or move {folder} away"
        )
    return Run(name, preset, seed, resolved, folder, root)


def create_run(name: str, root: Path | None = None, overrides: Sequence[str] = (), replace: bool = False) -> Run:
    """`open_run`, then write the run's `params.json` if it is not there yet.

    With `replace`, a folder made with other parameters is moved to `artifacts/replaced/<run>-<digest>` first; nothing
    is ever deleted.
    """
    root = root or presets.project_root()
    if replace:
        _move_aside(name, root, overrides)
    run = open_run(name, root, overrides)
    if not (run.folder / PARAMS_FILE).is_file():
        write_json(
            run.folder / PARAMS_FILE,
            {
                "schema": PARAMS_SCHEMA,
                "run": name,
                "preset": run.preset,
                "seed": run.seed,
                "digest": run.params.identity(run.seed),
                "overrides": list(overrides),
                # only what never changes in a run's life; how it is measured may
                "params": {name: run.params.section(name) for name in parameters.IDENTITY},
            },
        )
    return run


def _move_aside(name: str, root: Path, overrides: Sequence[str]) -> None:
    """Move the run's folder away if its stored identity is not the one its parameters have now."""
    preset, seed = presets.split_run(name, root)
    folder = artifacts_folder(root) / "runs" / name
    stored = _stored(folder)
    if stored is None:
        return
    wanted = presets.load(preset, root, overrides or stored["overrides"]).identity(seed)
    if stored["digest"] == wanted:
        return
    place = artifacts_folder(root) / "replaced" / f"{name}-{stored['digest'][:12]}"
    for number in range(2, 1000):
        if not place.exists():
            break
        place = place.with_name(f"{name}-{stored['digest'][:12]}-{number}")
    place.parent.mkdir(parents=True, exist_ok=True)
    os.rename(folder, place)
    print(f"{name}: parameters changed ({stored['digest'][:12]} → {wanted[:12]}); the old run is kept in {place}")


def _stored(folder: Path) -> dict[str, Any] | None:
    path = folder / PARAMS_FILE
    if not path.is_file():
        return None
    return read_json(path, PARAMS_SCHEMA)
