"""The other files people write, of any form: workflow, book, seals, notebooks, pins. A plan, or one line naming it."""

import json
import random
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from livingpaper.claims.model import load_claims
from tests.livingpaper.conftest import TINY
from tests.trials.calling import press
from tests.trials.conftest import Trial
from tests.trials.hostile import HOSTILE, NAMES
from tests.trials.strategies import any_value, changed, mutated
from tests.trials.test_text_claims import held, paper

__all__ = ["paper"]  # a fixture
LOCK = "".join(f"{name}==1.{number}\n" for number, name in enumerate(("pyyaml", "numpy", "typer")))


def seals(root: Path) -> str:
    """A good file of seals for the claims of the tiny paper."""
    claims, _ = load_claims(root, ["mean", "spread"])
    day = date(2026, 1, 1).isoformat()
    entries = {
        claim.id: {
            "seal": {"rule": claim.rule_digest, "sealed": day, "evidence_existed": False},
            "history": [],
            "edited_late": False,
        }
        for claim in claims
    }
    return json.dumps({"schema": "seals/1", "claims": entries})


def as_json(good: str, chance: random.Random) -> bytes:
    """A JSON file made worse: its data, or its bytes and lines."""
    if chance.random() < 0.7:
        data = json.loads(good)
        for _ in range(chance.randint(1, 3)):
            data = changed(data, chance)
        try:
            return json.dumps(data, default=str).encode()
        except RecursionError:
            return b"[" * 5000
    return mutated(good, chance)


def as_book(good: str, chance: random.Random) -> bytes:
    """A book with a key of any kind beside its own, or mutated as any file."""
    if chance.random() < 0.5:
        return mutated(good, chance)
    key = chance.choice(("lang", "css", "filters", "bibliography", "csl", "execute", "format", "project", "book"))
    value = chance.choice((*HOSTILE, *NAMES, 3, [], {}, [[]], True, None, ["x"], {"html": 3}, {"output-dir": "paper"}))
    return (
        mutated(good + f"\n{key}: {json.dumps(value)}\n", chance)
        if chance.random() < 0.5
        else (good + f"\n{key}: {json.dumps(value)}\n").encode("utf-8", "replace")
    )


Make = Callable[[str, random.Random], bytes]
KINDS: dict[str, tuple[Make, tuple[str, ...]]] = {
    "paper/workflow.yml": (mutated, ("paper/workflow.yml", "src/")),
    "_quarto.yml": (as_book, ("_quarto.yml", "paper/claims.yml", "paper/workflow.yml")),  # a chapter gone is told there
    "paper/seals.json": (as_json, ("paper/seals.json",)),
    "chapters/mean.ipynb": (as_json, ("mean.ipynb",)),
    "requirements.lock": (
        lambda good, chance: chance.choice((mutated, as_lines))(good, chance),
        ("requirements.lock",),
    ),
}


def as_lines(good: str, chance: random.Random) -> bytes:
    """Lines of pins nobody would write."""
    lines = [f"{any_value(chance)}=={any_value(chance)}" for _ in range(3)]
    return "\n".join([*lines, good]).encode("utf-8", "replace")


@pytest.mark.parametrize("name", KINDS)
def test_any_file_is_read_or_refused_by_name(paper: Path, trial: Trial, name: str) -> None:
    tried = trial.amount(full=80, short=5)
    make, named = KINDS[name]
    path = paper / name
    there = path.is_file()
    good = path.read_text() if there else seals(paper) if name.endswith(".json") else LOCK
    codes, wrong = {0: 0, 2: 0}, []
    for number in range(tried):
        path.write_bytes(make(good, random.Random(f"{name} {number}")))
        code, trouble = held(paper, *named)
        codes[code or 0] += 1
        wrong += [f"{number}: {trouble}"] if trouble else []
    path.write_text(good)
    assert held(paper) == (0, "")
    if not there:
        path.unlink()
    note = f"{codes[0]} read, {codes[2]} refused"
    what = f"{name}: read, or one line that names the file"
    trial.row("Text", what, tried, tried - len(wrong), "; ".join([note, *wrong[:5]]))
    assert codes[2] > 0 or not trial.full


def test_any_project_says_where_it_lacks_its_files(tmp_path: Path, trial: Trial) -> None:
    """Each file of a project missing, a folder, or a link that leads nowhere: one line, or a build without it."""
    names = [path.relative_to(TINY).as_posix() for path in sorted(TINY.rglob("*")) if path.is_file()]
    names = [name for name in names if not name.startswith("src/") and "__pycache__" not in name]
    deeds: tuple[Callable[[Path], object], ...] = (
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), path.symlink_to("nowhere")),
        lambda path: (path.unlink(), path.symlink_to(path.name)),
    )
    cases = [(name, deed) for name in names for deed in deeds]
    cases = cases if trial.full else cases[::6]
    wrong = []
    for number, (name, deed) in enumerate(cases):
        root = tmp_path / str(number)
        shutil.copytree(TINY, root)
        deed(root / name)
        told = press(root, "claims", "--preset", "tiny")
        told = press(root, "explain", "mean", "--preset", "tiny") if told.code == 0 else told
        if not (told.code == 0 or (told.code == 2 and len(told.lines) == 1 and not told.trace)):
            wrong.append(f"{name} {deeds.index(deed)}: {told.code} {told.err[-200:]} {told.trace[-600:]}")
        shutil.rmtree(root)
    trial.row(
        "Text",
        "a file of the project gone, a folder, or a link to nothing",
        len(cases),
        len(cases) - len(wrong),
        "; ".join(wrong[:5]),
    )
