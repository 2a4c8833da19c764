"""Numbers in prose: every one comes from an artifact, by name.

Written in a page as inline code of class `value`: `` `analysis/x.json#/accuracy/value`{.value format=".3f"} ``, with
`run="quick-s2"` for another run than the printed one and `study:` before the file for an artifact of the study.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livingpaper.errors import ParamsError, PointerError, ProjectError
from livingpaper.errors import shown as shorten
from livingpaper.formats import spell
from livingpaper.jsonfile import parse_json
from livingpaper.params import split_run
from livingpaper.pointers import Pointer, follow, parse_pointer, read_artifact
from livingpaper.published.homes import Homes

# inline code ends at the next run of as many backticks, within its paragraph, whether attributes follow or not
_CODE = re.compile(
    r"(?<![`\\])(?P<ticks>`+)(?!`)(?P<text>(?:(?!(?<!`)(?P=ticks)(?!`)|\n[ \t]*\n).)+)(?<!`)(?P=ticks)(?!`)"
    r"(?:\{(?P<attributes>[^{}\n]*)\})?",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"""([A-Za-z][\w-]*)=(?:"([^"]*)"|'([^']*)'|([^\s"']+))""")
_FENCE = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,}).*?(?:^ {0,3}(?P=fence)[`~]*[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_ALLOWED = ("format", "run")


@dataclass(frozen=True)
class Inline:
    """One number in prose: where it stands, what it points to, how it is written."""

    page: str
    pointer: str
    form: str = ""
    run: str = ""  # empty: the printed run

    @property
    def key(self) -> str:
        """How fragments name it."""
        return f"{self.pointer}|{self.form}|{self.run}"


def inlines(root: Path, pages: Iterable[str]) -> list[Inline]:
    """The numbers in the prose of some pages, in order."""
    return [found for page in pages for text in prose(root / page) for found in _in_text(text, page)]


def prose(path: Path) -> Iterator[str]:
    """The Markdown of a page: the whole file, or a notebook's text cells."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".ipynb":
            yield text
            return
        cells = parse_json(text)["cells"]
        texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    except UnicodeDecodeError as error:
        raise ProjectError(f"{path.name}: cannot be read: {error}") from None
    except (ValueError, KeyError, TypeError):
        raise ProjectError(f"{path.name}: not a notebook (JSON with cells of type, source and metadata)") from None
    yield from texts


def resolve(homes: Homes, preset: str, run: str, inline: Inline) -> str:
    """The text of a number in the printing of `run`; what cannot be printed is an error naming page and artifact."""
    project = homes.project
    try:
        pointer = parse_pointer(inline.pointer)
        if inline.run:
            preset, _ = split_run(project.root, inline.run)
        path = pointer.path(homes.root, inline.run or run, preset)
        shown = project.relative(path)
        return spoken(read_artifact(path, shown), pointer, shown, inline.form)
    except (PointerError, ParamsError) as error:
        raise PointerError(f"{inline.page}: value {inline.pointer!r}: {error}") from None


def spoken(data: Any, pointer: Pointer, shown: str, form: str) -> str:
    """What a pointer leads to as text; `null` beside a `reason` is spoken as the reason."""
    value = follow(data, pointer, shown)
    where = f"{shown}#/{'/'.join(pointer.keys)}"
    if value is None:
        parent = follow(data, Pointer(pointer.text, pointer.file, pointer.keys[:-1]), shown) if pointer.keys else None
        reason = parent.get("reason") if isinstance(parent, dict) else None
        if isinstance(reason, str) and reason.strip():
            return reason.strip()
        raise PointerError(f"{where} is null and has no 'reason' beside it")
    if isinstance(value, float) and not math.isfinite(value):
        raise PointerError(f"{where} = {value}: not a finite number")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise PointerError(f"{where}: expected a number or a text, found {type(value).__name__}")
    try:
        return spell(value, form)
    except ValueError as error:
        raise PointerError(f"{where} = {shorten(value)}: format {shorten(form)} does not fit: {error}") from None


def _in_text(text: str, page: str) -> Iterator[Inline]:
    for match in _CODE.finditer(_FENCE.sub("", text)):
        words = match["attributes"] or ""
        if ".value" not in _ATTRIBUTE.sub("", words).split():
            continue
        given = {name: double or single or bare for name, double, single, bare in _ATTRIBUTE.findall(words)}
        pointer = " ".join(match["text"].split())
        unknown = [name for name in given if name not in _ALLOWED]
        if unknown:
            raise PointerError(f"{page}: value {pointer!r}: unknown attribute {unknown[0]!r}; allowed: format, run")
        yield Inline(page, pointer, given.get("format", ""), given.get("run", ""))
