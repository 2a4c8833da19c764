"""Files of the press: atomic writes, digests, JSON, and paths that cannot leave their folder."""

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from livingpaper.errors import PointerError, PressError, shown
from livingpaper.jsonfile import parse_json
from livingpaper.room import no_room

LONGEST = 200  # bytes of a name in a path: file systems take 255, and scratch files add to it
_UNNAMEABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

_SMALL = 64 * 1024  # bytes


def write_bytes(path: Path, data: bytes, lasting: bool = True) -> None:
    """Write `data` to `path` atomically (temporary file beside it, fsync, rename); on failure the old file stands.

    What can be made again at any time need not be `lasting`: it is not flushed to the disk.
    """
    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(scratch, 0o644)
        os.replace(scratch, path)
    except BaseException as error:
        if scratch is not None:
            Path(scratch).unlink(missing_ok=True)
        reason = no_room(error, path, len(data)) if isinstance(error, OSError) else None
        if reason is None:
            raise
        kept = "the old file stands" if path.is_file() else "nothing was written"
        raise PressError(f"{reason}; {kept}; make room and build again") from None


def write_text(path: Path, text: str) -> None:
    """Write text to `path` atomically, as UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, data: Any) -> None:
    """Write JSON data atomically, the same bytes for the same data; non-finite numbers are refused.

    A file that holds them already is left alone: most of what a build writes down is as it was.
    """
    text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    if not _holds(path, text.encode()):
        write_text(path, text)


def read_json(path: Path) -> Any:
    """JSON data of a file of the press, or `None` where there is no usable file."""
    try:
        return parse_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def digest(data: Any) -> str:
    """SHA-256 (hex) of JSON data, independent of key order."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _holds(path: Path, data: bytes) -> bool:
    try:
        return os.path.getsize(path) == len(data) and path.read_bytes() == data
    except OSError:
        return False


def bytes_digest(data: bytes) -> str:
    """SHA-256 (hex) of bytes."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with open(path, "rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size < _SMALL:
            return bytes_digest(file.read())  # most files: no buffer has to be made for them
        return hashlib.file_digest(file, "sha256").hexdigest()


def inside(folder: Path, relative: str) -> Path:
    """The path `relative` below `folder`; `..`, absolute paths and links that lead out of it are refused."""
    parts = PurePosixPath(relative).parts
    plain = bool(parts) and not relative.startswith("/") and ".." not in parts and "\\" not in relative
    if not plain or _UNNAMEABLE.search(relative) or any(len(part.encode()) > LONGEST for part in parts):
        raise PointerError(f"{shown(relative)}: expected a path below {folder.name}/, without '..' and not absolute")
    target = folder.joinpath(*parts)
    try:
        there = target.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link to itself, by whatever way
        raise PointerError(f"{relative!r}: is a link that leads nowhere") from None
    if not there:
        raise PointerError(f"{relative!r}: leads out of {folder.name}/ through a link")
    return target
