"""Parameter files of any form: a valid build or run, or one line that names the file; nothing half-written."""

import random
import shutil
from pathlib import Path

import pytest

from tests.livingpaper.conftest import IGNORED, TINY, _without_chapters
from tests.trials.calling import Said, half_written, laboratory, listing, press
from tests.trials.conftest import Trial
from tests.trials.strategies import mutated

ROOT = Path(__file__).resolve().parents[2]
FILES = ("params/base.yml", "params/tiny.yml")
ANSWERS = ("params/base.yml", "params/tiny.yml", "params/", "paper/workflow.yml")  # a section that went is told there

# stages that end at once, whatever their parameters say
THROW = """
import sys
from tinylab import door
dice = str(door.section(sys.argv[1], "dice"))
door.write(door.run_folder(sys.argv[1]) / "throws" / "part_0.json", [len(dice)])
"""
MEASURE = """
import sys
from tinylab import door
folder = door.run_folder(sys.argv[1])
thrown = door.read(folder / "throws" / "part_0.json")
door.section(sys.argv[1], "measure")
door.write(folder / "evidence.json", {"mean_throw": {"value": 3.5, "n": thrown[0]}})
door.write(folder / "summary.json", {"mean": thrown[0], "throws": 1})
"""


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny paper without chapters, its stages quick, built."""
    root = tmp_path_factory.mktemp("params") / "paper"
    shutil.copytree(TINY, root, ignore=IGNORED)
    _without_chapters(root)
    (root / "src/tinylab/throw.py").write_text(THROW)
    (root / "src/tinylab/measure.py").write_text(MEASURE)
    assert press(root, "build", "--preset", "tiny", "--no-render").code == 0
    return root


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real parameters alone."""
    root = tmp_path_factory.mktemp("lab") / "lab"
    shutil.copytree(ROOT / "params", root / "params")
    return root


def printed_or_refused(root: Path, number: int) -> tuple[bool, Said]:
    """Whether the press holds on the parameters as they stand: every fourth time it builds what it accepts."""
    before = listing(root)
    told = press(root, "explain", "throw", "--preset", "tiny")
    if told.code == 2:
        return told.refused(*ANSWERS) and listing(root) == before and not half_written(root), told
    if told.code != 0 or listing(root) != before:
        return False, told
    if number % 4:
        return True, told
    built = press(root, "build", "--preset", "tiny", "--no-render", "--jobs", "2")
    if built.code == 2:
        return built.refused(*ANSWERS) and not half_written(root), built
    # a stage's own code may fail on what it did not expect: then the press says so, and goes on
    fine = built.code == 0 or (built.code == 1 and all("exit code 1" in line for line in built.lines))
    return fine and not half_written(root), built


def test_any_parameters_are_built_or_refused_by_name(paper: Path, trial: Trial) -> None:
    tried = trial.amount(full=250, short=12)
    held, codes, wrong = 0, dict.fromkeys((0, 1, 2, None), 0), []
    for number in range(tried):
        chance = random.Random(f"press {number}")
        path = paper / chance.choice(FILES)
        good = path.read_bytes()
        path.write_bytes(mutated(good.decode(), chance))
        fine, told = printed_or_refused(paper, number)
        held += fine
        codes[told.code] += 1
        wrong += [] if fine else [f"{number}: {told.code} {told.err[-300:]} {told.trace[-900:]}"]
        path.write_bytes(good)
    assert press(paper, "build", "--preset", "tiny", "--no-render").code == 0  # the good files still build
    note = f"{codes[0]} accepted, {codes[2]} refused, {codes[1]} where a stage's own code failed"
    trial.row(
        "Text",
        "params files (press): a build, or one line that names the file",
        tried,
        held,
        "; ".join([note, *wrong[:5]]),
    )
    assert codes[0] > tried // 25
    assert codes[2] > tried // 4


def resolved_or_refused(root: Path) -> tuple[bool, Said]:
    """Whether the laboratory holds on the parameters as they stand."""
    made = root / "artifacts"
    told = laboratory(root, "create-run", "--run", "smoke-s1")
    if told.code == 0:
        fine = (made / "runs/smoke-s1/params.json").is_file() and laboratory(
            root, "create-run", "--run", "smoke-s1"
        ).code == 0
    else:
        fine = told.refused("base.yml", "smoke.yml") and not made.exists()
    fine = fine and not half_written(root)
    shutil.rmtree(made, ignore_errors=True)
    return fine, told


def test_any_parameters_make_a_run_or_are_refused_by_name(lab: Path, trial: Trial) -> None:
    tried = trial.amount(full=250, short=12)
    held, codes, wrong = 0, dict.fromkeys((0, 1, 2, None), 0), []
    for number in range(tried):
        chance = random.Random(f"laboratory {number}")
        path = lab / "params" / chance.choice(("base.yml", "smoke.yml", "smoke.yml"))
        good = path.read_bytes()
        path.write_bytes(mutated(good.decode(), chance))
        fine, told = resolved_or_refused(lab)
        held += fine
        codes[told.code] += 1
        wrong += [] if fine else [f"{number}: {told.code} {told.err[-300:]} {told.trace[-900:]}"]
        path.write_bytes(good)
    assert resolved_or_refused(lab)[0]
    note = f"{codes[0]} made a run, {codes[2]} refused"
    trial.row(
        "Text",
        "params files (laboratory): a run, or one line that names the file",
        tried,
        held,
        "; ".join([note, *wrong[:5]]),
    )
    assert codes[0] > tried // 25
    assert codes[2] > tried // 4
