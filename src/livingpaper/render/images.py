"""The size an image means to be shown at, read from its first bytes."""

import re
import struct
from dataclasses import dataclass

_HEAD = 4096  # bytes of an SVG in which its root element ends
_ROOT = re.compile(r"<svg\b[^>]*>", re.DOTALL)
_UNITS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4}  # CSS pixels


@dataclass(frozen=True)
class Size:
    """Width and height in CSS pixels."""

    width: int
    height: int


def size(data: bytes) -> Size | None:
    """The size of an SVG or PNG, or None where the file does not say."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return Size(*struct.unpack(">II", data[16:24]))
    root = _ROOT.search(data[:_HEAD].decode("utf-8", "replace"))
    if root is None:
        return None
    width, height = _length(root[0], "width"), _length(root[0], "height")
    if width and height:
        return Size(round(width), round(height))
    box = re.search(r'viewBox\s*=\s*["\']([^"\']*)["\']', root[0])
    numbers = [float(part) for part in re.findall(r"-?\d+(?:\.\d+)?", box[1])] if box else []
    return Size(round(numbers[2]), round(numbers[3])) if len(numbers) == 4 else None


def _length(tag: str, name: str) -> float | None:
    found = re.search(rf'\b{name}\s*=\s*["\']\s*(\d+(?:\.\d+)?)\s*(px|pt|in|cm|mm)?\s*["\']', tag)
    return float(found[1]) * _UNITS[found[2] or ""] if found else None
