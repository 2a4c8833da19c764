"""Outputs of a chapter that a publication may lack: what is there is shown, and of the rest the page says so."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from formation.features.record import NotPublished
from formation.figures import style, tables
from formation.figures.style import Shown
from formation.figures.tables import MarkdownText


def figure(make: Callable[[], Figure]) -> Shown:
    """The figure, or in its place a note."""
    try:
        return Shown(make())
    except NotPublished as absent:
        return Shown(style.note(_said(absent)))


def table(make: Callable[[], Sequence[Mapping[str, Any]]], columns: Mapping[str, str]) -> MarkdownText:
    """The rows as a table, or in their place one that says why there are none."""
    try:
        return tables.table(make(), columns)
    except NotPublished as absent:
        first = next(iter(columns.values())).partition("|")[0]
        return tables.table([{first: _said(absent)}], {name: spec.partition("|")[0] for name, spec in columns.items()})


def sentence(make: Callable[[], str]) -> MarkdownText:
    """The sentence, or in its place why there is none."""
    try:
        return tables.sentence(make())
    except NotPublished as absent:
        return tables.sentence(f"*{_said(absent)}*")


def _said(absent: NotPublished) -> str:
    """Without the command: a page of a publication is read where the run is not."""
    return str(absent).partition("; run:")[0]
