"""Mutations of what people write as code: edits, moves, new modules."""

import random
from collections.abc import Callable
from pathlib import Path

from tests.trials.mutations.meaningful import MEANINGFUL, importing
from tests.trials.mutations.neutral import NEUTRAL
from tests.trials.mutations.text import Source, word
from tests.trials.mutations.world import World

_SHADOW = """
X = {!r}


class Random:
    def __init__(self, seed):
        self.seed = len(seed)

    def randint(self, low, high):
        self.seed += 3
        return low + self.seed % (high - low + 1)
"""
_ANY = ("json", "colorsys", "numpy", "yaml", "sched", "not_there_at_all")


def neutral(world: World) -> str | None:
    """Comments, docstrings, layout or spelling of one module."""
    path = world.pick("src/*/**/*.py")
    assert path is not None
    before, edit = path.read_bytes(), world.chance.choice(NEUTRAL)
    after = edited(before, edit, world.chance)
    if after is None:
        return None
    path.write_bytes(after)
    world.reader.meanings.keep(before, after)
    return f"{edit.__name__} in {world.name(path)}"


def meaningful(world: World) -> str | None:
    """What one module says."""
    path = world.pick("src/*/**/*.py")
    assert path is not None
    before, edit = path.read_bytes(), world.chance.choice(MEANINGFUL)
    after = edited(before, edit, world.chance)
    return None if after is None else _kept(world, path, after, f"another {edit.__name__} in {world.name(path)}")


def new_import(world: World) -> str | None:
    """An import more, within a function: of a module of the project, or from outside."""
    path = world.pick("src/*/**/*.py")
    assert path is not None
    modules = [_dotted(world, other) for other in world.files("src/*/**/*.py") if other != path]
    target = world.chance.choice(modules if world.chance.random() < 0.6 else list(_ANY))
    after = edited(path.read_bytes(), lambda source, chance: importing(source, chance, target), world.chance)
    return None if after is None else _kept(world, path, after, f"import of {target} in {world.name(path)}")


def module_nobody_imports(world: World) -> str:
    """A new module that nothing imports."""
    folder = world.chance.choice(sorted({path.parent for path in world.files("src/*/**/*.py")}))
    path = folder / f"{word(world.chance)}.py"
    path.write_text(f"import json\n\nX = {world.chance.random()!r}\n")
    return f"new module {world.name(path)}"


def data_file(world: World) -> str:
    """A file in a package that is no Python: new, edited or gone; hidden ones and marks for type checkers are none."""
    folder = world.chance.choice(sorted({path.parent for path in world.files("src/*/**/*.py")}))
    found = [path for path in world.files("src/*/**/*") if path.suffix in (".json", ".txt")]
    if found and world.chance.random() < 0.5:
        path = world.chance.choice(found)
        path.unlink()
        return f"{world.name(path)} gone"
    path = folder / world.chance.choice(["{}.json", "tables/{}.txt", "tables/deep/a.json", ".{}", "py.typed"]).format(
        word(world.chance)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(word(world.chance))
    return f"data file {world.name(path)}"


def there_and_back(world: World) -> str:
    """A module moved, and moved back."""
    path = world.pick("src/*/**/*.py")
    assert path is not None
    elsewhere = path.with_name(f"{word(world.chance)}.py")
    path.rename(elsewhere)
    elsewhere.rename(path)
    return f"{world.name(path)} moved and moved back"


def turned_into_package(world: World) -> str | None:
    """A module `x.py` that becomes `x/__init__.py`, its relative imports aside the same code at another place."""
    path = world.pick("src/*/**/*.py")
    assert path is not None
    if path.name == "__init__.py" or path.with_suffix("").exists() or b"from ." in path.read_bytes():
        return None
    if b"__main__" in path.read_bytes() or b"__file__" in path.read_bytes():
        return None  # a package is not run by its name, and lies deeper
    package = path.with_suffix("")
    package.mkdir()
    path.rename(package / "__init__.py")
    return f"{world.name(path)} turned into a package"


def renamed_with_importers(world: World) -> str | None:
    """A module with another name, in its importers too."""
    path = world.pick("src/*/**/*.py")
    assert path is not None
    old, new = path.stem, word(world.chance)
    if old == "__init__" or _dotted(world, path) in (world.root / "paper/workflow.yml").read_text():
        return None
    edits = {}
    for other in world.files("src/*/**/*.py"):
        data = other.read_text(encoding="utf-8-sig")
        text = data.replace(f".{old} import", f".{new} import").replace(f" import {old}\n", f" import {new} as {old}\n")
        edits |= {other: text} if text != data else {}
    notebooks = [note for note in world.files("chapters/*.ipynb") if old in note.read_text()]
    if not edits or notebooks:
        return None
    before = {other: other.read_bytes() for other in [path, *edits]}
    for other, text in edits.items():
        other.write_text(text)
    path.rename(path.with_name(f"{new}.py"))
    if world.shown():
        return f"{world.name(path)} renamed to {new}.py with its importers"
    path.with_name(f"{new}.py").unlink()
    for other, data in before.items():
        other.write_bytes(data)
    return None


def shadowing(world: World) -> str | None:
    """A module of the project with the name of one of Python's own: it is found first."""
    name = world.chance.choice(["statistics", "colorsys", "random", "math", "sched"])
    path = world.root / "src" / f"{name}.py"
    if path.exists():
        return None
    body = _SHADOW.format(world.chance.random())
    return _kept(world, path, body.encode(), f"new module {world.name(path)} that shadows Python's")


def _kept(world: World, path: Path, after: bytes, says: str) -> str | None:
    """Write an edit, and take it back if the laboratory then no longer does its work."""
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(after)
    if world.shown():
        return says
    if before is None:
        path.unlink()
    else:
        path.write_bytes(before)
    return None


def edited(data: bytes, edit: Callable[[Source, random.Random], bytes | None], chance: random.Random) -> bytes | None:
    """The edited source, `None` if the edit does not apply or gives no Python."""
    after = edit(Source(data), chance)
    if after is None or after == data:
        return None
    try:
        compile(after, "edited", "exec", dont_inherit=True)
    except SyntaxError:
        return None
    return after


def _dotted(world: World, path: Path) -> str:
    parts = path.relative_to(world.root / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


CODE = [
    neutral, neutral, meaningful, meaningful, meaningful, new_import, module_nobody_imports, there_and_back, data_file,
    turned_into_package, renamed_with_importers, shadowing,
]  # fmt: skip
