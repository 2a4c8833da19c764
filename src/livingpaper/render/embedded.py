"""The embedded renderer: pandoc, Typst and Pagefind from their wheels, nothing else installed.

Order: read all pages → one form for floats → numbers over the whole book → references and links → HTML → frame →
search → PDF → into place. Everything is made in a folder of its own first; what stands in the site is replaced at the
end, also when a page has an error in it (the page then says so, and `RenderError` names them all).
"""

import shutil
import sys
from pathlib import Path, PurePosixPath

from livingpaper.book import Book, read_book
from livingpaper.files import write_bytes
from livingpaper.printing import Printing
from livingpaper.render import ast, bibliography, html, links, numbering, search, site, structure
from livingpaper.render.errors import RenderError
from livingpaper.render.pages import Page, read_pages
from livingpaper.render.pandoc import Pandoc
from livingpaper.render.pdf import pdf_name, write_pdf
from livingpaper.render.publish import publish

BUILD = Path("build/print")
RUNS = "runs"  # folder of the other runs' printings in the main one


def render_embedded(root: Path, printing: Printing) -> None:
    """Print the book for one run; errors in pages are raised together after the site is in place."""
    book = read_book(root)
    pandoc = Pandoc(root, root / BUILD / "pandoc")
    keys = bibliography.known(book, pandoc)
    made = root / BUILD / printing.run / "site"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    for_pdf = _resolved(book, printing, pandoc, "typst", keys) if book.pdf else []
    for_site = _resolved(book, printing, pandoc, "html", keys)
    pdf = _pdf(book, printing, pandoc, for_pdf, made) if for_pdf else ""
    _site(book, printing, pandoc, for_site, made, pdf)
    pages = [*for_site, *for_pdf]
    _tell([*book.warnings, *(message for page in pages for message in page.warnings)])
    publish(made, root / printing.output, keep=frozenset({RUNS}) if printing.main else frozenset())
    pandoc.prune()
    errors = list(dict.fromkeys(message for page in pages for message in page.errors))
    if errors:
        raise RenderError(f"run {printing.run}: " + "; ".join(errors))


def _site(book: Book, printing: Printing, pandoc: Pandoc, pages: list[Page], made: Path, pdf: str) -> None:
    """Write the site of resolved pages into `made`; `pdf` is the PDF's name in it, or empty."""
    by_source = {page.source: page for page in pages}
    files = set(book.html.css) | set(book.resources)
    for page in pages:
        files |= links.for_site(book, page, by_source)
    cited = sorted({key for page in pages for key in bibliography.works(page.blocks)})
    bodies = [html.write_body(book, page, pandoc, _figures(book, page), cited) for page in pages]
    frame = site.Frame(book, printing, pages, bodies, pdf)
    for index, page in enumerate(pages):
        _write(made, page.url, frame.page(index).encode())
        for name, data in page.figures.items():
            _write(made, name.lstrip("/"), data)
    for name in sorted(files):
        _write(made, name, (book.root / name).read_bytes())
    for name, data in site.static_files().items():
        _write(made, name, data)
    search.index(made)


def _pdf(book: Book, printing: Printing, pandoc: Pandoc, pages: list[Page], made: Path) -> str:
    """Write the PDF into `made`; its name, or nothing where it cannot be set, which is an error of the book.

    The site does not wait for it: what stops Typst is better seen on a page.
    """
    folder, store = book.root / BUILD / printing.run / "pdf", book.root / BUILD / "typst"
    try:
        _write(made, pdf_name(book), write_pdf(book, printing, pages, pandoc, folder, store))
    except RenderError as error:
        pages[0].errors.append(str(error))
        return ""
    return pdf_name(book)


def _resolved(book: Book, printing: Printing, pandoc: Pandoc, target: str, keys: frozenset[str]) -> list[Page]:
    """The pages with floats in one form, numbers given and references turned into links of the project."""
    pages = read_pages(book, printing, pandoc, target)
    for page in pages:
        page.blocks = structure.normalise(page.blocks)
    targets = numbering.number_pages(pages)
    for page in pages:
        numbering.resolve(page, targets, lambda here, target: f"/{target.page.source}#{target.identifier}")
        bibliography.mark_unknown(page, keys)
    return pages


def _figures(book: Book, page: Page) -> dict[str, bytes]:
    """The page's images by the URL they have on it."""
    own = {links.relative(page, name.lstrip("/")): data for name, data in page.figures.items()}
    for image in ast.nodes(page.blocks, "Image"):
        url = image["c"][2][0]
        path = book.root / PurePosixPath(page.url).parent / url
        if url not in own and url and path.is_file():
            own[url] = path.read_bytes()
    return own


def _tell(warnings: list[str]) -> None:
    for message in dict.fromkeys(warnings):
        print(f"warning: {message}", file=sys.stderr)


def _write(made: Path, name: str, data: bytes) -> None:
    write_bytes(made / name, data, lasting=False)
