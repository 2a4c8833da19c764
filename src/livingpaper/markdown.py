"""Text into Markdown: whatever a run name, an artifact or an error says is shown as it is and never read as markup."""

import re
from urllib.parse import quote

_WIDEST = 60  # characters a cell is counted as, at most: a long sentence does not crowd out its neighbours
_LONGEST = 2000  # characters of a text: pandoc takes minutes to read a table's line of a hundred thousand
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~^$@\"'&=:/])")


def escape(text: str) -> str:
    """`text` on one line with every character that could be markup escaped."""
    return _SPECIAL.sub(r"\\\1", _line(text))


def code(text: str) -> str:
    """`text` as inline code."""
    plain = _line(text)
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", plain)), default=0) + 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{ticks}{pad}{plain}{pad}{ticks}"


def _line(text: str) -> str:
    """The text on one line, cut where it is longer than anybody reads."""
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]} …"


def attribute(text: str) -> str:
    """`text` as a quoted attribute value."""
    return '"' + re.sub(r"[\\\"{}]", "", " ".join(text.split())) + '"'


def link(text: str, target: str) -> str:
    """A link with Markdown `text` to a path of the project (from its root)."""
    return f"[{text}](/{quote(target)})"


def cell(text: str) -> str:
    """Markdown `text` for a cell of a pipe table."""
    return text.replace("\n", " ").replace("|", r"\|") if r"\|" not in text else text.replace("\n", " ")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A pipe table of Markdown cells; where it is too wide, columns get room by the length of their longest cell."""
    widths = [min(max(map(len, column)), _WIDEST) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * max(width, 3) for width in widths], *rows]
    return "\n".join("| " + " | ".join(cell(text) for text in line) + " |" for line in lines)
