"""Tables: numbers flush right, gaps shown, cells never break the table."""

import re

import pypandoc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formation.figures.tables import dated, interval, table


def lines(shown: object) -> list[str]:
    return repr(shown).strip().splitlines()


def test_numbers_are_formatted_and_flush_right() -> None:
    rows = [{"a": "x", "b": 0.12345}, {"a": "y", "b": None}]
    head, rule, first, second = lines(table(rows, {"name": "a", "score": "b|.2f"}))
    assert head == "| name | score |"
    assert re.fullmatch(r"\| :-+ \| -+: \|", rule)
    assert first == "| x | 0.12 |"
    assert second == "| y | — |"


def test_no_rows_is_a_table_without_rows() -> None:
    assert len(lines(table([], {"name": "a"}))) == 2


def test_an_interval_is_one_date_where_it_has_no_width_and_says_what_is_open() -> None:
    bounds = [(100, 100), (100, 140), (100, None), (None, None)]
    assert [interval(low, high) for low, high in bounds] == ["100", "100–140", "100–?", "?"]


@settings(max_examples=8)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=12), min_size=1, max_size=4)
)
@pytest.mark.slow
def test_whatever_a_cell_holds_the_table_keeps_its_shape(cells: list[str]) -> None:
    shown = repr(table([{"a": cell, "b": 1} for cell in cells], {"name": "a", "n": "b"}))
    html = pypandoc.convert_text(shown, "html", format="markdown-raw_html-tex_math_dollars")
    assert html.count("<tr") == len(cells) + 1
    assert html.count("<td") == 2 * len(cells)


@pytest.mark.parametrize(
    ("date", "text"),
    [
        ((None, None, None), None),
        ((40, 40, 40), "40"),
        ((40, 0, 80), "40 [0–80]"),
        ((40, 40, None), "40 [40–?]"),
        ((1260.0, 1240.0, 1280.0), "1260 [1240–1280]"),
    ],
)
def test_a_date_stands_with_its_interval_unless_that_is_the_date(date: tuple, text: str | None) -> None:
    assert dated(*date) == text
