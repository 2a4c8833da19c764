"""What killed processes left: half-written files go, and nothing else does; a killed repair condemns no output."""

import shutil
from pathlib import Path

import pytest

from livingpaper.execute import stages as carrying
from livingpaper.execute.leftovers import sweep_build
from livingpaper.project import Project
from tests.livingpaper.conftest import Paper

S1 = "artifacts/runs/tiny-s1"
HALF = (
    "build/.memo.json.a1b2c3d4.part",
    "build/manifests/tiny-s1/.throw.json.a1b2c3d4.part",
    "build/manifests/tiny-s1/.throw.begun.a1b2c3d4.part",
    "build/chapters/tiny-s1/.mean.ipynb.a1b2c3d4.part",
    "build/chapters/tiny-s1/.mean.prepared.ipynb",
    "build/chapters/tiny-s1/.mean.executed.ipynb",
    "build/chapters/tiny-s1/.mean.executed.error",
    "build/print/typst/.abc.pdf.a1b2c3d4.part",
    "build/print/tiny-s1/site/.index.html.a1b2c3d4.part",
    "build/print/runs-a1b2/runs/tiny-s1/index.html",
    "build/logs/tiny-s1/throw.progress.4711",
    "build/jupyter/runtime/kernel-1.json",
    "build/jupyter/runtime/chapter-a1b2/kernel-ipc-1",
)
WHOLE = (
    "build/chapters/tiny-s1/mean.ipynb",
    "build/chapters/tiny-s1/mean.failed.ipynb",
    "build/logs/tiny-s1/throw.log",
    "build/logs/tiny-s1/throw.progress",
    "build/print/tiny-s1/fragments.json",
    "build/set-aside/tiny-s1/throw/1/.x.part",
    "build/lock",
    "artifacts/runs/tiny-s1/.evidence.json.part",  # not of the build
)


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("half")


def test_a_build_begins_without_what_another_left_half_written(fresh_stages: Paper) -> None:
    put(fresh_stages.root, *HALF, *WHOLE)
    sweep_build(Project(fresh_stages.root))
    assert [name for name in HALF if (fresh_stages.root / name).exists()] == []
    assert [name for name in WHOLE if not (fresh_stages.root / name).exists()] == []


def test_a_stage_that_came_to_its_end_leaves_none_of_its_own(stages: Paper) -> None:
    mine = [f"{S1}/throws/.part_1.json.part", f"{S1}/throws/.part_7.json.0_aZ1234.part"]
    others = [f"{S1}/throws/.notes.txt.part", f"{S1}/.evidence.json.part"]  # no stage's, and another stage's
    put(stages.root, *mine, *others)
    assert stages.build().executed == [], "what is half-written makes nothing stale"
    (stages.root / S1 / "throws/part_1.json").unlink()
    stages.build()
    assert [name for name in mine if (stages.root / name).exists()] == []
    assert [name for name in others if not (stages.root / name).exists()] == []


def failing_repair(paper: Paper, how: str) -> None:
    """Let the stage that throws end in some way when it is asked to, and take one of its parts away."""
    paper.edit(
        "src/tinylab/throw.py",
        '    dice = door.section(run, "dice")\n',
        f'    import os\n    if os.environ.get("FAIL") == run:\n        {how}\n    dice = door.section(run, "dice")\n',
    )
    paper.build()
    (paper.root / S1 / "throws/part_1.json").unlink()


def kept_parts(paper: Paper) -> list[str]:
    return sorted(path.name for path in (paper.root / S1 / "throws").iterdir())


def test_a_killed_repair_condemns_no_output(stages: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_repair(stages, "os.kill(os.getpid(), 9)")
    clean = stages.artifacts()
    monkeypatch.setenv("FAIL", "tiny-s1")
    assert "stage throw of tiny-s1 failed (exit code 137)" in stages.build().failures[0]
    assert kept_parts(stages) == ["part_0.json", "part_2.json", "part_3.json"]
    monkeypatch.delenv("FAIL")
    assert stages.build().failures == []
    assert {name: data for name, data in stages.artifacts().items() if name in clean} == clean


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raise SystemExit('no room')", r"failed \(exit code 1\): no room \(the disk is full: 100 bytes are free\)"),
        ("return", "did not make again what was lost; make room to begin anew and build again"),
    ],
)
def test_without_room_to_begin_anew_nothing_is_set_aside(
    stages: Paper, monkeypatch: pytest.MonkeyPatch, how: str, said: str
) -> None:
    failing_repair(stages, how)
    real = shutil.disk_usage
    with monkeypatch.context() as full:
        full.setenv("FAIL", "tiny-s1")
        full.setattr(carrying.shutil, "disk_usage", lambda place: real(place)._replace(free=100))
        failures = stages.build().failures
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(failures[0])
    assert kept_parts(stages) == ["part_0.json", "part_2.json", "part_3.json"]
    assert stages.build().failures == []
