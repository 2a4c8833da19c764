"""What a notebook's cells say, for staleness: its code, its prose, its imports."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livingpaper.errors import ProjectError
from livingpaper.files import bytes_digest, digest
from livingpaper.jsonfile import parse_json
from livingpaper.staleness.memo import Memo
from livingpaper.staleness.syntax import Reading, read_code, without_magics


@dataclass(frozen=True)
class Cells:
    """Digests of a notebook's code cells and of everything else in it, and what its code imports."""

    code: str
    prose: str
    reading: Reading


def read_cells(path: Path, name: str, memo: Memo) -> Cells:
    """The cells of a source notebook; one that is no notebook or has no `parameters` cell is refused."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProjectError(f"{name}: cannot be read: {error.strerror}") from None
    return Cells(**memo.fact(f"cells/1 {bytes_digest(data)}", lambda: _summary(data, name)))


def _summary(data: bytes, name: str) -> dict[str, Any]:
    try:
        notebook = parse_json(data)
        cells = [(cell["cell_type"], "".join(cell["source"]), dict(cell["metadata"])) for cell in notebook["cells"]]
    except (ValueError, KeyError, TypeError):
        raise ProjectError(f"{name}: not a notebook (JSON with cells of type, source and metadata)") from None
    code = [(source, metadata) for kind, source, metadata in cells if kind == "code"]
    if not any(isinstance(tags := metadata.get("tags"), list) and "parameters" in tags for _, metadata in code):
        raise ProjectError(
            f'{name}: no code cell is tagged \'parameters\'; add one with run = "…" and params = "…" as first cell'
        )
    text = "\n".join(without_magics(source) for source, _ in code)
    return {
        "code": digest([[source, metadata] for source, metadata in code]),
        "prose": digest([cells, notebook.get("metadata")]),
        "reading": read_code(text),
    }
