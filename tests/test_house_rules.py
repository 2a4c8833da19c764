"""The two halves stay apart, and the tree keeps its own rules."""

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def imports(package: str) -> dict[Path, set[str]]:
    """Top-level names imported anywhere in each file of a package, function bodies included."""
    found: dict[Path, set[str]] = {}
    for file in (ROOT / "src" / package).rglob("*.py"):
        names: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
        found[file] = names
    return found


@pytest.mark.parametrize(
    ("package", "forbidden"), [("formation", {"livingpaper"}), ("livingpaper", {"formation", "torch"})]
)
def test_the_halves_do_not_import_each_other(package: str, forbidden: set[str]) -> None:
    files = imports(package)
    assert files
    assert {file.name: names & forbidden for file, names in files.items() if names & forbidden} == {}


def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_machine_path_is_tracked() -> None:
    path = re.compile(rb"(^|[^\w.])/(?:root|home/\w+|work|Users)/\w")
    assert [file.name for file in tracked() if path.search(file.read_bytes()) and file.suffix != ".lock"] == []


def test_chapters_are_committed_without_outputs() -> None:
    for notebook in sorted((ROOT / "chapters").glob("*.ipynb")):
        cells = json.loads(notebook.read_text())["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code), notebook.name
        assert any("parameters" in cell["metadata"].get("tags", []) for cell in code), notebook.name
        assert all(isinstance(cell["source"], list) for cell in cells), notebook.name


@pytest.mark.parametrize("name", ["room.py", "yamlbounds.py"])
def test_what_both_halves_need_is_the_same_in_both(name: str) -> None:
    """The halves may not import each other, so each has its own copy."""
    ours, theirs = (ROOT / "src" / half / name for half in ("formation", "livingpaper"))
    assert ours.read_bytes() == theirs.read_bytes()
