"""The whole book as one PDF: Typst from its wheel, with its own fonts and a fixed time: same book, same bytes."""

import hashlib
import re
import shutil
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

import typst

from livingpaper.book import Book
from livingpaper.files import write_bytes
from livingpaper.printing import Printing
from livingpaper.render.errors import RenderError
from livingpaper.render.pages import Page
from livingpaper.render.pandoc import Pandoc
from livingpaper.render.typst import Document, write_document

STANDARD: Final = "ua-1"  # PDF/UA: tagged, described, readable aloud


def pdf_name(book: Book) -> str:
    """The PDF's file name, from `book.output-file`, else from the title."""
    if book.output_file:
        return f"{Path(book.output_file).name}.pdf"
    plain = unicodedata.normalize("NFKD", book.title).encode("ascii", "ignore").decode().lower()
    return f"{re.sub(r'[^a-z0-9]+', '-', plain).strip('-')[:60] or 'paper'}.pdf"


def write_pdf(
    book: Book, printing: Printing, pages: Sequence[Page], pandoc: Pandoc, folder: Path, store: Path
) -> bytes:
    """The PDF of resolved pages, set in `folder`; `store` keeps it under the digest of all that decided it."""
    document = write_document(book, printing, pages, pandoc)
    kept = store / f"{_digest(document)}.pdf"
    if kept.is_file():
        kept.touch()
        return kept.read_bytes()
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in {**document.files, "paper.typ": document.text.encode()}.items():
        write_bytes(folder / name, data, lasting=False)
    data = _compile(folder, _moment(book), pages[0])
    write_bytes(kept, data, lasting=False)
    return data


def _compile(folder: Path, moment: datetime, page: Page) -> bytes:
    """The document as PDF/UA, or as a plain PDF and a warning where something in it cannot be read aloud."""
    try:
        return _typst(folder, moment, STANDARD, page)
    except typst.TypstError as error:
        reason = str(error.message)
    try:
        data = _typst(folder, moment, None, page)
    except typst.TypstError as error:
        raise RenderError(f"PDF: {' '.join(str(error.message).split())} (in {folder / 'paper.typ'})") from None
    page.warnings.append(f"PDF: not PDF/UA: {' '.join(reason.split())}")
    return data


def _typst(folder: Path, moment: datetime, standard: Literal["ua-1"] | None, page: Page) -> bytes:
    data, warnings = typst.compile_with_warnings(
        str(folder / "paper.typ"), root=str(folder), ignore_system_fonts=True, timestamp=moment, pdf_standards=standard
    )
    page.warnings.extend(f"PDF: {' '.join(str(warning.message).split())}" for warning in warnings)
    return bytes(data)


def _moment(book: Book) -> datetime:
    """The time written into the PDF: the book's date, else the first moment of Unix time; never now."""
    try:
        moment = datetime.fromisoformat(book.date)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _digest(document: Document) -> str:
    total = hashlib.sha256(f"typst {version('typst')}\0".encode())
    for name, data in sorted({**document.files, "paper.typ": document.text.encode()}.items()):
        total.update(f"{name}\0{len(data)}\0".encode())
        total.update(data)
    return total.hexdigest()
