"""Tables of a chapter as Markdown, so that site and PDF print the same one."""

from collections.abc import Mapping, Sequence
from typing import Any


class MarkdownTable:
    """A pipe table as a notebook output."""

    def __init__(self, text: str) -> None:
        self._text = text

    def _repr_markdown_(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._text


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], missing: str = "—") -> MarkdownTable:
    """Rows as a table; `columns` maps a heading to `key` or `key|format`, e.g. `{"score": "accuracy|.3f"}`.

    Numbers are set flush right. A missing or null entry prints as `missing`.
    """
    specs = [spec.partition("|") for spec in columns.values()]
    cells = [[_cell(row.get(key), form, missing) for key, _, form in specs] for row in rows]
    right = [all(isinstance(row.get(key), int | float | None) for row in rows) for key, _, _ in specs]
    lines = [_line(columns), _line("---:" if r else ":---" for r in right), *map(_line, cells)]
    return MarkdownTable("\n".join(lines) + "\n")


def _cell(value: Any, form: str, missing: str) -> str:
    if value is None:
        return missing
    text = format(value, form) if form else str(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _line(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"
