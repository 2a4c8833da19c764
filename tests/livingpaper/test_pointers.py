"""Pointers name one place in one folder, and nothing outside it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livingpaper.errors import PointerError
from livingpaper.files import inside
from livingpaper.pointers import follow, parse_pointer, read_artifact


@pytest.mark.parametrize(
    ("text", "file", "keys", "study"),
    [
        ("a.json#/b/c", "a.json", ("b", "c"), False),
        ("x/y/a.jsonl#/0/b", "x/y/a.jsonl", ("0", "b"), False),
        ("study:a.json#/a~1b/c~0d", "a.json", ("a/b", "c~d"), True),
        ("a.json#", "a.json", (), False),
        ("a.json#/", "a.json", ("",), False),
    ],
)
def test_parsing(text: str, file: str, keys: tuple[str, ...], study: bool) -> None:
    pointer = parse_pointer(text)
    assert (pointer.file, pointer.keys, pointer.study) == (file, keys, study)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.json",
        "#/a",
        "a.txt#/a",
        "a.json#a",
        "../a.json#/a",
        "/a.json#/a",
        "a/../../b.json#/x",
        "a\\b.json#/a",
        "a\0.json#/a",
    ],
)
def test_what_is_no_pointer_is_refused(text: str) -> None:
    with pytest.raises(PointerError):
        parse_pointer(text)


@given(st.text())
def test_no_path_leaves_its_folder(text: str) -> None:
    folder = Path("somewhere").resolve()
    try:
        path = inside(folder, text)
    except PointerError:
        return
    assert path.resolve().is_relative_to(folder)
    assert path != folder


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "tiny-s1"
    run.mkdir(parents=True)
    (tmp_path / "secret.json").write_text("{}")
    (run / "a.json").symlink_to(tmp_path / "secret.json")
    (run / "b").symlink_to(tmp_path)
    for name in ("a.json#", "b/secret.json#"):
        with pytest.raises(PointerError, match="leads out of tiny-s1/ through a link"):
            parse_pointer(name).path(lambda _: tmp_path, "tiny-s1", "tiny")


def test_following() -> None:
    data = {"a": [{"b/c": 1}], "": 2}
    assert follow(data, parse_pointer("x.json#/a/0/b~1c"), "x.json") == 1
    assert follow(data, parse_pointer("x.json#/"), "x.json") == 2
    assert follow(data, parse_pointer("x.json#"), "x.json") is data


@pytest.mark.parametrize(
    ("pointer", "message"),
    [
        ("x.json#/acuracy", r"x.json#/: no entry 'acuracy'; there are: accuracy, rows; did you mean 'accuracy'\?"),
        ("x.json#/rows/2", r"x.json#/rows: no entry '2'; there are: 0 to 1"),
        ("x.json#/rows/-1", "no entry '-1'"),
        ("x.json#/accuracy/value", "x.json#/accuracy: no entry 'value'"),
    ],
)
def test_a_missing_entry_is_answered_with_the_nearest(pointer: str, message: str) -> None:
    with pytest.raises(PointerError, match=message):
        follow({"accuracy": 1, "rows": [1, 2]}, parse_pointer(pointer), "x.json")


def test_artifacts_are_read_as_json_or_rows(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}')
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    (tmp_path / "bad.json").write_text("{")
    assert read_artifact(tmp_path / "a.json", "a.json") == {"a": 1}
    assert read_artifact(tmp_path / "a.jsonl", "a.jsonl") == [{"a": 1}, {"a": 2}]
    with pytest.raises(PointerError, match=r"bad.json: not readable JSON"):
        read_artifact(tmp_path / "bad.json", "bad.json")
    with pytest.raises(PointerError, match=r"none.json: not found"):
        read_artifact(tmp_path / "none.json", "none.json")
