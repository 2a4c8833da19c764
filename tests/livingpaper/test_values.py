"""Numbers in prose: found where they stand, resolved for the printed run, refused if they cannot be printed."""

import json
from pathlib import Path

import pytest

from livingpaper.errors import PointerError
from livingpaper.project import Project
from livingpaper.published.homes import Homes
from livingpaper.values import Inline, inlines, resolve

ARTIFACT = {
    "a": {"value": 0.12345, "n": 3, "text": "five *stars*", "flag": True, "list": [1]},
    "gone": {"value": None, "reason": "not born"},
    "bare": {"value": None},
    "nan": float("nan"),
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for folder in ("runs/tiny-s1", "runs/tiny-s2", "studies/tiny"):
        path = tmp_path / "artifacts" / folder / "x.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({**ARTIFACT, "where": folder}))
    (tmp_path / "params").mkdir()
    (tmp_path / "params/tiny.yml").write_text("seeds: [1, 2]\n")
    return Project(tmp_path)


def say(project: Project, pointer: str, form: str = "", run: str = "") -> str:
    return resolve(Homes(project), "tiny", "tiny-s1", Inline("index.qmd", pointer, form, run))


@pytest.mark.parametrize(
    ("pointer", "form", "run", "expected"),
    [
        ("x.json#/a/value", ".2f", "", "0.12"),
        ("x.json#/a/value", ".1%", "", "12.3%"),
        ("x.json#/a/value", "", "", "0.12345"),
        ("x.json#/a/n", "", "", "3"),
        ("x.json#/a/n", ",", "", "3"),
        ("x.json#/a/text", "", "", "five *stars*"),
        ("x.json#/a/list/0", "", "", "1"),
        ("x.json#/gone/value", ".2f", "", "not born"),
        ("x.json#/where", "", "", "runs/tiny-s1"),
        ("x.json#/where", "", "tiny-s2", "runs/tiny-s2"),
        ("study:x.json#/where", "", "", "studies/tiny"),
    ],
)
def test_what_is_printed(project: Project, pointer: str, form: str, run: str, expected: str) -> None:
    assert say(project, pointer, form, run) == expected


@pytest.mark.parametrize(
    ("pointer", "form", "run", "message"),
    [
        ("y.json#/a", "", "", r"index.qmd: value 'y.json#/a': artifacts/runs/tiny-s1/y.json: not found"),
        ("x.json#/a/valeu", "", "", r"artifacts/runs/tiny-s1/x.json#/a: no entry 'valeu'; .*did you mean 'value'\?"),
        ("x.json#/nan", ".2f", "", r"x.json#/nan = nan: not a finite number"),
        ("x.json#/bare/value", "", "", r"x.json#/bare/value is null and has no 'reason' beside it"),
        ("x.json#/a", "", "", "expected a number or a text, found dict"),
        ("x.json#/a/flag", "", "", "expected a number or a text, found bool"),
        ("x.json#/a/text", ".2f", "", r"= 'five \*stars\*': format '.2f' does not fit"),
        ("x.json#/a/value", "{", "", "does not fit"),
        ("x.json", "", "", "expected <file>.json#"),
        ("../tiny-s2/x.json#/a", "", "", "expected a path below"),
        ("/etc/x.json#/a", "", "", "expected a path below"),
        ("x.json#/a/n", "", "tiny-s1/../tiny-s2", "expected <preset>-s<seed>"),
        ("x.json#/a/n", "", "huge-s1", "with a preset of: tiny"),
        ("x.json#/a/n", "", "tiny-s9", r"artifacts/runs/tiny-s9/x.json: not found"),
    ],
)
def test_what_cannot_be_printed_is_named(project: Project, pointer: str, form: str, run: str, message: str) -> None:
    with pytest.raises(PointerError, match=message) as caught:
        say(project, pointer, form, run)
    assert str(caught.value).startswith("index.qmd: value ")


def test_numbers_are_found_in_prose_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "a.qmd").write_text(
        "One `a.json#/b`{.value} and `c.json#/d`{.value format=\".3f\" run='tiny-s2'}.\n"
        "No `x.json#/y` and no `x.json#/y`{.r} and no `x`{.values}.\n\n"
        "```\n`in.json#/code`{.value}\n```\n\n~~~ md\n`in.json#/code`{.value}\n~~~\n\n"
        "Last ``e.json#/f``{#id .value format=.1f}\n"
    )
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["`n.json#/o`", "{.value}"]},
        {
            "cell_type": "code",
            "metadata": {},
            "source": ["'`no.json#/no`{.value}'"],
            "outputs": [],
            "execution_count": None,
        },
    ]
    (tmp_path / "b.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    found = inlines(tmp_path, ["a.qmd", "b.ipynb"])
    assert [one.key for one in found] == ["a.json#/b||", "c.json#/d|.3f|tiny-s2", "e.json#/f|.1f|", "n.json#/o||"]
    assert [one.page for one in found] == ["a.qmd"] * 3 + ["b.ipynb"]


@pytest.mark.parametrize(
    "before", ["Plain `code` and ", "One `a` and `b`, then ", "A stray ` here.\n\n", "Not \\` code, ", "``a ` b`` and "]
)
def test_other_inline_code_before_a_number_does_not_hide_it(tmp_path: Path, before: str) -> None:
    (tmp_path / "a.qmd").write_text(before + "`x.json#/y`{.value} and `x.json#/z`{.value}")
    assert [one.pointer for one in inlines(tmp_path, ["a.qmd"])] == ["x.json#/y", "x.json#/z"]


def test_an_attribute_nobody_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.qmd").write_text('`a.json#/b`{.value fromat=".2f"}')
    with pytest.raises(
        PointerError, match=r"a.qmd: value 'a.json#/b': unknown attribute 'fromat'; allowed: format, run"
    ):
        inlines(tmp_path, ["a.qmd"])
