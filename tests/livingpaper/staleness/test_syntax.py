"""Only what Python would do differently counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livingpaper.staleness.syntax import read_code, without_magics

CODE = '''
"""Module."""
import os

class A:
    """Class."""

    def f(self, x: int) -> int:
        """Function."""
        return x + 1  # one more


def only_a_docstring():
    """Nothing else."""
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Module."""', '"""Another word."""'),
        ('"""Module."""\n', ""),
        ('"""Class."""', "'''Other quotes.'''"),
        ("  # one more", ""),
        ("x + 1", "(x  +  1)"),
        ('"""Nothing else."""', '"""Something else."""'),
    ],
)
def test_words_and_layout_do_not_count(old: str, new: str) -> None:
    assert old in CODE
    assert read_code(CODE.replace(old, new))["digest"] == read_code(CODE)["digest"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x + 1", "x + 2"),
        ("x: int", "x: float"),
        ("class A", "class B"),
        ("import os", "import os as o"),
        ("x + 1", "x - 1"),
    ],
)
def test_code_counts(old: str, new: str) -> None:
    assert old in CODE
    assert read_code(CODE.replace(old, new))["digest"] != read_code(CODE)["digest"]


def test_a_string_that_is_no_docstring_counts() -> None:
    assert read_code('x = "a"')["digest"] != read_code('x = "b"')["digest"]
    assert read_code('def f():\n    return "a"')["digest"] != read_code('def f():\n    return "b"')["digest"]


def test_imports_are_found_wherever_they_stand() -> None:
    found = read_code(
        "import a.b as c, d\nfrom . import e\nfrom ..f import g as h, i\nfrom j import *\n"
        "def lazy():\n    if True:\n        from k import l\n    import importlib\n    importlib.import_module('m.n')\n"
        "try:\n    import o\nexcept ImportError:\n    o = None\n"
    )["imports"]
    assert found == [
        [0, "a.b", ""],
        [0, "d", ""],
        [1, "", "e"],
        [2, "f", "g"],
        [2, "f", "i"],
        [0, "j", "*"],
        [0, "k", "l"],
        [0, "importlib", ""],
        [0, "m.n", ""],
        [0, "o", ""],
    ]


def test_imports_for_type_checkers_only_are_left_out() -> None:
    code = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\nelse:\n    import b\n"
    assert read_code(code)["imports"] == [[0, "typing", "TYPE_CHECKING"], [0, "b", ""]]


@given(st.text())
def test_any_text_has_a_digest_and_what_does_not_parse_counts_by_its_text(text: str) -> None:
    reading = read_code(text)
    if reading["digest"].startswith("text:"):
        assert read_code(text + "\n#")["digest"] != reading["digest"]


def test_magics_of_a_notebook_are_no_syntax_errors() -> None:
    assert read_code(without_magics("%matplotlib inline\n!ls\nimport a"))["imports"] == [[0, "a", ""]]


def test_source_is_decoded_as_python_decodes_it() -> None:
    """Two letters of an encoding that the source names are two texts; a byte order mark is none."""
    cookie = b"# -*- coding: latin-1 -*-\nX = '%c'\n"
    assert read_code(cookie % 0xE9)["digest"] != read_code(cookie % 0xE8)["digest"]
    assert read_code(cookie % 0xE9)["digest"] == read_code("X = 'é'".encode())["digest"]
    assert read_code(b"\xef\xbb\xbfimport os\n") == read_code(b"import os\n")
    assert read_code(b"X = '\xe9'")["digest"] != read_code(b"X = '\xe8'")["digest"], "neither is Python"
