"""Presets and runs: the same reading as the laboratory's, and names that cannot lead anywhere else."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import formation.errors
import formation.presets
from livingpaper import params
from livingpaper.errors import ParamsError
from tests.livingpaper.conftest import TINY

ROOT = TINY.parents[2]
REFUSED = [
    ("mine", "params/factors/mine.yml: over = 'mine': expected another preset"),
    ("base", "params/factors/mine.yml: over = 'base': expected another preset"),
    ("../quick", "params/factors/mine.yml: over = '../quick': expected another preset"),
    ("[quick]", "params/factors/mine.yml: over = ['quick']: expected another preset"),
    ("null", "params/factors/mine.yml: over = None: expected another preset"),
    ("keys-more", "params/factors/mine.yml: over = 'keys-more': lies over another preset itself"),
]
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=1), inner)
)
MAPPINGS = st.dictionaries(st.text("abc", max_size=1), DATA)


@given(MAPPINGS, MAPPINGS)
def test_merging_is_the_laboratorys(below: dict[str, Any], above: dict[str, Any]) -> None:
    assert params.merge(below, above) == formation.presets.merge(below, above)


@pytest.mark.parametrize("preset", params.presets(ROOT))
def test_presets_resolve_to_what_the_laboratory_reads(preset: str) -> None:
    study = params.load_study(ROOT, preset)
    theirs = formation.presets.load(preset, ROOT)
    assert study.runs == tuple(f"{preset}-s{seed}" for seed in theirs.seeds)
    assert study.params == theirs.model_dump(mode="json", exclude_unset=True)


@pytest.mark.parametrize(("over", "told"), REFUSED)
def test_both_halves_refuse_the_same_chains(tmp_path: Path, over: str, told: str) -> None:
    shutil.copytree(ROOT / "params", tmp_path / "params")
    (tmp_path / "params/factors/mine.yml").write_text(f"over: {over}\n")
    with pytest.raises(ParamsError) as ours:
        params.load_study(tmp_path, "mine")
    with pytest.raises(formation.errors.ParamsError) as theirs:
        formation.presets.load("mine", tmp_path)
    assert told in str(ours.value)
    assert str(ours.value) == str(theirs.value)


def test_base_lies_over_nothing(tmp_path: Path) -> None:
    (tmp_path / "params").mkdir()
    (tmp_path / "params/base.yml").write_text("over: own\nseeds: [1]\n")
    (tmp_path / "params/own.yml").write_text("")
    with pytest.raises(ParamsError, match=r"params/base.yml: over: unknown key"):
        params.load_study(tmp_path, "own")


def test_a_digest_of_each_section_that_is_asked_for() -> None:
    study = params.load_study(TINY, "tiny")
    slow = params.load_study(TINY, "slow")
    assert study.sections(("measure",)) == slow.sections(("measure",))
    assert study.sections(("dice",)) != slow.sections(("dice",))


def test_an_unknown_preset_is_answered_with_those_that_exist() -> None:
    with pytest.raises(
        ParamsError, match=r"params 'tinny': no such preset.*there are: slow, tiny; did you mean 'tiny'\?"
    ):
        params.load_study(TINY, "tinny")


@pytest.mark.parametrize("name", ["../tiny", "tiny/x", "", ".", "base", "tiny\0", "TINY"])
def test_a_preset_is_a_plain_name(name: str) -> None:
    with pytest.raises(ParamsError):
        params.load_study(TINY, name)


@pytest.mark.parametrize(
    "run",
    [
        "",
        "tiny",
        "tiny-s",
        "tiny-s01",
        "tiny-s-1",
        "tiny-s1/",
        "../tiny-s1",
        "tiny-s1/../x",
        "tiny-s1\n",
        "no-s1",
        "tiny-s٣",
    ],
)
def test_a_run_is_a_preset_and_a_seed(run: str) -> None:
    with pytest.raises(ParamsError, match=r"expected <preset>-s<seed>, such as slow-s1, with a preset of: slow, tiny"):
        params.split_run(TINY, run)


def test_a_run_is_split() -> None:
    assert params.split_run(TINY, "tiny-s12") == ("tiny", 12)


@given(st.text())
def test_no_text_is_a_run_that_leaves_its_folder(run: str) -> None:
    try:
        params.split_run(TINY, run)
    except ParamsError:
        return
    assert "/" not in run
    assert ".." not in run


def test_a_preset_of_very_many_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params").mkdir()
    (tmp_path / "params/base.yml").write_text(f"seeds: {list(range(1001))}\n")
    (tmp_path / "params/own.yml").write_text("")
    with pytest.raises(ParamsError, match=r"params/own.yml: seeds = .*…: expected .*at most 1000"):
        params.load_study(tmp_path, "own")


@pytest.mark.parametrize("value", [".nan", "-.inf", "2001-01-01", "[1, {b: 2001-01-01T00:00:00Z}]"])
def test_parameters_are_what_json_can_hold(tmp_path: Path, value: str) -> None:
    (tmp_path / "params").mkdir()
    (tmp_path / "params/base.yml").write_text(f"seeds: [1]\ndice:\n  a: {value}\n")
    (tmp_path / "params/own.yml").write_text("")
    with pytest.raises(ParamsError, match=r"params/base.yml:3: dice\.a.* = .*: expected a number, text"):
        params.load_study(tmp_path, "own")


def test_a_name_too_long_for_files_is_no_preset(tmp_path: Path) -> None:
    (tmp_path / "params").mkdir()
    for length in (80, 81):
        (tmp_path / f"params/{'a' * length}.yml").write_text("seeds: [1]\n")
    assert params.presets(tmp_path) == ["a" * 80] == formation.presets.presets(tmp_path)


@pytest.mark.parametrize("seeds", ["3", "[]", "[1, 1]", "[-1]", "[1.5]", "[true]", '["1"]', "null", "{a: 1}"])
def test_seeds_are_different_whole_numbers(tmp_path: Path, seeds: str) -> None:
    (tmp_path / "params").mkdir()
    (tmp_path / "params/base.yml").write_text("seeds: [1]\n")
    (tmp_path / "params/own.yml").write_text(f"seeds: {seeds}\n")
    with pytest.raises(ParamsError, match=r"params/own.yml: seeds = .*: expected different whole numbers"):
        params.load_study(tmp_path, "own")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "expected a mapping"),
        ("a: 1\na: 2", "line 2: key 'a' is written twice"),
        ("a: [", "not valid YAML"),
        ("!!python/object:x {}", "not valid YAML"),
        ("1: 2", "expected a mapping"),
    ],
)
def test_a_parameter_file_is_a_plain_mapping(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "params").mkdir()
    (tmp_path / "params/base.yml").write_text(text)
    (tmp_path / "params/own.yml").write_text("")
    with pytest.raises(ParamsError, match=f"params/base.yml: .*{message}"):
        params.load_study(tmp_path, "own")
