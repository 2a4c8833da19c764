"""YAML files written by people: read safely, with the line of every key, for errors that point at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from livingpaper.errors import PressError
from livingpaper.yamlbounds import BYTES, check_bounds

KeyPath = tuple[int | str, ...]
_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"

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
    text = _text(path, name, error)
    try:
        check_bounds(text, _Loader)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            lines: dict[KeyPath, int] = {}
            _collect(node, (), lines)
            data = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, TypeError) as cause:
        raise error(f"{name}: not valid YAML: {' '.join(str(cause).split())[:300]}") from None
    return Document(name, data, lines)


def _text(path: Path, name: str, error: type[PressError]) -> str:
    if path.exists() and not path.is_file():
        raise error(f"{name}: expected a file, found something else of that name")
    try:
        with path.open("rb") as file:
            data = file.read(BYTES + 1)
        if len(data) > BYTES:
            raise error(f"{name}: larger than {BYTES // 1_000_000} MB, more than people write; make it smaller")
        return data.decode("utf-8")
    except FileNotFoundError:
        raise error(f"{name}: not found") from None
    except (OSError, UnicodeDecodeError) as cause:
        raise error(f"{name}: cannot be read: {cause}") from None


def _collect(node: yaml.Node | None, path: KeyPath, lines: dict[KeyPath, int]) -> None:
    """Note the line of every key and item; a key that is no text, or is written twice, is refused."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key_node, value_node in node.value:
            line, key = key_node.start_mark.line + 1, key_node.value
            if key_node.tag not in (_TEXT, _MERGE):
                said = key if isinstance(key, str) else "that is no word"
                raise ValueError(f"line {line}: key {said}: expected a mapping with texts as keys; put it in quotes")
            if key in seen:
                raise ValueError(f"line {line}: key {key!r} is written twice")
            seen.add(key)
            lines[(*path, key)] = line
            _collect(value_node, (*path, key), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            _collect(item, (*path, index), lines)
