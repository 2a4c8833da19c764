"""The closure of imports, by hand on a small tree and against an independent import graph on this very package."""

from pathlib import Path

import grimp
import pytest

import livingpaper
from livingpaper.staleness.imports import CodeIndex
from livingpaper.staleness.memo import Memo
from livingpaper.staleness.packages import Lock

TREE = {
    "lab/__init__.py": "",
    "lab/a.py": "from lab import b\nimport numpy.linalg\n",
    "lab/b.py": "def f():\n    from .deep import c\n    return c\n",
    "lab/deep/__init__.py": "from ..side import x\n",
    "lab/deep/c.py": "from . import d as e\nimport lab.far.away\n",
    "lab/deep/d.py": "import json, yaml\n",
    "lab/side.py": "x = 1\n",
    "lab/far/away.py": "",  # a folder without __init__
    "lab/alone.py": "import scipy\n",
    "single.py": "from lab.side import x\n",
}


@pytest.fixture
def index(tmp_path: Path) -> CodeIndex:
    for name, text in TREE.items():
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return CodeIndex(tmp_path / "src", Memo(tmp_path / "memo.json"))


def test_closure(index: CodeIndex) -> None:
    closure = index.closure(["lab.a"])
    assert set(closure.modules) == {
        "lab", "lab.a", "lab.b", "lab.deep", "lab.deep.c", "lab.deep.d", "lab.side", "lab.far.away"
    }  # fmt: skip
    assert closure.outside == {"numpy", "yaml"}


def test_the_package_of_a_module_counts_but_not_its_other_modules(index: CodeIndex) -> None:
    assert set(index.closure(["single"]).modules) == {"single", "lab", "lab.side"}
    assert set(index.closure(["lab.alone"]).modules) == {"lab", "lab.alone"}


def test_a_module_that_appears_joins_the_closure(index: CodeIndex, tmp_path: Path) -> None:
    (tmp_path / "src/lab/side.py").write_text("try:\n    from lab import fast\nexcept ImportError:\n    fast = None\n")
    before = CodeIndex(tmp_path / "src", Memo(tmp_path / "memo.json")).closure(["lab.side"])
    (tmp_path / "src/lab/fast.py").write_text("")
    after = CodeIndex(tmp_path / "src", Memo(tmp_path / "memo.json")).closure(["lab.side"])
    assert set(after.modules) - set(before.modules) == {"lab.fast"}


def test_data_files_beside_a_module_count_but_not_those_of_other_packages(index: CodeIndex, tmp_path: Path) -> None:
    for name in ("lab/data.json", "lab/tables/deep/a.txt", "lab/deep/own.bin", "top.txt"):
        (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / name).write_text("x")
    for name in ("lab/.hidden", "lab/py.typed", "lab/b.pyi", "lab/__pycache__/b.pyc"):
        (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / name).write_text("x")
    assert set(index.closure(["single"]).data) == {"lab/data.json", "lab/tables/deep/a.txt"}
    assert set(index.closure(["lab.a"]).data) == {"lab/data.json", "lab/tables/deep/a.txt", "lab/deep/own.bin"}


def test_it_agrees_with_an_independent_import_graph() -> None:
    graph = grimp.build_graph("livingpaper", cache_dir=None)
    index = CodeIndex(Path(livingpaper.__file__).parents[1], Memo(Path("unused")))
    for module in ("livingpaper.build", "livingpaper.claims.report", "livingpaper.staleness.packages"):
        expected = graph.find_upstream_modules(module) | {module}
        found = set(index.closure([module]).modules)
        assert expected <= found
        # beyond it only what importing runs besides: packages' own __init__s and what those import
        extra = found - expected
        initialised = {name.rpartition(".")[0] for name in expected} | {"livingpaper"}
        reached = initialised.union(*(graph.find_upstream_modules(name) for name in initialised))
        assert extra <= reached


def test_pins_of_what_is_imported(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text(
        "# pins\npyyaml==6.0.1\nnumpy == 2.0 ; python_version > '3'\nother==1\n"
    )
    lock = Lock(tmp_path, Memo(tmp_path / "memo.json"))
    found = lock.entries({"yaml", "numpy", "no_such_package", "pytest"})
    assert found["pyyaml"] == "6.0.1"
    assert found["numpy"] == "2.0"
    assert found["no-such-package"] == "absent"
    assert found["pytest"] == f"{pytest.__version__} (not pinned)"
    assert set(found) == {"pyyaml", "numpy", "no-such-package", "pytest"}
