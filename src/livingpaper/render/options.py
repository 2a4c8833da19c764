"""The `#|` options at the top of a code cell."""

from dataclasses import dataclass, field
from typing import Any

import yaml

from livingpaper.render.errors import RenderError

_TEXT = {"label", "fig-cap", "fig-alt", "tbl-cap", "code-summary", "column"}
_FLAG = {"echo", "include", "output", "warning", "eval", "error"}
KNOWN = _TEXT | _FLAG | {"code-fold"}


@dataclass(frozen=True)
class CellOptions:
    """What a cell says about itself, and the code without it."""

    code: str
    values: dict[str, Any] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    def text(self, name: str) -> str:
        """The option as text, empty if absent."""
        return str(self.values.get(name, ""))

    def flag(self, name: str, default: bool) -> bool:
        """The option as a switch; text such as `fenced` counts as true, `false` as false."""
        value = self.values.get(name, default)
        return value if isinstance(value, bool) else str(value).lower() not in ("false", "no", "")


def cell_options(source: str, where: str) -> CellOptions:
    """The options and the remaining code of a cell; `where` names it in errors."""
    lines = source.splitlines()
    count = next((i for i, line in enumerate(lines) if not line.startswith("#|")), len(lines))
    code = "\n".join(lines[count:]).strip("\n")
    if not count:
        return CellOptions(code)
    header = "\n".join(line[2:].removeprefix(" ") for line in lines[:count])
    try:
        values = yaml.safe_load(header)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise RenderError(f"{where}: its #| lines are not valid YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return CellOptions(code)
    if not isinstance(values, dict):
        raise RenderError(f"{where}: its #| lines are {values!r}, expected `#| key: value`")
    for key in _TEXT & values.keys():
        if not isinstance(values[key], str):
            raise RenderError(f"{where}: #| {key} is {values[key]!r}, expected text; put it in quotes")
    values = {key: _whole(value) if isinstance(value, str) else value for key, value in values.items()}
    unknown = tuple(sorted(str(key) for key in values if key not in KNOWN))
    return CellOptions(code, {str(key): value for key, value in values.items()}, unknown)


def _whole(text: str) -> str:
    """The text with halves of characters put together, as YAML's escapes may write them, and lone ones replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
