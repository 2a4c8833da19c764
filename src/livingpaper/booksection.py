"""A mapping of `_quarto.yml`, read key by key, that knows which of its keys nobody understood."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from livingpaper.errors import PressError, shown

FILE = "_quarto.yml"

# Keys that are understood and concern Quarto alone: its engine, and the look of its own pages. The embedded site
# and PDF have one look, with a contents list, search, numbers and downloads always.
QUARTO_TOP = ("ipynb-filters", "number-sections", "link-citations", "profile", "metadata-files")
QUARTO_PROJECT = ("pre-render", "post-render", "execute-dir", "render", "lib-dir", "preview")
QUARTO_EXECUTE = ("enabled", "freeze", "cache", "daemon")
QUARTO_BOOK = (
    *("search", "sidebar", "downloads", "page-navigation"),
    *("reader-mode", "favicon", "open-graph", "repo-actions"),
)
QUARTO_HTML = (
    *("theme", "toc", "toc-title", "toc-location", "number-sections", "html-math-method", "grid", "lightbox", "axe"),
    *("code-copy", "code-overflow", "code-tools", "highlight-style", "syntax-highlighting", "anchor-sections"),
    *("smooth-scroll", "link-external-newwindow", "link-external-icon", "citations-hover", "footnotes-hover"),
    *("crossrefs-hover", "mainfont", "monofont", "fontsize", "linestretch", "respect-user-color-scheme"),
    *("canonical-url", "embed-resources"),
)
QUARTO_TYPST = (
    *("toc", "number-sections", "section-numbering", "keep-typ", "mainfont", "mathfont", "codefont", "margin", "brand"),
    *("pdf-standard", "output-file", "include-in-header", "template-partials", "syntax-highlighting"),
    "highlight-style",
)


class BookError(PressError):
    """`_quarto.yml` does not describe a book this press can print."""


class Section:
    """A mapping of `_quarto.yml` that remembers which of its keys were asked for."""

    def __init__(self, data: Any, name: str) -> None:
        if not isinstance(data, dict):
            raise BookError(f"{FILE}: {name or 'the file'} is {shown(data)}, expected a mapping of keys")
        self._data: dict[Any, Any] = data
        self._name = name
        self._asked: set[Any] = set()
        self._inner: list[Section] = []

    def named(self, key: str) -> str:
        """The key as a message calls it: `book.title`."""
        return (f"{self._name}.{key}" if self._name else key)[:200]

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, which counts as understood from now on."""
        self._asked.add(key)
        value = self._data.get(key)
        return default if value is None else value

    def skip(self, *keys: str) -> None:
        """Count keys as understood that only concern Quarto."""
        self._asked.update(keys)

    def section(self, key: str) -> "Section":
        """The mapping under a key; empty if absent."""
        inner = Section(self.get(key, {}), self.named(key))
        self._inner.append(inner)
        return inner

    def text(self, key: str, default: str = "") -> str:
        """The text under a key; numbers and dates are taken as they print."""
        value = self.get(key, default)
        if isinstance(value, list | dict):
            raise BookError(f"{FILE}: {self.named(key)} is {shown(value)}, expected text")
        return str(value).lower() if isinstance(value, bool) else str(value)

    def required(self, key: str) -> str:
        """The text under a key that must be there."""
        value = self.text(key).strip()
        if not value:
            raise BookError(f"{FILE}: {self.named(key)} is missing, expected text")
        return value

    def choice(self, key: str, allowed: Sequence[str], default: str) -> str:
        """The text under a key, one of those allowed."""
        value = self.text(key, default)
        if value not in allowed:
            raise BookError(f"{FILE}: {self.named(key)} is {shown(value)}, expected one of: {', '.join(allowed)}")
        return value

    def length(self, key: str, default: str) -> str:
        """The length under a key, such as 10.5pt."""
        value = self.text(key, default)
        if not re.fullmatch(r"\d{1,3}(\.\d{1,3})?(pt|mm|cm|in|em)", value):
            raise BookError(f"{FILE}: {self.named(key)} is {shown(value)}, expected a length such as 10.5pt")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """The switch under a key."""
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise BookError(f"{FILE}: {self.named(key)} is {shown(value)}, expected true or false")
        return value

    def number(self, key: str, default: int) -> int:
        """The whole number under a key."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 6:
            raise BookError(f"{FILE}: {self.named(key)} is {shown(value)}, expected a number from 1 to 6")
        return value

    def left_over(self) -> Iterator[str]:
        """Names of the keys nobody asked for, in this mapping and below."""
        yield from (self.named(str(key)) for key in self._data if key not in self._asked)
        for inner in self._inner:
            yield from inner.left_over()
