"""Patterns: what they mean, that matching and expanding agree, and that two that can meet are always seen to."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livingpaper import patterns
from livingpaper.errors import WorkflowError

NAMES = st.sampled_from(["a", "b", "ab", "a.json", "b.json", ".a"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PARTS = st.sampled_from(["a", "ab", "a.json", "*", "**", "a*", "*.json", "?", "*b*"])
GLOBS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
ALL_PATHS = [
    "/".join(parts)
    for length in (1, 2, 3)
    for parts in itertools.product(["a", "b", "ab", "a.json", ".a"], repeat=length)
]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a/*.json", ["runs/r1/a/*.json"]),
        ("run:a", ["runs/r1/a"]),
        ("study:a", ["studies/q/a"]),
        ("runs:a", ["runs/r1/a", "runs/r2/a"]),
        ("shared:d/{b.json#/digest}/**", ["d/{runs/r1/b.json#/digest}/**"]),
        ("{b.json#/digest}.json", ["runs/r1/{runs/r1/b.json#/digest}.json"]),
    ],
)
def test_meaning(pattern: str, expected: list[str]) -> None:
    assert patterns.resolve(patterns.check(pattern), "runs/r1", "q", ("r1", "r2")) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "/a",
        "../a",
        "a/../b",
        "a//b",
        "./a",
        "a/",
        "x:a",
        "run:",
        "a**",
        "a[b]",
        "a\\b",
        "a\0",
        "{a}",
        "{a.json#b}",
        "{../a.json#/b}",
        "a}",
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        patterns.check(pattern)


@settings(max_examples=60)
@given(st.sets(PATHS, max_size=6), GLOBS)
def test_matching_and_expanding_agree(tmp_path_factory: pytest.TempPathFactory, paths: set[str], glob: str) -> None:
    folder = tmp_path_factory.mktemp("tree")
    for name in paths:
        path = folder / name
        if not any(parent.is_file() for parent in path.parents) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
    there = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    assert patterns.expand(folder, glob) == sorted(name for name in there if patterns.matches(glob, name))


@given(GLOBS, GLOBS)
def test_two_globs_with_a_path_in_common_can_meet(one: str, other: str) -> None:
    common = [path for path in ALL_PATHS if patterns.matches(one, path) and patterns.matches(other, path)]
    if common:
        assert patterns.can_meet(one, other)
        assert patterns.can_meet(other, one)


@pytest.mark.parametrize(
    ("one", "other"), [("a/b", "a/c"), ("a/*.json", "a/x.txt"), ("a/**", "b/**"), ("a/*", "a/b/c")]
)
def test_two_globs_apart_do_not_meet(one: str, other: str) -> None:
    assert not patterns.can_meet(one, other)


def test_a_pointer_in_a_pattern_is_followed(tmp_path: Path) -> None:
    (tmp_path / "runs/r1").mkdir(parents=True)
    (tmp_path / "d/abc/x").mkdir(parents=True)
    (tmp_path / "d/abc/x/y.bin").write_text("")
    (tmp_path / "d/other").mkdir()
    (tmp_path / "d/other/z.bin").write_text("")
    glob = "d/{runs/r1/b.json#/digest}/**"
    assert patterns.expand(tmp_path, glob) == []
    (tmp_path / "runs/r1/b.json").write_text('{"digest": "abc"}')
    assert patterns.expand(tmp_path, glob) == ["d/abc/x/y.bin"]
    assert patterns.matches(glob, "d/anything/x")
    assert patterns.can_meet(glob, "d/other/**")


@pytest.mark.parametrize("value", ['"../x"', '"a/b"', "3", '""', '".."', "null", '"*"'])
def test_a_pointer_in_a_pattern_leads_to_a_plain_name(tmp_path: Path, value: str) -> None:
    (tmp_path / "b.json").write_text(f'{{"digest": {value}}}')
    with pytest.raises(WorkflowError, match="expected a plain folder name"):
        patterns.expand(tmp_path, "d/{b.json#/digest}/**")
