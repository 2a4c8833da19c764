"""What `make` says on a machine that lacks something, and what it leaves alone when there is nothing to do."""

import ast
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "tools" / "make_venv.py"


@pytest.fixture
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def refused(script: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        script["refuse_unfit_python"]()
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_an_old_python_is_named_with_the_package(script: dict, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    said = refused(script, capsys)
    assert "Python 3.9.2 is too old" in said
    assert "python3.11" in said


def test_a_missing_venv_module_is_named_with_the_package(script: dict, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert f"python{sys.version_info[0]}.{sys.version_info[1]}-venv" in refused(script, capsys)


def test_the_script_reads_on_an_old_python() -> None:
    """No syntax newer than Python 3.6, which must get as far as saying that it is too old."""
    ast.parse(SCRIPT.read_text(), feature_version=(3, 6))


def test_a_finished_environment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "make_venv.py").write_text(SCRIPT.read_text())
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text("")
    digest = runpy.run_path(str(tmp_path / "tools" / "make_venv.py"))["digest"]()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "installed-from.txt").write_text(digest)
    ran = subprocess.run([sys.executable, "tools/make_venv.py"], cwd=tmp_path, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert sorted(path.name for path in (tmp_path / ".venv").iterdir()) == ["installed-from.txt"]
