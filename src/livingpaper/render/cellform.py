"""Whether what a notebook's JSON calls a cell has the form of one, so that nothing after has to ask."""

from collections.abc import Mapping
from typing import Any


def sound(cell: Any) -> bool:
    """Whether text, metadata and outputs of a cell are what they must be."""
    if not isinstance(cell, dict) or not _is_text(cell.get("source")):
        return False
    metadata, outputs = cell.get("metadata", {}), cell.get("outputs", [])
    if not isinstance(metadata, dict) or not isinstance(metadata.get("tags", []), list):
        return False
    return isinstance(outputs, list) and all(isinstance(one, dict) and _sound_output(one) for one in outputs)


def _sound_output(output: Mapping[str, Any]) -> bool:
    data = output.get("data", {})
    if not isinstance(data, dict):
        return False
    texts = [output.get("text"), output.get("traceback")]
    texts += [value for kind, value in data.items() if not kind.endswith("json")]
    return all(map(_is_text, texts))


def _is_text(part: Any) -> bool:
    return part is None or isinstance(part, str) or (isinstance(part, list) and all(isinstance(x, str) for x in part))
