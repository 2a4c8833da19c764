"""Builds of the tiny paper that are killed: who can be killed, what must not be left, and what must be the same."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.livingpaper.conftest import IGNORED, TINY, Paper, _without_chapters

BUILD = (
    sys.executable,
    "-m",
    "livingpaper.cli",
    "build",
    "--preset",
    "mortal",
    "--renderer",
    "embedded",
    "--jobs",
    "2",
)
PATIENCE = 10.0  # seconds until what a killed build started must be gone; the guards' grace is 3
_PRESET = "purpose: Runs to be killed in.\nseeds: {seeds}\n\ndice:\n  pause: {pause}\n"


def mortal_paper(folder: Path, whole: bool) -> Paper:
    """A paper to be killed in: two runs, a chapter and a PDF, or one run without chapters, which takes a second."""
    paper = Paper(Path(shutil.copytree(TINY, folder, ignore=IGNORED)))
    seeds, pause = ("[1, 2]", 0.1) if whole else ("[1]", 0.02)
    (paper.root / "params/mortal.yml").write_text(_PRESET.format(seeds=seeds, pause=pause))
    if not whole:
        _without_chapters(paper.root)
        paper.edit("index.qmd", '::: {.livingpaper claim="die-is-fair"}\n:::\n', "")
        return paper
    paper.edit("_quarto.yml", "    - chapters/spread.ipynb\n", "")
    paper.edit("_quarto.yml", "  html: {}\n", "  html: {}\n  typst: {}\n")
    paper.edit("paper/workflow.yml", '    spread:\n      reads: [evidence.json, "runs:summary.json", notes.json]\n', "")
    paper.edit("paper/workflow.yml", "  own:\n", "")
    paper.edit("paper/claims.yml", "chapter: spread", "chapter: mean")
    return paper


def start(paper: Paper, *words: str) -> "subprocess.Popen[bytes]":
    """A started build; what it says is kept beside its folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIVINGPAPER_")}
    with paper.root.with_suffix(".err").open("wb") as err:
        return subprocess.Popen(
            [*BUILD, *words],
            cwd=paper.root,
            env=clean,
            stdout=subprocess.DEVNULL,
            stderr=err,
            preexec_fn=_hear_interrupts,
        )


def _hear_interrupts() -> None:
    """Also where the tests run in a shell's background, which lets its children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(paper: Paper) -> int:
    """Exit code of a build that nobody disturbs."""
    return start(paper).wait(300)


def said(paper: Paper) -> str:
    """What the last build said."""
    return paper.root.with_suffix(".err").read_text()


def results(paper: Paper) -> dict[str, bytes]:
    """Everything a build leaves to be read, hidden files included: artifacts, executed chapters, claims, pages, PDF."""
    folders = ("artifacts", "build/chapters", "_site")
    paths = [path for folder in folders for path in (paper.root / folder).rglob("*") if path.is_file()]
    paths.append(paper.root / "build/claims.json")
    return {str(path.relative_to(paper.root)): path.read_bytes() for path in paths if path.is_file()}


def differing(found: dict[str, bytes], wanted: dict[str, bytes]) -> list[str]:
    """Names of what is not the same."""
    return sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))


def processes_of(root: Path) -> dict[int, str]:
    """Living processes of a project, by id: those that work in its folder, name it, or were told it is theirs."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            told = f"LIVINGPAPER_PROJECT={root}".encode() in (entry / "environ").read_bytes().split(b"\0")
            if words and (told or str(root) in words or Path(os.readlink(entry / "cwd")) == root):
                found[int(entry.name)] = words
        except OSError:
            continue
    return found


def left_after(root: Path) -> dict[int, str]:
    """Processes of a project that are still there after the patience is over."""
    deadline = time.monotonic() + PATIENCE
    while (living := processes_of(root)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return living


def strike(process: "subprocess.Popen[bytes]", root: Path, chance: random.Random) -> str:
    """Kill something of a running build; in words what."""
    kind = chance.choices(("KILL", "INT", "TERM", "child", "all"), (40, 15, 15, 20, 10))[0]
    living = [pid for pid in processes_of(root) if pid != process.pid]
    if kind == "child" and living:
        _kill(chance.choice(living))
        return "child"
    if kind == "all":
        for pid in chance.sample([process.pid, *living], len(living) + 1):
            _kill(pid)
        return "all"
    process.send_signal(getattr(signal, f"SIG{kind}", signal.SIGKILL))
    return kind if kind != "child" else "KILL"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
