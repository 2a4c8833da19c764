"""A build that prints nothing itself leaves Quarto everything it needs, for every run."""

import json
import shutil
import subprocess
from pathlib import Path

from livingpaper.press import prepare
from tests.livingpaper.conftest import Paper
from tests.livingpaper.render import tiny
from tests.livingpaper.render.test_hooks import HOOKS, PYTHON, hook


def test_a_build_without_pages_hands_over_every_run(whole: Paper) -> None:
    prepared = prepare(whole.build())
    shutil.copytree(HOOKS, whole.root / "paper/hooks", ignore=shutil.ignore_patterns("__pycache__"))
    assert json.loads((whole.root / "build/print/main.json").read_text()) == {"run": prepared.main}
    source = (whole.root / "chapters/mean.ipynb").read_text()
    for printing in prepared.printings:
        profile = "" if printing.main else printing.run
        done = hook(whole.root, "executed_notebook.py", "chapters", source, QUARTO_PROFILE=profile)
        assert done.returncode == 0, done.stderr
        cells = json.loads(done.stdout)["cells"]
        told = cells.pop(1)
        assert "".join(told["source"]).startswith(f"::: {{.evidence}}\nRun {printing.run}. Evidence computed here")
        assert any(cell.get("outputs") for cell in cells)
        executed = json.loads(printing.notebooks["chapters/mean.ipynb"].read_text())
        assert [cell.get("outputs") for cell in cells] == [
            cell.get("outputs")
            for cell in executed["cells"]
            if "injected-parameters" not in cell["metadata"].get("tags", [])
        ]
        assert (whole.root / f"_quarto-{printing.run}.yml").is_file() is not printing.main


def test_handing_over_again_changes_nothing(stages: Paper) -> None:
    def times() -> dict[str, int]:
        files = [*stages.root.glob("_quarto-*.yml"), *stages.root.glob("build/print/*/printing.json")]
        return {str(path): path.stat().st_mtime_ns for path in [*files, stages.root / "build/print/main.json"]}

    prepare(stages.build())
    before = times()
    prepare(stages.build())
    assert times() == before
    assert len(before) == 3 + 2 + 1  # three runs, two of them beside the main one


def test_the_hooks_are_old_python() -> None:
    """Whatever Python Quarto finds: nothing newer than 3.8 in the hooks."""
    check = "import ast, sys; [ast.parse(open(p).read(), feature_version=(3, 8)) for p in sys.argv[1:]]"
    names = [str(path) for path in sorted(HOOKS.glob("*.py"))]
    assert len(names) == 4
    assert subprocess.run([PYTHON, "-c", check, *names], check=False).returncode == 0
    standard = {"hashlib", "json", "os", "project", "re", "shutil", "subprocess", "sys"}
    for name in names:
        lines = Path(name).read_text().splitlines()
        imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
        assert imported <= standard


def test_both_papers_use_one_filter() -> None:
    other = tiny.FILTER.parents[2] / "tests/projects/tiny_paper/paper/filters/livingpaper.lua"
    assert other.read_text() == tiny.FILTER.read_text()
