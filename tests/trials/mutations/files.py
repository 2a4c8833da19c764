"""Mutations of what the press and the laboratory wrote: artifacts, records, times."""

import os
import shutil
from pathlib import Path

from tests.trials.mutations.text import word
from tests.trials.mutations.world import World

ARTIFACTS = "artifacts/**/*"


def damaged(world: World) -> str | None:
    """An artifact edited, cut off, lengthened, emptied, exchanged or deleted."""
    path = world.pick(ARTIFACTS)
    if path is None:
        return None
    data, chance = path.read_bytes(), world.chance
    other = world.pick(ARTIFACTS)
    deeds = {
        "a byte flipped": lambda: _flipped(data, len(data) // 2),
        "cut off": lambda: data[: chance.randrange(len(data))],
        "lengthened": lambda: data + b" ",
        "emptied": lambda: b"",
        "exchanged": lambda: other.read_bytes() if other else data,
    }
    deed = chance.choice([*deeds, "deleted"])
    if deed == "deleted":
        path.unlink()
    elif not data or deeds[deed]() == data:
        return None
    else:
        _write_hidden(path, deeds[deed]())
    return f"{world.name(path)} {deed}"


def same_bytes(world: World) -> str | None:
    """An artifact written anew with the same bytes, or moved and moved back, or a link to its like."""
    path = world.pick(ARTIFACTS)
    if path is None:
        return None
    data, deed = path.read_bytes(), world.chance.choice(["written anew", "moved and moved back", "linked"])
    if deed == "moved and moved back":
        elsewhere = path.with_name(word(world.chance))
        path.rename(elsewhere)
        elsewhere.rename(path)
    else:
        path.unlink()
        if deed == "linked":
            store = world.root / "elsewhere" / word(world.chance)
            store.parent.mkdir(exist_ok=True)
            store.write_bytes(data)
            path.symlink_to(store)
        else:
            path.write_bytes(data)
    return f"{world.name(path)} {deed}, the same bytes"


def foreign(world: World) -> str | None:
    """A file that no stage wrote, among outputs or beside them, visible or hidden."""
    path = world.pick(ARTIFACTS)
    if path is None:
        return None
    name = world.chance.choice(["part_{}.json", "{}.txt", ".part_{}"]).format(word(world.chance))
    (path.parent / name).write_text("[1]")
    return f"{name} beside {world.name(path)}"


def times(world: World) -> str:
    """Times and rights of some or all files."""
    everything = [path for path in world.root.rglob("*") if path.is_file() and not path.is_symlink()]
    some = everything if world.chance.random() < 0.3 else world.chance.sample(sorted(everything), 9)
    when = world.chance.choice([1, 2_000_000_000, 4_000_000_000])
    for path in some:
        os.utime(path, (when, when))
    world.chance.choice(some).chmod(0o666)
    return f"times of {len(some)} files"


def record(world: World) -> str | None:
    """The press's record of one execution damaged or gone."""
    path = world.pick("build/manifests/*/*.json")
    if path is None or path.stem.startswith("_"):
        return None
    data, deed = path.read_bytes(), world.chance.choice(["gone", "cut off", "edited", "nonsense"])
    if b'"seal"' not in data:
        return None  # damaged before
    if deed == "gone":
        path.unlink()
    else:
        middle = data.index(b'"seal"') + 12
        edited = _flipped(data, middle)
        path.write_bytes({"cut off": data[: len(data) // 2], "edited": edited, "nonsense": b"[]"}[deed])
    world.forgotten.add(f"{path.parent.name}/{path.stem}")
    return f"{world.name(path)} {deed}"


def memo(world: World) -> str | None:
    """The press's memory damaged or gone: it only saves time."""
    path = world.root / "build/memo.json"
    if not path.is_file():
        return None
    data, chance = path.read_bytes(), world.chance
    deed = chance.choice(["gone", "cut off", "nonsense", "a byte flipped", "of wrong kinds"])
    place = chance.randrange(len(data))
    damage = {
        "cut off": data[: len(data) // 2],
        "nonsense": chance.choice([b"[]", b"3", b"\xff\xfe", b"{}"]),
        "a byte flipped": _flipped(data, place),
        "of wrong kinds": b'{"schema": "memo/2", "files": {}, "facts": [1]}',
    }
    if deed == "gone":
        path.unlink()
    else:
        path.write_bytes(damage[deed])
    return f"the memo {deed}"


def logs(world: World) -> str:
    """Logs, scratch files and caches of Python deleted."""
    shutil.rmtree(world.root / "build/logs", ignore_errors=True)
    for folder in sorted(world.root.rglob("__pycache__")):
        shutil.rmtree(folder)
    return "logs and caches deleted"


WRITTEN_BY_MACHINES = [damaged, damaged, damaged, same_bytes, foreign, times, record, memo, logs]


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def _write_hidden(path: Path, data: bytes) -> None:
    """Write in place, and give the file its old times back, so that nothing but its content tells."""
    about = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
