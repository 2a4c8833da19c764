"""YAML of both halves: plain data of bounded size, said in one line; a reader in C is never led to overflow."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import formation.errors
import formation.yamlfile
from livingpaper.errors import PressError
from livingpaper.yamlfile import read_yaml

LETTERS = "abcdefghi"
BOMB = "a: &a [1, 2, 3]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise(LETTERS)
)
FAR = f"a: &a {'[' * 40}{']' * 40}\nb: {'[' * 30}*a{']' * 30}"
REFUSED = {
    "endless nesting": ("[" * 100_000, "line 1: nested more than 50 levels deep"),
    "nested blocks": ("\n".join(" " * depth + "a:" for depth in range(80)), "nested more than 50 levels deep"),
    "nested by aliases": (FAR, "line 2: nested more than 50 levels deep"),
    "a bomb of aliases": (BOMB, "line 6: more than 100000 values, those that aliases repeat included"),
    "an alias of itself": ("a: &a [*a]", "line 1: alias 'a' stands within what it repeats"),
    "an alias of itself by an old name": ("a: &a 1\nb: &a [*a]", "line 2: alias 'a' stands within what it repeats"),
    "a key twice": ("a: 1\nb: {c: 1, c: 2}", "line 2: key 'c' is written twice"),
    "a number as key": ("a: {1: 2}", "line 1: key 1: expected a mapping with texts as keys; put it in quotes"),
    "a word that is no text": ("a: {no: 2}", "line 1: key no: expected a mapping with texts as keys"),
    "a list as key": ("? [a]\n: 2", "line 1: key that is no word: expected a mapping"),
    "a set": ("a: !!set {x, y}", "line 1: tag .*set': expected plain YAML, without tags"),
    "an object": ("a: !!python/object/apply:os.system [x]", "line 1: tag .*expected plain YAML, without tags"),
    "a control character": ('a: "\\e[2J"', r"line 1: control character .* in a text; leave it out"),
    "half a character": ('a: "\\ud800"', "line 1"),
    "two documents": ("a: 1\n---\nb: 2", "expected a single document"),
    "a day that is none": ("a: 2001-99-99", "month must be in 1..12"),
    "a number without end": ("a: " + "9" * 5000, "limit"),
    "too much of it": ("a: " + "x" * 1_000_001, "larger than 1 MB"),
    "no text": (b"a: \xff", "cannot be read"),
}
ACCEPTED = {
    "": None,
    "a: &x {b: 1}\nc: {<<: *x, d: 2}": {"a": {"b": 1}, "c": {"b": 1, "d": 2}},
    "\ufeffa: 1\r\nb: [1, x]\r\n": {"a": 1, "b": [1, "x"]},
    "a: &x [1]\nb: *x\nc: *x": {"a": [1], "b": [1], "c": [1]},
    "a: !!str 1": {"a": "1"},
    "a: " + "[" * 48 + "]" * 48: None,
}


def press(path: Path) -> Any:
    """As the press reads it."""
    return read_yaml(path, path.name, PressError).data


def laboratory(path: Path) -> Any:
    """As the laboratory reads it."""
    return formation.yamlfile.read_yaml(path)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize(("read", "error"), [(press, PressError), (laboratory, formation.errors.ParamsError)])
def test_what_is_not_plain_is_refused_by_name(tmp_path: Path, read: Any, error: type[Exception], name: str) -> None:
    content, message = REFUSED[name]
    path = tmp_path / "file.yml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error, match=message) as caught:
        read(path)
    said = str(caught.value)
    assert "file.yml" in said
    assert "\n" not in said
    assert len(said) < 600


@pytest.mark.parametrize("text", ACCEPTED)
def test_plain_yaml_is_read_alike_by_both_halves(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.yml"
    path.write_text(text, newline="")
    assert (press(path) or {}) == laboratory(path)
    assert ACCEPTED[text] is None or press(path) == ACCEPTED[text]


@pytest.mark.parametrize(("read", "error"), [(press, PressError), (laboratory, formation.errors.ParamsError)])
def test_a_folder_is_no_file(tmp_path: Path, read: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="expected a file, found something else"):
        read(tmp_path)


@pytest.mark.parametrize("error", [PressError, formation.errors.FormationError])
def test_a_message_is_one_line_that_any_terminal_can_show(error: type[Exception]) -> None:
    said = str(error("a\nb \x1b[2J\u202e \ud800 é漢"))
    assert said == "a\\nb \\x1b[2J\\u202e \\ud800 é漢"
