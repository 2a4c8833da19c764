"""A disk that is really full under a run: the old file stands, one line names what did not fit, and room heals it."""

import random
import re
import resource
import shutil
from functools import partial
from pathlib import Path

import pytest

from formation import artifacts
from formation.errors import FormationError
from tests.trials.commands import RUN, all_of, formation, prepare, run_command, said
from tests.trials.conftest import Trial
from tests.trials.small_disk import small_disk

LINE = r"formation: /\S+: {why}: [1-9][\d,]* bytes do not fit(, [\d,]+ are free)?; .*make room and run .*\n"
FULL, LIMITED = (
    LINE.format(why="the disk is full"),
    LINE.format(why=r"no file may be larger than [\d,]+ bytes \(ulimit -f\)"),
)
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _artifacts_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMATION_ARTIFACTS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["formation"])


def torn(folder: Path, *wholes: dict[str, bytes]) -> list[str]:
    """Files of a run that are in none of the given states; the curve grows row by row, so it may end within one."""
    return [
        f"torn {name}"
        for name, data in all_of(folder).items()
        if not any(data == whole.get(name) for whole in wholes)
        and not (name.endswith("learning_curve.jsonl") and any(whole[name].startswith(data) for whole in wholes[-1:]))
    ]


def told_in_one_line(folder: Path, words: str) -> bool:
    """Whether a command said so last, and before it nothing but how far it was."""
    *progress, last = said(folder).splitlines(keepends=True)
    return re.fullmatch(words, last) is not None and all(" left" in line for line in progress)


@pytest.mark.parametrize(("command", "full", "short"), [("train", 20, 1), ("checkpoint-sweep", 10, 0)])
def test_a_disk_that_fills_up_anywhere_on_the_way(
    trial: Trial, tmp_path: Path, command: str, full: int, short: int
) -> None:
    attempts = trial.amount(full, short) or pytest.skip("done by make trials")
    ready, chance, held, wrong = tmp_path / "ready", random.Random(6), 0, []
    prepare(ready, 40)
    if command == "checkpoint-sweep":
        assert [formation(ready, word, "--run", RUN) for word in ("train", "generate-probe-set")] == [0, 0]
    before, clean = all_of(ready), Path(shutil.copytree(ready, tmp_path / "clean"))
    assert run_command(clean, command, "--run", RUN) == 0, said(clean)
    wanted = all_of(clean)
    needed = sum(map(len, wanted.values())) - sum(map(len, before.values()))
    for number in range(attempts):
        folder = Path(shutil.copytree(ready, tmp_path / f"full-{number}"))
        with small_disk(folder, 32 * MIB) as disk:
            disk.fill(leaving=int(needed * 0.9 * chance.random()))
            code, bad = run_command(folder, command, "--run", RUN), []
            if code != 2 or not told_in_one_line(folder, FULL):
                bad.append(f"exit code {code}: {said(folder)[-300:]}")
            bad += torn(folder, before, wanted)
            disk.empty()
            code = run_command(folder, command, "--run", RUN)
            bad += [] if code == 0 and all_of(folder) == wanted else [f"not healed: {code}: {said(folder)[-300:]}"]
        held, wrong = held + (not bad), wrong + bad
    trial.row("Disk", f"the disk fills up during `formation {command}`", attempts, held, "; ".join(wrong))


def test_a_file_that_may_not_grow(trial: Trial, tmp_path: Path) -> None:
    """Without any right to mount: a limit on the size of files, which a quota or a file system can have too."""
    ready, held, wrong = tmp_path / "ready", 0, []
    prepare(ready, 20)
    clean = Path(shutil.copytree(ready, tmp_path / "clean"))
    assert run_command(clean, "train", "--run", RUN) == 0, said(clean)
    before, wanted = all_of(ready), all_of(clean)
    limits = [2000, 8000, 20_000, 40_000][: trial.amount(4, 1)]
    for limit in limits:
        folder = Path(shutil.copytree(ready, tmp_path / f"limited-{limit}"))
        bad = []
        limited = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
        code = run_command(folder, "train", "--run", RUN, limits=limited)
        if code != 2 or not told_in_one_line(folder, LIMITED):
            bad.append(f"exit code {code}: {said(folder)}")
        bad += torn(folder, before, wanted)
        if run_command(folder, "train", "--run", RUN) or all_of(folder) != wanted:
            bad.append(f"not healed: {said(folder)[-300:]}")
        held, wrong = held + (not bad), wrong + bad
    trial.row("Disk", "`formation train` where no file may be larger", len(limits), held, "; ".join(wrong))


def test_an_artifact_that_does_not_fit(trial: Trial, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", MIB) as disk:
        path = disk.folder / "births.json"
        artifacts.write_json(path, {"schema": "t/1", "old": True})
        old = path.read_bytes()
        disk.fill()
        words = r"births\.json: the disk is full: [\d,]+ bytes do not fit, 0 are free; the old file stands; make room"
        with pytest.raises(FormationError, match=words):
            artifacts.write_json(path, {"schema": "t/1", "new": list(range(9000))})
        held = path.read_bytes() == old and sorted(file.name for file in disk.folder.iterdir())[1:] == ["births.json"]
        disk.empty()
        artifacts.write_json(path, {"schema": "t/1", "new": list(range(9000))})
        held &= len(artifacts.read_json(path, "t/1")["new"]) == 9000
    trial.row("Disk", "no room for a JSON artifact", 1, int(held))
