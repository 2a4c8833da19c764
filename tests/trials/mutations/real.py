"""Copies of this very paper on its smallest preset: really built and watched, or with stand-ins for its artifacts."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from livingpaper.build import open_authority
from livingpaper.params import load_study
from livingpaper.project import Project
from livingpaper.staleness.verdict import Authority
from livingpaper.tasks import Kind, Plan, Task, make_plan

ROOT = Path(__file__).resolve().parents[3]
PRESET = "smoke"
_PARTS = (
    "_quarto.yml",
    "index.qmd",
    "requirements.lock",
    "pyproject.toml",
    "README.md",
    "paper",
    "params",
    "chapters",
    "src",
    "docs",
)
_WATCH = """
import os, sys
log = os.environ.get("LIVINGPAPER_READS")
if log:
    root = os.environ["LIVINGPAPER_PROJECT"] + "/"
    opened = os.open(log + ".opened", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    def watch(event, args):
        if event == "open" and isinstance(args[0], (str, bytes)) and not (args[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            path = os.path.abspath(os.fsdecode(args[0]))
            if path.startswith(root) and not os.path.isdir(path):
                os.write(opened, (path[len(root):] + "\\n").encode())
    sys.addaudithook(watch)
"""


def copied(root: Path) -> Path:
    """A copy of the sources of this paper."""
    root.mkdir(parents=True)
    for part in _PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / part, root / part)
    return root


def plan_of(root: Path) -> Plan:
    """Its plan, read anew."""
    return make_plan(Project(root), load_study(root, PRESET))


def built(root: Path) -> Path:
    """The copy really built, pages apart; every file that one of its processes opens is noted beside its log."""
    watch = root / "src" / "sitecustomize.py"
    watch.write_text(_WATCH)
    try:
        code, said = press(root)
    finally:
        watch.unlink()
    assert code == 0, said[-3000:]
    return root


def press(root: Path) -> tuple[int, str]:
    """Build the copy with the press of this environment; exit code and what was said."""
    scripts = Path(sys.executable).parent
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("LIVINGPAPER", "FORMATION"))
    }
    environment |= {"PYTHONPATH": str(root / "src"), "PATH": f"{scripts}:{os.environ['PATH']}"}
    command = [str(scripts / "livingpaper"), "build", "--preset", PRESET, "--no-render", "--unknown", "anew"]
    ran = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=900)
    return ran.returncode, ran.stdout + ran.stderr


def executed(said: str) -> set[str]:
    """The tasks a build carried out, from what it said."""
    return set(re.findall(r"^(\S+/\S+): began", said, re.MULTILINE))


def stood_in(root: Path) -> Path:
    """The copy with a stand-in for every artifact, recorded as if each task had read all that it declares."""
    authority = open_authority(plan_of(root))
    for task in authority.plan.tasks.values():
        for name in _names(task):
            path = (
                root / "artifacts" / name
                if task.kind is Kind.STAGE
                else authority.project.executed(task.scope, task.name)
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f'{{"digest": "d", "of": "{name}"}}\n')
        _finish(authority, task)
    authority.memo.save()
    return root


def _finish(authority: Authority, task: Task) -> None:
    verdict = authority.judge(task)
    reads = authority.confirm(task, verdict, [])
    authority.finish(task, verdict, reads, 0.0)
    log = authority.project.build / "logs" / task.scope / f"{task.name}.reads"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(f'{{"path": "{authority.project.root / name}"}}\n' for name in reads))


def _names(task: Task) -> list[str]:
    """Names of stand-ins for what a task writes: two for each pattern with wildcards."""
    if task.kind is Kind.CHAPTER:
        return [task.name]
    filled = [re.sub(r"\{.*?\}", "d", glob).replace("**", "*") for glob in task.writes]
    return [glob.replace("*", word) for glob in filled for word in (("one.json", "two.json") if "*" in glob else ("",))]
