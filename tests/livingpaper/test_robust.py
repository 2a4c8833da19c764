"""Whatever people write: a named error or a usable plan, never a traceback, nothing outside the project touched."""

import random
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from livingpaper.claims.model import load_claims
from livingpaper.claims.report import judge_claims
from livingpaper.errors import PressError
from livingpaper.params import load_study
from livingpaper.project import Project
from livingpaper.tasks import make_plan
from livingpaper.values import inlines
from tests.livingpaper.conftest import IGNORED, TINY

FILES = ("paper/workflow.yml", "paper/claims.yml", "params/base.yml", "params/tiny.yml", "_quarto.yml", "index.qmd")
WORDS = ["null", "[]", "{}", "3", "-1", ".inf", "'../..'", "/etc/passwd", "!!python/name:os.system", "&a [*a]", "*a", "'{run}'", "\t", "\0", "é", "{value.__class__}", "*", "**/**", "2/0", "runs:", "# x", "-"]  # fmt: skip  # noqa: E501
KEYS = st.sampled_from(["id", "chapter", "says", "evidence", "supported", "refuted", "control", "next", "above", "below", "quorum", "stages", "name", "reads", "writes", "per", "x"])  # fmt: skip  # noqa: E501
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("robust") / "paper"
    shutil.copytree(TINY, root, ignore=IGNORED)
    return root


def read_everything(root: Path) -> str:
    """The message of the error, or an empty text if all of it is usable."""
    try:
        project = Project(root)
        study = load_study(root, "tiny")
        make_plan(project, study)
        load_claims(root, list(project.chapters))
        judge_claims(project, study)
        inlines(root, project.pages)
    except PressError as error:
        return str(error)
    return ""


def scrambled(text: str, chance: random.Random) -> str:
    """The text with a few lines dropped, doubled, moved, or words put in."""
    lines = text.split("\n")
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(lines))
        deed = chance.randrange(5)
        if deed == 0:
            lines.pop(place)
        elif deed == 1:
            lines.insert(place, lines[place])
        elif deed == 2:
            lines.insert(chance.randrange(len(lines)), lines.pop(place))
        elif deed == 3:
            head, sign, _ = lines[place].partition(":")
            lines[place] = f"{head}{sign} {chance.choice(WORDS)}"
        else:
            at = chance.randint(0, len(lines[place]))
            lines[place] = lines[place][:at] + chance.choice(WORDS) + lines[place][at:]
        lines = lines or [""]
    return "\n".join(lines)


@pytest.mark.parametrize("name", FILES)
def test_scrambled_files(root: Path, name: str) -> None:
    original = (root / name).read_bytes()
    chance = random.Random(name)
    refused = 0
    try:
        for _ in range(70):
            (root / name).write_text(scrambled(original.decode(), chance))
            message = read_everything(root)
            refused += bool(message)
            assert "\n" not in message
            assert not message or Path(name).name in message or "params" in message or "chapter" in message, message
    finally:
        (root / name).write_bytes(original)
    assert read_everything(root) == ""
    assert refused > 5 or name.endswith((".qmd", "base.yml"))


@settings(max_examples=150)
@given(TREES, st.sampled_from(["paper/workflow.yml", "paper/claims.yml", "params/tiny.yml"]))
def test_any_data(root: Path, tree: object, name: str) -> None:
    original = (root / name).read_bytes()
    try:
        (root / name).write_text(yaml.safe_dump(tree, allow_unicode=True))
        message = read_everything(root)
    finally:
        (root / name).write_bytes(original)
    assert "\n" not in message
