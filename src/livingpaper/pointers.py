"""Pointers into artifacts: `analysis/claims_evidence.json#/heldout_accuracy/value` (RFC 6901 behind the `#`)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from livingpaper.errors import PointerError
from livingpaper.errors import shown as _cut
from livingpaper.files import inside
from livingpaper.jsonfile import parse_json
from livingpaper.validation import nearest

STUDY = "study:"
LONGEST = 1000  # characters of a pointer
_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class Pointer:
    """A place in a JSON artifact of a run, or of the study where `study` is true."""

    text: str
    file: str
    keys: tuple[str, ...]
    study: bool = False

    def path(self, home: Callable[[str], Path], run: str, preset: str) -> Path:
        """The artifact's file for a run; a pointer that would leave the run's folder is refused.

        `home` gives the folder in which everything of a run or study lies: `artifacts/`, or its publication's.
        """
        folder = home(preset) / "studies" / preset if self.study else home(run) / "runs" / run
        return inside(folder, self.file)


@lru_cache(maxsize=4096)
def parse_pointer(text: str) -> Pointer:
    """The pointer written as `text`; anything else is refused with the form expected."""
    if len(text) > LONGEST:
        raise PointerError(f"{_cut(text)}: expected a pointer of at most {LONGEST} characters")
    study = text.startswith(STUDY)
    file, sign, path = text.removeprefix(STUDY).partition("#")
    if not sign or not file or not file.endswith((".json", ".jsonl")) or not (path == "" or path.startswith("/")):
        raise PointerError(
            f"{text!r}: expected <file>.json#/<key>/<key>, such as analysis/evidence.json#/accuracy/value"
        )
    inside(Path("folder"), file)
    keys = tuple(part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])
    return Pointer(text, file, keys, study)


def read_artifact(path: Path, shown: str) -> Any:
    """JSON data of an artifact (the list of rows of a .jsonl file); `shown` is its name in messages."""
    try:
        text = path.read_text(encoding="utf-8")
        # lines end where JSON cannot go on: other line separators may stand within a string
        rows = [line for line in text.split("\n") if line.strip()] if path.suffix == ".jsonl" else None
        return parse_json(text) if rows is None else [parse_json(row) for row in rows]
    except FileNotFoundError:
        raise PointerError(f"{shown}: not found") from None
    except (OSError, ValueError) as error:
        raise PointerError(f"{shown}: not readable JSON ({error})") from None


def follow(data: Any, pointer: Pointer, shown: str) -> Any:
    """What `pointer` names in `data`; a key that is not there is an error with the nearest one that is."""
    for depth, key in enumerate(pointer.keys):
        if isinstance(data, dict) and key in data:
            data = data[key]
        elif isinstance(data, list) and _INDEX.fullmatch(key) and int(key) < len(data):
            data = data[int(key)]
        else:
            here = "#/" + "/".join(pointer.keys[:depth])
            known = _entries(data)
            found = f"; there are: {', '.join(known[:12])}{' …' if len(known) > 12 else ''}" if known else ""
            raise PointerError(f"{shown}{here}: no entry {_cut(key)}{found}{nearest(key, known)}")
    return data


def _entries(data: Any) -> list[str]:
    """What could have been asked for."""
    if isinstance(data, dict):
        return [key[:80] for key in data]
    return [f"0 to {len(data) - 1}"] if isinstance(data, list) else []
