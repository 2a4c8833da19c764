"""Reads `_quarto.yml`, the only description of the book.

Covers what a book of this press uses. Whatever else stands in the file is named in `Book.warnings`, never ignored in
silence: Quarto would understand it, the embedded renderer does not.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from livingpaper.booksection import (
    FILE,
    QUARTO_BOOK,
    QUARTO_EXECUTE,
    QUARTO_HTML,
    QUARTO_PROJECT,
    QUARTO_TOP,
    QUARTO_TYPST,
    BookError,
    Section,
)
from livingpaper.errors import PointerError, shown
from livingpaper.files import inside
from livingpaper.yamlfile import read_yaml

_FOLDS = ("true", "show", "false")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_URL = re.compile(r"(https?://[^\s\"<>]+)?")
_NO_URL = re.compile(r"[#?%&\"'<>`|]")
_WORKED_IN = ("artifacts", "build", "results", "paper", "params", "src")  # what a printing must not sweep
_PAPERS = ("a4", "a5", "a3", "us-letter", "us-legal")  # of those that Typst knows


@dataclass(frozen=True)
class Entry:
    """A page of the book: its source, the part it stands in, and whether it is an appendix."""

    source: str
    part: str | None = None
    appendix: bool = False


@dataclass(frozen=True)
class HtmlFormat:
    """What `format: html` says."""

    code_fold: str = "false"  # true: closed, show: open, false: not folded
    code_summary: str = "Code"
    echo: bool = True
    toc_depth: int = 3
    css: tuple[str, ...] = ()


@dataclass(frozen=True)
class PdfFormat:
    """What `format: typst` says."""

    echo: bool = True
    toc_depth: int = 2
    paper: str = "a4"
    font_size: str = "10.5pt"


@dataclass(frozen=True)
class Book:
    """A book: what it is called, its pages in order, and how it is printed."""

    root: Path
    title: str
    entries: tuple[Entry, ...]
    subtitle: str = ""
    author: str = ""
    date: str = ""
    description: str = ""
    language: str = "en"
    output: str = "_site"
    output_file: str = ""
    footer: str = ""
    repository: str = ""
    site_url: str = ""
    bibliography: tuple[str, ...] = ()
    csl: str = ""
    filters: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    html: HtmlFormat = field(default_factory=HtmlFormat)
    pdf: PdfFormat | None = None
    warnings: tuple[str, ...] = ()

    @property
    def notebooks(self) -> tuple[str, ...]:
        """Sources of the chapters that are notebooks, in order."""
        return tuple(entry.source for entry in self.entries if entry.source.endswith(".ipynb"))


def read_book(root: Path, profile: str = "") -> Book:
    """The book `_quarto.yml` in `root` describes, with `_quarto-<profile>.yml` laid over it where that exists."""
    data = _read(root / FILE)
    overlay = root / f"_quarto-{profile}.yml"
    if profile and PurePosixPath(profile).name == profile and overlay.is_file():
        data = merge(data, _read(overlay))
    top = Section(data, "")
    project, book, formats = top.section("project"), top.section("book"), top.section("format")
    if (kind := project.text("type", "book")) != "book":
        raise BookError(f"{FILE}: project.type is {kind!r}, expected 'book'")
    project.skip(*QUARTO_PROJECT)
    execute = top.section("execute")
    execute.skip(*QUARTO_EXECUTE)
    echo = execute.flag("echo", True)
    top.skip(*QUARTO_TOP)
    out = Book(
        root=root,
        title=book.required("title"),
        entries=tuple(_entries(book, root)),
        subtitle=book.text("subtitle"),
        author=book.text("author"),
        date=book.text("date"),
        description=book.text("description"),
        language=_fitting(top, "lang", "en", _LANGUAGE, "a language such as en or en-GB"),
        output=_output(root, project.text("output-dir", "_book")),
        output_file=book.text("output-file"),
        footer=_footer(book),
        repository=_fitting(book, "repo-url", "", _URL, "a URL with https:// or http://"),
        site_url=_fitting(book, "site-url", "", _URL, "a URL with https:// or http://"),
        bibliography=_files(top, "bibliography", root, (".bib", ".json")),
        csl=next(iter(_files(top, "csl", root)), ""),
        filters=_filters(top, root),
        resources=_files(project, "resources", root),
        html=_html(formats, echo, root),
        pdf=_pdf(formats, echo),
    )
    book.skip(*QUARTO_BOOK)
    _check_output(out)
    warnings = [f"{FILE}: {name[:200]} is not covered by the embedded renderer" for name in top.left_over()]
    return replace(out, warnings=tuple(warnings))


def merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with a profile laid over it: mappings merge, lists are joined (as in Quarto), the rest is replaced."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping):
            out[key] = merge(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            out[key] = [*old, *(item for item in value if item not in old)]
        else:
            out[key] = value
    return out


def _read(path: Path) -> dict[str, Any]:
    data = read_yaml(path, path.name, BookError).data
    if data is not None and not isinstance(data, dict):
        raise BookError(f"{path.name}: expected a mapping of keys, found {type(data).__name__}")
    return data or {}


def _entries(book: Section, root: Path) -> Iterator[Entry]:
    seen: set[str] = set()
    for key, appendix in (("chapters", False), ("appendices", True)):
        for item, part in _flat(book.get(key, []), book.named(key)):
            source = _file(root, item, f"{FILE}: {book.named(key)}")
            if not source.endswith((".qmd", ".md", ".ipynb")):
                raise BookError(f"{FILE}: {book.named(key)}: {source} is not a .qmd, .md or .ipynb file")
            if _NO_URL.search(source):
                raise BookError(f"{FILE}: {book.named(key)}: {source!r} has a sign that no URL can hold; rename it")
            if source in seen:
                raise BookError(f"{FILE}: {book.named(key)}: {source} is listed twice")
            seen.add(source)
            yield Entry(source, part, appendix)
    if "index.qmd" not in seen:
        raise BookError(f"{FILE}: book.chapters has no index.qmd, expected it as the first chapter (the home page)")


def _flat(items: Any, name: str) -> Iterator[tuple[str, str | None]]:
    """Files and the part each stands in."""
    if not isinstance(items, list):
        raise BookError(f"{FILE}: {name} is {shown(items)}, expected a list of files")
    for item in items:
        if isinstance(item, str):
            yield item, None
        elif isinstance(item, dict) and isinstance(item.get("part"), str) and set(item) <= {"part", "chapters"}:
            yield from (
                (file, item["part"]) for file, _ in _flat(item.get("chapters") or [], f"{name}: {item['part']}")
            )
        else:
            raise BookError(f"{FILE}: {name} has {shown(item)}, expected a file or a part with chapters")


def _inside(root: Path, name: str, where: str) -> str:
    """A path relative to the project that stays inside it."""
    try:
        inside(root, name)
    except PointerError:
        raise BookError(f"{where} is {shown(name)}, expected a path inside the project") from None
    return str(PurePosixPath(name))


def _fitting(section: Section, key: str, default: str, form: re.Pattern[str], expected: str) -> str:
    value = section.text(key, default)
    if not form.fullmatch(value):
        raise BookError(f"{FILE}: {section.named(key)} is {shown(value)}, expected {expected}")
    return value


def _output(root: Path, name: str) -> str:
    """The folder a printing fills: whatever else is in it is removed, so it is one of its own."""
    where = f"{FILE}: project.output-dir"
    inside = _inside(root, name, where)
    if inside.startswith(".") or PurePosixPath(inside).parts[0] in _WORKED_IN:
        raise BookError(f"{where} is {name!r}, expected a folder of its own, such as _site")
    return inside


def _check_output(book: Book) -> None:
    """Refuse to print over what is printed: whatever the site's folder holds beside the site is removed."""
    sources = [entry.source for entry in book.entries]
    sources += [*book.bibliography, *book.filters, *book.resources, *book.html.css, *([book.csl] if book.csl else [])]
    own = next((name for name in sources if PurePosixPath(name).is_relative_to(book.output)), None)
    if own is not None:
        raise BookError(f"{FILE}: project.output-dir is {book.output!r}, where {own} lies; give it a folder of its own")


def _file(root: Path, name: str, where: str) -> str:
    inside = _inside(root, name, where)
    if not (root / inside).is_file():
        raise BookError(f"{where}: {name} does not exist")
    return inside


def _files(section: Section, key: str, root: Path, kinds: tuple[str, ...] = ("",)) -> tuple[str, ...]:
    value = section.get(key, [])
    names: Sequence[Any] = value if isinstance(value, list) else [value]
    for name in names:
        if not str(name).endswith(kinds):
            raise BookError(f"{FILE}: {section.named(key)}: {shown(name)} is not one of: {', '.join(kinds)}")
    return tuple(_file(root, str(name), f"{FILE}: {section.named(key)}") for name in names)


def _filters(top: Section, root: Path) -> tuple[str, ...]:
    """Lua filters that run before everything else, the only kind the embedded renderer has a place for."""
    found = []
    items = top.get("filters", [])
    if not isinstance(items, list):
        raise BookError(f"{FILE}: filters is {shown(items)}, expected a list of {{at: pre-ast, path: <file>.lua}}")
    for item in items:
        entry = {"path": item, "at": "pre-quarto"} if isinstance(item, str) else item
        if not isinstance(entry, dict) or entry.get("at") != "pre-ast" or not str(entry.get("path")).endswith(".lua"):
            raise BookError(f"{FILE}: filters has {shown(item)}, expected {{at: pre-ast, path: <file>.lua}}")
        found.append(_file(root, str(entry["path"]), f"{FILE}: filters"))
    return tuple(found)


def _footer(book: Section) -> str:
    value = book.get("page-footer", "")
    if isinstance(value, dict):
        section = book.section("page-footer")
        return " ".join(filter(None, (section.text(side) for side in ("left", "center", "right"))))
    return book.text("page-footer")


def _html(formats: Section, echo: bool, root: Path) -> HtmlFormat:
    section = formats.section("html") if isinstance(formats.get("html", {}), dict) else Section({}, "format.html")
    section.skip(*QUARTO_HTML)
    return HtmlFormat(
        code_fold=section.choice("code-fold", _FOLDS, "false"),
        code_summary=section.text("code-summary", "Code"),
        echo=section.flag("echo", echo),
        toc_depth=section.number("toc-depth", 3),
        css=_files(section, "css", root),
    )


def _pdf(formats: Section, echo: bool) -> PdfFormat | None:
    value = formats.get("typst")
    if value is None:
        return None
    section = formats.section("typst") if isinstance(value, dict) else Section({}, "format.typst")
    section.skip(*QUARTO_TYPST)
    return PdfFormat(
        echo=section.flag("echo", echo),
        toc_depth=section.number("toc-depth", 2),
        paper=section.choice("papersize", _PAPERS, "a4"),
        font_size=section.length("fontsize", "10.5pt"),
    )
