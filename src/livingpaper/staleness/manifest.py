"""Manifests: what a task ran on and what it left, written last, so that a killed task has none."""

from dataclasses import asdict, dataclass
from pathlib import Path

from livingpaper.files import digest, read_json, write_json

_SCHEMA = "manifest/1"
Inputs = dict[str, dict[str, str]]  # kind of input → name → digest or value


@dataclass(frozen=True)
class Manifest:
    """One finished execution. Paths are relative to the project; a digest of `None` means: looked for, not found."""

    inputs: Inputs
    start: str  # digest of all it could depend on when it began
    reads: dict[str, str | None]
    outputs: dict[str, str]
    because: str
    seconds: float
    finished: str  # ISO time; never compared


def read_manifest(path: Path) -> Manifest | None:
    """The manifest in a file, or `None` if there is none, or one that is damaged or of another version."""
    data = read_json(path)
    if not isinstance(data, dict) or data.get("schema") != _SCHEMA:
        return None
    body = {key: value for key, value in data.items() if key not in ("schema", "seal")}
    if data.get("seal") != digest(body):
        return None
    try:
        return Manifest(**body)
    except TypeError:
        return None


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest, sealed with its own digest."""
    body = asdict(manifest)
    write_json(path, {"schema": _SCHEMA, "seal": digest(body), **body})


@dataclass(frozen=True)
class Begun:
    """What is known of an execution that began and left no manifest."""

    start: str
    seconds: float  # how long it took when it last came to its end; 0 if it never did
    expected: tuple[str, ...]  # outputs that it had, from the same inputs, before it had to run again


def read_begun(path: Path) -> Begun | None:
    """The note of an execution that began, or `None` if there is none."""
    data = read_json(_begun(path))
    try:
        return Begun(str(data["start"]), float(data["seconds"]), tuple(map(str, data["expected"])))
    except (TypeError, KeyError, ValueError):
        return None


def write_begun(path: Path, begun: Begun) -> None:
    """Note that an execution begins; its old manifest no longer holds."""
    write_json(_begun(path), asdict(begun))
    path.unlink(missing_ok=True)


def clear_begun(path: Path) -> None:
    """Forget that an execution began, after its manifest was written."""
    _begun(path).unlink(missing_ok=True)


def _begun(path: Path) -> Path:
    return path.with_suffix(".begun")
