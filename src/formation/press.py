"""What the laboratory tells the press while it works: a line for all that a result depends on, if asked to."""

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from formation.errors import FormationError
from formation.room import no_room, told


def tell(about: Mapping[str, str | bool]) -> None:
    """Append a line to the file that `LIVINGPAPER_READS` names, if it names one."""
    if log := os.environ.get("LIVINGPAPER_READS"):
        _append(log, json.dumps(about))


def tell_section(name: str) -> None:
    """Tell, once a process, that a section of the parameters was read."""
    if log := os.environ.get("LIVINGPAPER_READS"):
        _append_once(log, json.dumps({"section": name}))


@cache
def _append_once(log: str, line: str) -> None:
    _append(log, line)


def _append(log: str, line: str) -> None:
    data = f"{line}\n".encode()
    try:
        with open(log, "ab") as file:  # in one write: processes side by side append to it
            file.write(data)
    except OSError as error:
        reason = no_room(error, Path(log), len(data)) or f"{log}: {told(error)}"
        raise FormationError(f"{reason}; make room and run again") from None
