"""The edits are what they say: neutral ones leave Python's bytecode as it is, all others change the syntax tree."""

import ast
import dis
import random
import subprocess
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

import pytest

from tests.trials.mutations.facts import Meanings, Reader
from tests.trials.mutations.meaningful import MEANINGFUL
from tests.trials.mutations.neutral import NEUTRAL
from tests.trials.mutations.real import ROOT
from tests.trials.mutations.sources import edited
from tests.trials.mutations.text import Source

MODULES = sorted([*(ROOT / "src/formation").rglob("*.py"), *(ROOT / "tests/projects").rglob("src/**/*.py")])


def bytecode(code: CodeType) -> Any:
    """What a code object does, step by step, wherever its lines and constants lie."""
    jumps = {*dis.hasjrel, *dis.hasjabs}  # how far one jumps depends on what does nothing on the way
    steps = [
        (step.opname, None if step.opcode in jumps else step.argval)
        for step in dis.get_instructions(code)
        if step.opname != "NOP"
    ]
    said = [(name, bytecode(what) if isinstance(what, CodeType) else repr(what)) for name, what in steps]
    return [code.co_name, code.co_varnames, said]


@pytest.mark.parametrize("edit", NEUTRAL)
def test_a_neutral_edit_leaves_the_bytecode(edit: Callable[[Source, random.Random], bytes | None]) -> None:
    """Compiled without docstrings, as `python -OO` does it, which also leaves out assertions."""
    chance, done = random.Random(edit.__name__), 0
    for path in chance.sample(MODULES, 16):
        after = edited(path.read_bytes(), edit, chance)
        if after is not None:
            before, now = (compile(data, "m", "exec", optimize=2) for data in (path.read_bytes(), after))
            same = bytecode(before) == bytecode(now)
            assert same, f"{path.name}\n{after.decode()}"
            done += 1
    assert done > 2


@pytest.mark.parametrize("edit", MEANINGFUL)
def test_any_other_edit_changes_what_the_source_says(edit: Callable[[Source, random.Random], bytes | None]) -> None:
    chance, done = random.Random(edit.__name__), 0
    for path in chance.sample(MODULES, 16):
        after = edited(path.read_bytes(), edit, chance)
        if after is not None:
            assert ast.unparse(ast.parse(path.read_bytes())) != ast.unparse(ast.parse(after))
            done += 1
    assert done > 2


def test_whatever_a_stage_imports_is_in_its_closure() -> None:
    """What Python has loaded after importing the module of a stage, against what the reader expects."""
    tasks = Reader(ROOT, "smoke", Meanings()).tasks()
    expected = {name.removeprefix("module ") for name in tasks["smoke-s1/train"].facts if name.startswith("module ")}
    code = "import sys, formation.training.loop\nprint(*(name for name in sys.modules if name.startswith('formation')))"
    command, environment = [sys.executable, "-c", code], {"PYTHONPATH": str(ROOT / "src")}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert len(ran.stdout.split()) > 5
    assert set(ran.stdout.split()) <= expected
