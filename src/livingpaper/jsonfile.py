"""JSON that other programs wrote: read within bounds, as text that can be written again."""

import json
import re
from typing import Any

_HALF = re.compile(r"[\ud800-\udfff]")  # half a character: a string that no file can hold


def parse_json(text: str | bytes) -> Any:
    """The data of a JSON text; anything else, nesting without end included, is a `ValueError`.

    Half a character, which JSON can escape and UTF-8 has no bytes for, becomes the sign of a character that is none.
    """
    try:
        data = json.loads(text)
        return _whole(data) if _escapes(text) else data
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _escapes(text: str | bytes) -> bool:
    return (b"\\ud" in text or b"\\uD" in text) if isinstance(text, bytes) else ("\\ud" in text or "\\uD" in text)


def _whole(data: Any) -> Any:
    if isinstance(data, str):
        return _HALF.sub("\ufffd", data)
    if isinstance(data, list):
        return [_whole(value) for value in data]
    if isinstance(data, dict):
        return {_whole(key): _whole(value) for key, value in data.items()}
    return data
