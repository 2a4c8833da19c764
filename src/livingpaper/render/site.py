"""Puts pages into their frame: sidebar, contents, previous and next, run switcher, footer."""

import posixpath
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import unescape
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from livingpaper.book import Book
from livingpaper.printing import Printing
from livingpaper.render.html import Body
from livingpaper.render.links import relative
from livingpaper.render.pages import ASSETS, Page

STATIC = ("paper.css", "paper.js", "theme.js", "icon.svg")
# The browser itself refuses what would leave the host. Styles may stand in the page (figures and tables have some),
# scripts may not; search compiles its engine from the site.
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'wasm-unsafe-eval'; object-src 'none'; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class Frame:
    """What all pages of a printing share."""

    book: Book
    printing: Printing
    pages: Sequence[Page]
    bodies: Sequence[Body]
    pdf: str  # name of the PDF in the printing's folder, or empty

    def page(self, index: int) -> str:
        """The whole HTML of a page."""
        page, body = self.pages[index], self.bodies[index]
        depth = self.book.html.toc_depth
        text: str = _template().render(
            book=self.book,
            policy=POLICY,
            up=_up(page),
            sheets=[relative(page, name) for name in self.book.html.css],
            title_text=_text(body.title),
            body=Markup(body.html),
            headings=[
                {"level": h.level, "identifier": h.identifier, "html": Markup(h.html)}
                for h in body.headings
                if h.level <= depth
            ],
            parts=self._parts(page),
            previous=self._neighbour(page, index - 1),
            next=self._neighbour(page, index + 1),
            run=self.printing.run,
            runs=[{"name": name, "href": self._other(page, url)} for name, url in self.printing.runs],
            pdf=relative(page, self.pdf) if self.pdf else "",
            stale=page.stale,
            failure=page.failure,
            evidence=page.evidence,
            version=project_version(self.book.root),
        )
        return text

    def _parts(self, page: Page) -> list[dict[str, Any]]:
        """The sidebar: runs of pages that stand in the same part, appendices under a name of their own."""
        items = list(zip(self.pages, self.bodies, strict=True))
        groups = groupby(items, lambda item: "Appendices" if item[0].entry.appendix else item[0].entry.part)
        return [{"name": name or "", "entries": [self._item(page, *item) for item in group]} for name, group in groups]

    def _item(self, page: Page, other: Page, body: Body) -> dict[str, Any]:
        mark = "failed" if other.failure else "stale" if other.stale else ""
        href = relative(page, other.url)
        title = Markup(body.title)
        return {"href": href, "current": other is page, "number": other.number, "title": title, "mark": mark}

    def _neighbour(self, page: Page, index: int) -> dict[str, Any] | None:
        if not 0 <= index < len(self.pages):
            return None
        return self._item(page, self.pages[index], self.bodies[index])

    def _other(self, page: Page, url: str) -> str:
        """The same page in another printing; `url` leads from the site's root to that printing."""
        own = PurePosixPath(self.printing.output.as_posix()).relative_to(self.book.output).as_posix()
        return posixpath.relpath(
            posixpath.join("/", url, page.url), posixpath.join("/", own, posixpath.dirname(page.url))
        )


def static_files() -> dict[str, bytes]:
    """Style, scripts and icon, by their path in the site."""
    return {f"assets/{name}": (ASSETS / name).read_bytes() for name in STATIC}


@cache
def project_version(root: Path) -> str:
    """The version `pyproject.toml` gives the project, or nothing."""
    try:
        data = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(data.get("project", {}).get("version", ""))


@cache
def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(ASSETS), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template("page.html.j2")


def _up(page: Page) -> str:
    """The way from a page to its printing's folder: empty, or `../`, …"""
    return "../" * page.url.count("/")


def _text(html: str) -> str:
    return unescape(Markup(html).striptags())
