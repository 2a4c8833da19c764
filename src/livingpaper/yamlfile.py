"""YAML files written by people: read safely, with the line of every key, for errors that point at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from livingpaper.errors import PressError

KeyPath = tuple[int | str, ...]

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # a PyYAML built without its C library
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]


@dataclass(frozen=True)
class Document:
    """The data of a YAML file, its name for messages, and the line of each key or item by path."""

    name: str
    data: Any
    lines: Mapping[KeyPath, int]

    def place(self, path: Sequence[int | str]) -> str:
        """`file:line` of the nearest known part of `path`."""
        for length in range(len(path), 0, -1):
            line = self.lines.get(tuple(path[:length]))
            if line is not None:
                return f"{self.name}:{line}"
        return self.name


def read_yaml(path: Path, name: str, error: type[PressError]) -> Document:
    """The document in `path`, called `name` in messages; what is not safe, plain YAML is raised as `error`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(f"{name}: not found") from None
    except (OSError, UnicodeDecodeError) as cause:
        raise error(f"{name}: cannot be read: {cause}") from None
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        lines: dict[KeyPath, int] = {}
        _collect(node, (), lines, 0)
        data = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as cause:
        raise error(f"{name}: not valid YAML: {' '.join(str(cause).split())}") from None
    finally:
        loader.dispose()
    return Document(name, data, lines)


def _collect(node: yaml.Node | None, path: KeyPath, lines: dict[KeyPath, int], depth: int) -> None:
    """Note the line of every key and item; a key written twice and nesting without end are refused."""
    if depth > 50:
        raise ValueError("nested more than 50 levels deep")
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else str(key_node.start_mark.line)
            if key in seen:
                raise ValueError(f"line {key_node.start_mark.line + 1}: key {key!r} is written twice")
            seen.add(key)
            lines[(*path, key)] = key_node.start_mark.line + 1
            _collect(value_node, (*path, key), lines, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            _collect(item, (*path, index), lines, depth + 1)
