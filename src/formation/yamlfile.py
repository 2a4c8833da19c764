"""YAML files written by people, read safely: plain data, every key once, of a size that people write."""

from pathlib import Path
from typing import Any

import yaml

from formation.errors import ParamsError
from formation.yamlbounds import BYTES, check_bounds

_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key written twice, and keys that are no text."""


def _mapping_without_doubles(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        line, key = key_node.start_mark.line + 1, key_node.value
        if key_node.tag not in (_TEXT, _MERGE):
            said = key if isinstance(key, str) else "that is no word"
            raise ValueError(f"line {line}: key {said}: expected a mapping with texts as keys; put it in quotes")
        if key in seen:
            raise ValueError(f"line {line}: key {key!r} is written twice")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_doubles)


def plain_yaml(text: str) -> Any:
    """The data of a YAML text; anything but safe, plain data of bounded size is a `ValueError` or `YAMLError`."""
    check_bounds(text, yaml.SafeLoader)
    return yaml.load(text, Loader=_StrictLoader)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping, read safely; anything else is a `ParamsError` with file and line."""
    try:
        if path.exists() and not path.is_file():
            raise ParamsError(f"{path}: expected a file, found something else of that name")
        with path.open("rb") as file:
            content = file.read(BYTES + 1)
        if len(content) > BYTES:
            raise ParamsError(f"{path}: larger than {BYTES // 1_000_000} MB, more than people write; make it smaller")
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: cannot be read: {error}") from None
    try:
        data = plain_yaml(text)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise ParamsError(f"{path}: not valid YAML: {' '.join(str(error).split())[:300]}") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ParamsError(f"{path}: expected a mapping of sections, found {type(data).__name__}")
    return data
