"""Where links and images lead: to another page, to a file that goes into the site, or out of it."""

import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from livingpaper.book import Book
from livingpaper.errors import PointerError
from livingpaper.files import inside
from livingpaper.render import ast
from livingpaper.render.ast import Attr, Node
from livingpaper.render.pages import Page

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_SAFE_SCHEMES = ("http:", "https:", "mailto:", "doi:")
_LARGEST = 20_000_000  # bytes of a linked file that is copied into the site


@dataclass(frozen=True)
class Place:
    """What a link names: a page of the book, a file of the project, or neither (`outside`, kept as it stands)."""

    page: Page | None = None
    file: str = ""  # relative to the project, and to the site
    fragment: str = ""
    outside: str = ""


def place(book: Book, page: Page, target: str, pages: Mapping[str, Page]) -> Place:
    """What `target` on `page` names; an unusable one is an error of the page.

    A path is read relative to the page's source, one with a leading `/` relative to the project, as in Quarto.
    """
    scheme = _SCHEME.match(target)
    if scheme or target.startswith("//"):
        if scheme is None or scheme[0].lower() not in _SAFE_SCHEMES:
            page.errors.append(f"{page.source}: link {target[:80]!r} has no scheme of {', '.join(_SAFE_SCHEMES)}")
            return Place(outside="#")
        return Place(outside=target)
    path, _, fragment = target.partition("#")
    if not path:
        return Place(page=page, fragment=fragment)
    start = "" if path.startswith("/") else str(PurePosixPath(page.source).parent)
    name = posixpath.normpath(posixpath.join(start, unquote(path).lstrip("/")))
    if name in pages:
        return Place(page=pages[name], fragment=fragment)
    return Place(file=name, fragment=fragment) if _is_there(book, page, name, target) else Place(outside="#")


def _is_there(book: Book, page: Page, name: str, target: str) -> bool:
    if f"/{name}" in page.figures:
        return True
    try:
        path = inside(book.root, name)
    except PointerError as error:
        page.errors.append(f"{page.source}: link {target[:80]!r}: {error}")
        return False
    if not path.is_file():
        page.errors.append(f"{page.source}: link {target[:80]!r}: no such file or page in the project")
        return False
    if path.stat().st_size > _LARGEST:
        page.warnings.append(
            f"{page.source}: link {target[:80]!r}: over {_LARGEST // 1_000_000} MB, not put into the site"
        )
        return False
    return True


def identifiers(page: Page) -> set[str]:
    """What a link can point at in the PDF: headings, floats, equations and marked passages of a page."""
    found = ast.nodes(page.blocks, "Header", "Div", "Span")
    return {page.attr.id} | {(node["c"][1] if node["t"] == "Header" else node["c"][0])[0] for node in found} - {""}


def relative(page: Page, name: str) -> str:
    """The URL of a file of the site as seen from a page."""
    return os.path.relpath(name, PurePosixPath(page.url).parent)


def for_site(book: Book, page: Page, pages: Mapping[str, Page]) -> set[str]:
    """Point the page's links and images at the site; the project's files it needs there."""
    needed: set[str] = set()

    def change(node: Node) -> Node | None:
        if node["t"] not in ("Link", "Image"):
            return None
        triple, content, (target, title) = node["c"]
        found = place(book, page, target, pages)
        url = found.outside
        attr = Attr.of(triple)
        if found.page is not None:
            url = (relative(page, found.page.url) if found.page is not page else "") + _hash(found)
        elif found.file:
            if f"/{found.file}" not in page.figures:
                needed.add(found.file)
            url = relative(page, found.file) + _hash(found)
            if node["t"] == "Link" and not found.file.endswith((".html", ".svg", ".png", ".pdf")):
                attr.classes.append("file")
        elif node["t"] == "Image":
            page.errors.append(f"{page.source}: image {target[:80]!r} lies on another host; put it into the project")
            url = ""
        elif url.startswith("http"):
            attr.pairs["rel"] = "noopener"
        return {"t": node["t"], "c": [attr.triple(), content, [url, title]]}

    page.blocks = ast.rewrite(page.blocks, change)
    return needed


def _hash(found: Place) -> str:
    return f"#{found.fragment}" if found.fragment else ""
