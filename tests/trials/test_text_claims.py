"""Claims files of any form: judged, shown and stored, or one line that names the file; and so for the other files."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import yaml

from livingpaper.build import Built, open_authority
from livingpaper.command import open_plan
from livingpaper.press import prepare
from livingpaper.render.pandoc import Pandoc
from tests.livingpaper.conftest import IGNORED, TINY
from tests.livingpaper.render.dom import parse
from tests.trials.calling import guarded, half_written, listing, press
from tests.trials.conftest import Trial
from tests.trials.hostile import HOSTILE, NAMES, POINTERS, RULES, SENTENCES
from tests.trials.strategies import any_text, any_value, mutated

CLAIMS = "paper/claims.yml"


def claims_file(good: str, chance: random.Random) -> bytes:
    """A claims file with one of its claims made odd where claims are odd, or mutated as any file."""
    if chance.random() < 0.4:
        return mutated(good, chance)
    claims = yaml.safe_load(good)
    claim = chance.choice(claims)
    for _ in range(chance.randint(1, 2)):
        key = chance.choice(
            ("id", "chapter", "says", "says", "evidence", "evidence", "supported", "refuted", "control", "next")
        )
        odd = {"evidence": POINTERS, "says": SENTENCES, "supported": RULES, "refuted": RULES}.get(key, HOSTILE + NAMES)
        claim[key] = chance.choice(odd) if chance.random() < 0.7 else chance.choice((any_text, any_value))(chance)
        if isinstance(claim[key], str):
            claim[key] = claim[key].encode("utf-8", "replace").decode()
    return yaml.dump(claims, allow_unicode=True).encode()


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny paper with the artifacts of its stages; no chapter was executed."""
    root = tmp_path_factory.mktemp("claims") / "paper"
    shutil.copytree(TINY, root, ignore=IGNORED)
    for words in [
        *((stage, f"tiny-s{seed}") for stage in ("throw", "measure") for seed in (1, 2, 3)),
        ("choose", "tiny"),
    ]:
        subprocess.run([sys.executable, "-m", f"tinylab.{words[0]}", words[1]], cwd=root / "src", check=True)
    return root


def prepared(root: Path) -> None:
    """Judge, write the fragments of every run, and read them as JSON."""
    with mock.patch.dict("os.environ", {"LIVINGPAPER_PROJECT": str(root)}):
        plan = open_plan("tiny")
        prepare(Built(plan, open_authority(plan), {}))
    for path in (root / "build").rglob("*.json"):
        json.loads(path.read_text())


def held(root: Path, *names: str) -> tuple[int | None, str]:
    """Exit code of a look at a project, and what did not hold."""
    before = listing(root)
    told = press(root, "claims", "--preset", "tiny")
    if told.code == 0:
        told = press(root, "explain", "mean", "--preset", "tiny")
    wrong = "" if told.code == 0 or told.refused(*names) else f"{told.code} {told.err[-300:]} {told.trace[-1200:]}"
    if told.code == 0:
        wrong = guarded(lambda: prepared(root))[-1200:]
    if listing(root) != before or half_written(root):
        wrong += f" left: {half_written(root)}"
    return told.code, wrong


def balanced(root: Path, blocks: list[str]) -> str:
    """What is wrong with the page that shows some callouts and ledgers, all text of artifacts in them."""
    page = "\n\n".join(blocks)
    html = Pandoc(root, root / "build/pandoc").run(["-f", "markdown-raw_html", "-t", "html5"], page).output
    return guarded(lambda: parse(f"<div>{html}</div>"))


def test_any_claims_are_judged_or_refused_by_name(paper: Path, trial: Trial) -> None:
    tried = trial.amount(full=500, short=24)
    path = paper / CLAIMS
    good, codes, wrong, shown = path.read_bytes(), {0: 0, 2: 0}, [], []
    for number in range(tried):
        path.write_bytes(claims_file(good.decode(), random.Random(f"claims {number}")))
        code, trouble = held(paper, CLAIMS)
        if code == 0 and number % 5 == 0 and not trouble:
            blocks = json.loads((paper / "build/print/tiny-s1/fragments.json").read_text())["blocks"]
            trouble = balanced(paper, list(blocks.values()))[-600:]
            shown.append(number)
        codes[code or 0] += 1
        wrong += [f"{number}: {trouble}"] if trouble else []
    path.write_bytes(good)
    assert held(paper, CLAIMS) == (0, "")
    note = f"{codes[0]} judged, {codes[2]} refused; pages of {len(shown)} read back"
    trial.row(
        "Text",
        "claims files: judged and shown, or one line that names the file",
        tried,
        tried - len(wrong),
        "; ".join([note, *wrong[:5]]),
    )
    assert min(codes.values()) > tried // 10
