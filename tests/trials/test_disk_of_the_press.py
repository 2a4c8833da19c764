"""A disk that is really full, under every place the press writes to.

Old files stand, and the message names what and how much did not fit. With room again, the next build ends in the bytes
of one that always had room.
"""

import gzip
import json
import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from livingpaper.errors import PressError
from livingpaper.files import read_json
from livingpaper.staleness.memo import Memo
from tests.livingpaper.conftest import Paper
from tests.trials.conftest import Trial
from tests.trials.killing import differing, finish, mortal_paper, results, said
from tests.trials.small_disk import SmallDisk, small_disk

NO_ROOM = r": the disk is full: [1-9][\d,]* bytes do not fit, [\d,]+ are free; "
MAY_TELL = ("_site/", "build/claims.json")
MIB = 1 << 20


@dataclass(frozen=True)
class Place:
    """A folder to be full, an edit that makes the press write there, and the file that then does not fit."""

    folder: str
    edit: tuple[str, str, str]
    named: str
    leaving: int = 0


PROSE = ("index.qmd", "A paper about dice.", "A long paper about dice. " * 400)
CODE = ("src/tinylab/measure.py", '"eyes"', '"spots"')
CELL = (
    "chapters/mean.ipynb",
    "of {summary['throws']} throws\\\")",
    'of {summary[\'throws\']} throws\\" + 9000 * \\".\\")',
)
PLACES = {
    "a stage's manifest": Place("build/manifests", CODE, r"build/manifests/mortal-s\d/measure\.begun"),
    "a prepared chapter": Place("build/chapters/mortal-s1", CELL, r"chapters/mortal-s1/\.mean\.prepared\.ipynb"),
    "an executed chapter": Place("build/chapters/mortal-s1", CELL, r"\.mean\.executed\.ipynb", 12_000),
    "the cache of chapters": Place("build/cache", CELL, r"build/cache\S*"),
    "the text for a page": Place("build/print/mortal-s1", CODE, r"build/print/mortal-s1/fragments\.json"),
    "the site": Place("_site", PROSE, r"_site/\S+"),
    "the PDF": Place("build/print/typst", PROSE, r"build/print/typst/\w+\.pdf"),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_full_disk_under_one_folder(trial: Trial, tmp_path: Path, name: str) -> None:
    if not trial.full:
        pytest.skip("done by make trials")
    place, paper = PLACES[name], mortal_paper(tmp_path / "paper", trial.full)
    assert finish(paper) == 0, said(paper)
    before = results(paper)
    paper.edit(*place.edit)
    with small_disk(paper.root / place.folder, 8 * MIB) as disk:
        disk.fill(place.leaving)
        code, message, then = finish(paper), said(paper), results(paper)
        disk.empty()
        healed = finish(paper)
        found = results(paper)
    clean = mortal_paper(tmp_path / "clean", trial.full)
    clean.edit(*place.edit)
    assert finish(clean) == 0, said(clean)
    after = results(clean)
    assert code in (1, 2), message
    assert "Traceback" not in message
    assert re.search(place.named + NO_ROOM, message) or name == "the cache of chapters", message
    torn = torn_among(then, before, after)
    held = not torn and healed == 0 and differing(found, after) == []
    trial.row("Disk", f"no room for {name}", 1, int(held), f"{torn} {differing(found, after)}" if not held else "")


def torn_among(then: dict[str, bytes], before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """Files that are neither as they were nor as they should become; pages and claims may tell of the failure."""
    shown = {name: data for name, data in then.items() if not Path(name).name.startswith(".")}
    strange = {name: data for name, data in shown.items() if data not in (before.get(name), after.get(name))}
    return sorted(name for name, data in strange.items() if not name.startswith(MAY_TELL) or not whole(name, data))


def whole(name: str, data: bytes) -> bool:
    """Whether a file ends where its kind ends."""
    try:
        if name.endswith(".json"):
            return json.loads(data) is not None
        if "/pagefind/" in name:
            return len(gzip.decompress(data)) > 0
    except (ValueError, OSError, EOFError):
        return False
    return data.rstrip().endswith((b"</html>", b"%%EOF"))


def test_a_disk_that_fills_up_anywhere_on_the_way(trial: Trial, tmp_path: Path) -> None:
    """The whole project on a small disk with a random number of bytes left, everything stale."""
    if not trial.full:
        pytest.skip("done by make trials")
    chance, tried, held, wrong = random.Random(4), 0, 0, []
    older = ("params/mortal.yml", "dice:\n", "dice:\n  throws: 90\n")
    clean = mortal_paper(tmp_path / "clean", True)
    assert finish(clean) == 0, said(clean)
    wanted = results(clean)
    old = mortal_paper(tmp_path / "old", True)
    old.edit(*older)
    assert finish(old) == 0, said(old)
    most = sum(len(data) for data in wanted.values())
    for number in range(trial.amount(20, 0)):
        paper = Paper(Path(shutil.copytree(old.root, tmp_path / f"paper-{number}")))
        with small_disk(paper.root, 64 * MIB) as disk:
            before = results(paper)
            paper.edit(older[0], older[2], older[1])
            disk.fill(leaving=int(most * chance.random() ** 3) if number else 4096)
            bad = one_full_disk(paper, disk, before, wanted)
        tried, held = tried + 1, held + (not bad)
        wrong += [f"{number}: {text}" for text in bad]
    trial.row("Disk", "the disk fills up at a random moment of a build", tried, held, "; ".join(wrong))


def one_full_disk(paper: Paper, disk: SmallDisk, before: dict[str, bytes], wanted: dict[str, bytes]) -> list[str]:
    """What was not as it must be: on the full disk, and after there was room again."""
    code, message = finish(paper), said(paper)
    bad = [f"torn {name}" for name in torn_among(results(paper), before, wanted)]
    if code not in (0, 1, 2) or "Traceback" in message or (code and "disk is full" not in message):
        bad.append(f"exit code {code}: {message[-600:]}")
    disk.empty()
    if finish(paper):
        bad.append(f"not healed: {said(paper)[-600:]}")
    return bad + [f"{name} is not the same" for name in differing(results(paper), wanted)]


def test_a_memo_that_does_not_fit(trial: Trial, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", MIB) as disk:
        memo = Memo(disk.folder / "memo.json")
        memo.fact("a", lambda: 1)
        memo.save()
        old = read_json(disk.folder / "memo.json")
        disk.fill()
        memo.fact("b", lambda: "long " * 5000)
        with pytest.raises(PressError, match=r"memo\.json" + NO_ROOM + "the old file stands"):
            memo.save()
        held = read_json(disk.folder / "memo.json") == old
        disk.empty()
        memo.save()
        held &= Memo(disk.folder / "memo.json").fact("b", lambda: "") == "long " * 5000
    trial.row("Disk", "no room for the memo of digests", 1, int(held))
