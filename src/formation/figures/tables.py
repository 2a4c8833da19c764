"""Tables and computed sentences of a chapter as Markdown, so that site and PDF print the same one."""

from collections.abc import Mapping, Sequence
from typing import Any

_WIDEST = 40  # dashes of a column with long text, so that it does not crowd out the others


class MarkdownText:
    """A table or a sentence as a notebook output."""

    def __init__(self, text: str) -> None:
        self._text = text

    def _repr_markdown_(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._text


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], missing: str = "—") -> MarkdownText:
    """Rows as a table; `columns` maps a heading to `key` or `key|format`, e.g. `{"score": "accuracy|.3f"}`.

    Numbers are set flush right. A missing or null entry prints as `missing`.
    """
    specs = [spec.partition("|") for spec in columns.values()]
    cells = [[_cell(row.get(key), form, missing) for key, _, form in specs] for row in rows]
    right = [all(isinstance(row.get(key), int | float | None) for row in rows) for key, _, _ in specs]
    # where a table is wider than its column, pandoc shares the width out by these dashes
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    dashes = ["-" * min(max(width, 3), _WIDEST) for width in widths]
    rules = [f"{dash}:" if flush else f":{dash}" for dash, flush in zip(dashes, right, strict=True)]
    lines = [_line(columns), _line(rules), *map(_line, cells)]
    return MarkdownText("\n".join(lines) + "\n")


def sentence(text: str) -> MarkdownText:
    """A sentence with computed numbers as a notebook output."""
    return MarkdownText(text + "\n")


def interval(low: int | None, high: int | None) -> str:
    """A date's interval in steps; `?` where a bound does not exist."""
    first, last = ("?" if bound is None else str(bound) for bound in (low, high))
    return first if first == last else f"{first}–{last}"


def dated(step: float | None, low: float | None, high: float | None) -> str | None:
    """A date in whole steps with its interval, or the step alone where that is its interval; null for no date."""
    if step is None:
        return None
    at, first, last = (None if one is None else round(one) for one in (step, low, high))
    return str(at) if first == at == last else f"{at} [{interval(first, last)}]"


def _cell(value: Any, form: str, missing: str) -> str:
    if value is None:
        return missing
    text = format(value, form) if form else str(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _line(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"
