"""What other programs and people write is read within bounds: half characters, endless nesting, numbers too large."""

import json
from pathlib import Path
from typing import Any

import pytest

from livingpaper.claims.evidence import parse_evidence
from livingpaper.claims.model import Rule
from livingpaper.claims.seals import load_seals
from livingpaper.errors import ClaimsError, PointerError, ProjectError
from livingpaper.files import inside, read_json
from livingpaper.formats import spell
from livingpaper.jsonfile import parse_json
from livingpaper.markdown import code, escape
from livingpaper.patterns import check
from livingpaper.pointers import follow, parse_pointer, read_artifact
from livingpaper.staleness.cells import read_cells
from livingpaper.staleness.memo import Memo
from livingpaper.staleness.packages import Lock
from livingpaper.staleness.syntax import read_code
from livingpaper.values import prose
from livingpaper.workflow import Workflow

DEEP = "[" * 100_000


def test_json_of_any_program() -> None:
    assert parse_json('{"a\\ud800": ["\\udc00 \\ud83d\\ude00"]}') == {"a\ufffd": ["\ufffd 😀"]}
    for text in (DEEP, "9" * 5000, "{", b"\xff"):
        with pytest.raises(ValueError, match=r".+"):
            parse_json(text)


def test_artifacts_of_any_program(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"a": "one\u2028row\x85only"}\n{"a": 2}\n')
    assert read_artifact(rows, "rows.jsonl") == [{"a": "one\u2028row\x85only"}, {"a": 2}]
    rows.write_text(DEEP)
    with pytest.raises(PointerError, match=r"rows\.jsonl: not readable JSON \(nested too deeply\)"):
        read_artifact(rows, "rows.jsonl")
    assert read_json(rows) is None


@pytest.mark.parametrize("key", [pytest.param("9" * 5000, id="long"), "٣", "²", "-1", "01", "1e2"])
def test_an_index_is_a_plain_number(key: str) -> None:
    with pytest.raises(PointerError, match=r"a\.json#/: no entry .*; there are: 0 to 3") as caught:
        follow([1, 2, 3, 4], parse_pointer(f"a.json#/{key[:900]}"), "a.json")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a" * 201, id="long"),
        pytest.param("é" * 101, id="bytes"),
        "a\nb",
        "a\x1bb",
        "\ud800",
        pytest.param("a/" + "b" * 300, id="part"),
        "x\0y",
    ],
)
def test_a_name_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(PointerError, match="expected a path below"):
        inside(tmp_path, name)


def test_a_link_to_itself_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(PointerError, match="'loop/a': is a link that leads nowhere"):
        inside(tmp_path, "loop/a")


def test_a_text_is_cut_where_nobody_reads_on() -> None:
    assert escape("a" * 2000) == code("a" * 2000).strip("`") == "a" * 2000
    assert escape("a" * 100_000) == code("a" * 100_000).strip("`") == "a" * 2000 + " …"


def test_a_pointer_is_short() -> None:
    with pytest.raises(PointerError, match="at most 1000 characters"):
        parse_pointer("a.json#/" + "b/" * 500)


def test_formats_are_narrow() -> None:
    assert spell(1234.5, ",.1f") == "1,234.5"
    assert spell(0.25, ".0%") == "25%"
    assert spell("x", "*^5s") == "**x**"
    assert spell(3, "") == "3"
    for value, form in [
        (1.5, ">999999999"),
        (1.5, ".999f"),
        (1, "c"),
        (10**400, ".2f"),
        (1.5, "d"),
        ("x", ".2f"),
        (1, "n"),
    ]:
        with pytest.raises(ValueError, match=r".+"):
            spell(value, form)


def test_numbers_too_large_are_no_evidence() -> None:
    with pytest.raises(PointerError, match=r"x#/it/value = '1000.*: expected a finite number"):
        parse_evidence({"value": 10**400}, "x#/it")


@pytest.mark.parametrize("wrong", [True, "high", None, [1]])
def test_a_threshold_is_a_number(wrong: Any) -> None:
    assert Rule.model_validate({"above": "1e-3", "quorum": "2/3"}).above == 0.001
    with pytest.raises(ValueError, match=r"number|exactly one"):
        Rule.model_validate({"above": wrong, "quorum": "2/3"})


@pytest.mark.parametrize(
    "change",
    [{"sealed": "today"}, {"sealed": "2026-01-01\n\n:::"}, {"rule": "x"}, {"rule": 3}, {"evidence_existed": 1}],
)
def test_a_seal_is_a_digest_a_day_and_a_switch(tmp_path: Path, change: dict[str, Any]) -> None:
    seal = {"rule": "0" * 64, "sealed": "2026-01-01", "evidence_existed": False}
    (tmp_path / "paper").mkdir()
    for wrong in (False, True):
        entry = {"seal": {**seal, **(change if wrong else {})}, "history": [], "edited_late": False}
        (tmp_path / "paper/seals.json").write_text(json.dumps({"schema": "seals/1", "claims": {"a": entry}}))
        if not wrong:
            assert load_seals(tmp_path)["a"].seal.rule == "0" * 64
    with pytest.raises(ClaimsError, match=r"paper/seals\.json: not a file of seals"):
        load_seals(tmp_path)


@pytest.mark.parametrize(
    "pattern",
    ["**/**/**/x", "*a*a*a*a*", pytest.param("x" * 1001, id="long"), pytest.param("y" * 201, id="part"), "a\nb"],
)
def test_a_pattern_is_one_that_can_be_matched(pattern: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        check(pattern)


@pytest.mark.parametrize("name", ["", "A=B", "1A", "A B", pytest.param("A" * 201, id="long")])
def test_a_variable_has_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="environment"):
        Workflow.model_validate({"stages": [], "environment": {name: "x"}})


@pytest.mark.parametrize(
    "content", [b"[]", b'{"cells": 3}', b'{"cells": [3]}', b"{", b"\xff", pytest.param(DEEP.encode(), id="deep")]
)
def test_a_notebook_that_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.ipynb"
    path.write_bytes(content)
    with pytest.raises(ProjectError, match=r"a\.ipynb: (not a notebook|cannot be read)"):
        list(prose(path))
    with pytest.raises(ProjectError, match=r"a\.ipynb: not a notebook"):
        read_cells(path, "a.ipynb", Memo(tmp_path / "memo.json"))


def test_tags_of_a_cell_are_a_list(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": "1", "metadata": {"tags": 3}}]}))
    with pytest.raises(ProjectError, match=r"a\.ipynb: no code cell is tagged 'parameters'"):
        read_cells(path, "a.ipynb", Memo(tmp_path / "memo.json"))


def test_a_lock_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_bytes(b"\xff\xfe")
    with pytest.raises(ProjectError, match=r"requirements\.lock: cannot be read: .*; run: make lock"):
        Lock(tmp_path, Memo(tmp_path / "memo.json")).entries(["yaml"])


@pytest.mark.parametrize(
    "source", ["+".join(["1"] * 20_000), "-" * 50_000 + "1", "(" * 5000], ids=["sum", "signs", "open"]
)
def test_code_nested_without_end_counts_by_its_text(source: str) -> None:
    assert read_code(source)["digest"].startswith("text:")
    assert read_code(source)["digest"] != read_code(source + " ")["digest"]
