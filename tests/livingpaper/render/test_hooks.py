"""Quarto's hooks, run the way Quarto runs them: by another Python, with the notebook on stdin, in its folder."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from livingpaper.render import record
from tests.livingpaper.render import tiny

HOOKS = tiny.FILTER.parents[1] / "hooks"
# any Python will do; the one of the system shows that the hooks need nothing installed
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The tiny book with its hooks and what the press hands over for both runs."""
    made = tiny.make_book(tmp_path / "paper project")
    shutil.copytree(HOOKS, made / "paper/hooks", ignore=shutil.ignore_patterns("__pycache__"))
    for run, _ in tiny.RUNS:
        record(made, tiny.printing(made, run))
    return made


def hook(root: Path, name: str, folder: str = ".", text: str = "", **environment: str) -> Any:
    """Run a hook in a folder of the project."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("QUARTO_", "LIVINGPAPER_"))}
    script = os.path.relpath(root / "paper/hooks" / name, root / folder)
    return subprocess.run(
        [PYTHON, "-S", script],
        input=text,
        capture_output=True,
        text=True,
        cwd=root / folder,
        env={**clean, "QUARTO_PROJECT_DIR": str(root), **environment},
        check=False,
    )


def filtered(root: Path, **environment: str) -> dict[str, Any]:
    """Chapter one as Quarto gets it."""
    source = (root / "chapters/one.ipynb").read_text(encoding="utf-8")
    done = hook(root, "executed_notebook.py", "chapters", source, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    out: dict[str, Any] = json.loads(done.stdout)
    return out


def outputs(notebook: dict[str, Any]) -> str:
    return json.dumps([cell.get("outputs") for cell in notebook["cells"]])


# --- the notebook filter ---------------------------------------------------------------------------------------------


def test_the_executed_chapter_of_the_main_run_is_swapped_in(root: Path) -> None:
    notebook = filtered(root)
    assert "| quick-s1 | 2 |" in outputs(notebook)
    tags = [cell["metadata"].get("tags", []) for cell in notebook["cells"]]
    assert ["injected-parameters"] not in tags
    assert ["parameters"] in tags


def test_a_profile_prints_its_own_run(root: Path) -> None:
    assert "| quick-s2 | 2 |" in outputs(filtered(root, QUARTO_PROFILE="quick-s2"))
    assert "| quick-s1 | 2 |" in outputs(filtered(root, QUARTO_PROFILE="some-draft"))


def test_sources_are_lists_of_lines(root: Path) -> None:
    path = root / "build/chapters/quick-s1/one.ipynb"
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])  # as other tools write it
    path.write_text(json.dumps(notebook))
    for cell in filtered(root)["cells"]:
        assert isinstance(cell["source"], list)
        assert all(line.endswith("\n") for line in cell["source"][:-1])


def test_the_source_notebook_stays_untouched(root: Path) -> None:
    before = (root / "chapters/one.ipynb").read_bytes()
    filtered(root)
    assert (root / "chapters/one.ipynb").read_bytes() == before


def test_the_right_one_of_several_notebooks_is_found(root: Path) -> None:
    other = tiny.chapter_one(executed=False)
    other["cells"].append(tiny.markdown("One more.\n"))
    tiny.write(root, "chapters/another.ipynb", other)
    assert "One more." not in json.dumps(filtered(root))
    done = hook(root, "executed_notebook.py", "chapters", json.dumps(other))
    told = json.loads(done.stdout)
    assert "has not been executed" in json.dumps(told)
    assert "One more." in json.dumps(told)


def test_before_the_first_build_the_source_passes(root: Path) -> None:
    shutil.rmtree(root / "build")
    notebook = filtered(root)
    assert [cell["source"] for cell in notebook["cells"]] == [
        cell["source"] for cell in tiny.chapter_one(executed=False)["cells"]
    ]


@pytest.mark.parametrize(
    ("field", "kind", "title"), [("stale", "warning", "Stale"), ("errors", "important", "could not be made")]
)
def test_stale_and_failed_chapters_get_a_callout(root: Path, field: str, kind: str, title: str) -> None:
    record(root, tiny.printing(root, **{field: {"chapters/one.ipynb": "cell `4`\n::: raised *x*"}}))
    cells = filtered(root)["cells"]
    notice = "".join(cells[1]["source"])
    assert cells[0]["source"][0].startswith("# Formation windows")
    assert notice.startswith(f"::: {{.callout-{kind} title=")
    assert title in notice
    assert "`` cell `4` ::: raised *x* ``" in notice  # shown as it is, on one line


def test_a_language_is_always_there_for_quarto(root: Path) -> None:
    path = root / "build/chapters/quick-s1/one.ipynb"
    path.write_text(json.dumps({**json.loads(path.read_text()), "metadata": {}}))
    assert filtered(root)["metadata"]["kernelspec"]["language"] == "python"


# --- before rendering ------------------------------------------------------------------------------------------------


def fake_press(root: Path, code: int = 0) -> Path:
    """A stand-in for the project's `livingpaper` that writes down how it was called."""
    command = root / ".venv/bin/livingpaper"
    command.parent.mkdir(parents=True, exist_ok=True)
    command.write_text(f'#!/bin/sh\necho "$@" >> "{root}/calls.txt"\nexit {code}\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return command


def calls(root: Path) -> list[str]:
    log = root / "calls.txt"
    return log.read_text().splitlines() if log.is_file() else []


def test_it_builds_without_rendering(root: Path) -> None:
    fake_press(root)
    assert hook(root, "pre_render.py").returncode == 0
    assert calls(root) == ["build --no-render"]


def test_a_profile_builds_its_own_preset(root: Path) -> None:
    fake_press(root)
    assert hook(root, "pre_render.py", QUARTO_PROFILE="reference-s7").returncode == 0
    assert calls(root) == ["build --no-render --preset reference"]


def test_what_was_printed_from_published_evidence_is_not_trained(root: Path) -> None:
    fake_press(root)
    for run in ("quick-s1", "reference-s1"):
        place = root / "build/print" / run / "printing.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        known = json.loads(place.read_text()) if place.is_file() else {"run": run}
        place.write_text(json.dumps({**known, "build": ["--preset", "quick", "--published"]}))
    assert hook(root, "pre_render.py").returncode == 0
    assert hook(root, "pre_render.py", QUARTO_PROFILE="reference-s1").returncode == 0
    assert calls(root) == ["build --no-render --preset quick --published"] * 2


def test_a_build_that_started_quarto_is_not_started_again(root: Path) -> None:
    fake_press(root)
    assert hook(root, "pre_render.py", LIVINGPAPER_BUILDING="1").returncode == 0
    assert calls(root) == []


def test_a_missing_environment_is_made_first(root: Path) -> None:
    command = fake_press(root)
    command.rename(root / "press")
    tiny.write(root, "Makefile", ".venv:\n\tmkdir -p .venv/bin && cp press .venv/bin/livingpaper && touch made\n")
    tiny.write(root, "Makefile", ".PHONY: .venv\n" + (root / "Makefile").read_text())
    done = hook(root, "pre_render.py")
    assert done.returncode == 0, done.stderr
    assert (root / "made").is_file()
    assert calls(root) == ["build --no-render"]


def test_without_make_it_says_what_to_install(root: Path) -> None:
    done = hook(root, "pre_render.py", PATH=str(root))
    assert done.returncode == 1
    assert "install the package make, then run: make .venv" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_refused_build_ends_the_rendering_and_a_failed_chapter_does_not(root: Path) -> None:
    fake_press(root, code=2)
    assert hook(root, "pre_render.py").returncode == 1
    fake_press(root, code=1)
    done = hook(root, "pre_render.py")
    assert done.returncode == 0
    assert "the build had failures" in done.stderr


def time_of_filter(root: Path) -> int:
    return int((root / "paper/hooks/executed_notebook.py").stat().st_mtime)


def test_quarto_cannot_reuse_a_chapter_that_changed(root: Path) -> None:
    """Quarto reuses a filtered notebook while source and filter keep their times, in whole seconds."""
    fake_press(root)
    times = {}
    for name, environment in (("main", {}), ("other", {"QUARTO_PROFILE": "quick-s2"}), ("main again", {})):
        assert hook(root, "pre_render.py", **environment).returncode == 0
        times[name] = time_of_filter(root)
    assert times["main"] == times["main again"]  # nothing changed: Quarto may reuse
    assert times["main"] != times["other"]
    path = root / "build/chapters/quick-s1/one.ipynb"
    path.write_text(path.read_text().replace("Three rising", "Three falling"))
    assert hook(root, "pre_render.py").returncode == 0
    assert time_of_filter(root) not in times.values()


# --- after rendering -------------------------------------------------------------------------------------------------


def test_errors_of_the_filter_fail_the_rendering(root: Path) -> None:
    assert hook(root, "post_render.py").returncode == 0
    tiny.write(
        root, "build/print/quick-s1/errors.txt", "index.qmd: claim:x is unknown\nindex.qmd: claim:x is unknown\n"
    )
    done = hook(root, "post_render.py")
    assert done.returncode == 1
    assert done.stderr == "livingpaper: index.qmd: claim:x is unknown\n"
    assert hook(root, "post_render.py", QUARTO_PROFILE="quick-s2").returncode == 0


def test_errors_of_an_earlier_printing_are_forgotten(root: Path) -> None:
    fake_press(root)
    tiny.write(root, "build/print/quick-s1/errors.txt", "old\n")
    assert hook(root, "pre_render.py").returncode == 0
    assert hook(root, "post_render.py").returncode == 0


def test_failed_chapters_fail_the_rendering(root: Path) -> None:
    record(root, tiny.printing(root, errors={"chapters/one.ipynb": "cell 4 raised"}))
    done = hook(root, "post_render.py")
    assert done.returncode == 1
    assert "chapters/one.ipynb: cell 4 raised" in done.stderr
