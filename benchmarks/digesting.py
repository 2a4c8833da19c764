"""Is a gigabyte of artifacts as it was? The memo of the press beside sha256sum, DVC and git on the same files."""

import os
import sys
from itertools import count
from pathlib import Path
from shutil import which

from benchmarks import peers
from benchmarks.measuring import Contender, interleaved, timed
from benchmarks.places import ROOT
from benchmarks.results import Results, Row, beside

LIMIT = 0.3  # seconds
FILES = 16
# what a build does for every file of its artifacts; the memo's folder is the first argument
_MEMO = """\
import sys
from pathlib import Path
from livingpaper.staleness.memo import Memo
memo = Memo(Path(sys.argv[1]))
found = [memo.digest(path) for path in sorted(Path("data").iterdir())]
memo.save()
print(len(found), "digests")
"""


def measure(folder: Path, results: Results, repeats: int, megabytes: int = 1024) -> None:
    """Unchanged, one file of sixteen changed, and for the first time."""
    root = folder / "digesting"
    files = _write(root / "data", megabytes)
    unchanged = _memo("unchanged", root)
    timed(unchanged)
    words = ["sha256sum", *(f"data/{file.name}" for file in files)]
    sums = Contender("sha256sum", words, root, called="sha256sum data/*")
    others = {peers.versioned("sha256sum"): sums, **_git(root), **_dvc(root, results)}
    measured = interleaved([unchanged, *others.values()], repeats)
    size = f"{megabytes / 1024:.3g} GB in {FILES} files"
    results.rows += beside(f"{size}, unchanged", unchanged, measured, others, LIMIT)
    turns = count(1)
    changed = _memo("changed", root, lambda: _change(files[0], next(turns)))
    first = _memo("first", root, lambda: (root / "memo.json").unlink(missing_ok=True))
    again = interleaved([changed], repeats, warm=False) | interleaved([first, sums], repeats, warm=False)
    results.rows.append(Row(f"{size}, one file changed", changed.shown, again["changed"]))
    results.rows += beside(f"{size}, for the first time", first, again, {peers.versioned("sha256sum"): sums})


def _memo(name: str, root: Path, before: object = None) -> Contender:
    command = [sys.executable, "-c", _MEMO, "memo.json"]
    ready = before if callable(before) else (lambda: None)
    return Contender(
        name, command, root, ready, {"PYTHONPATH": str(ROOT / "src")}, f"{FILES} digests", "Memo.digest of each file"
    )


def _write(folder: Path, megabytes: int) -> list[Path]:
    """Files of noise, old enough to be remembered."""
    folder.mkdir(parents=True)
    noise = os.urandom(megabytes * 1024 * 1024 // FILES)
    files = [folder / f"part_{number:02d}.bin" for number in range(FILES)]
    for number, file in enumerate(files):
        file.write_bytes(number.to_bytes(8, "big") + noise)
        os.utime(file, (1e9, 1e9))
    return files


def _change(file: Path, number: int) -> None:
    with open(file, "r+b") as data:
        data.seek(16)
        data.write(number.to_bytes(8, "big"))


def _git(root: Path) -> dict[str, Contender]:
    """`git status` of files that git has been given."""
    program = which("git")
    if program is None:
        return {}
    for words in (["init", "-q"], ["-c", "core.compression=0", "add", "data"]):
        timed(Contender("git", [program, *words], root))
    return {peers.versioned("git"): Contender("git", [program, "status", "--short", "data"], root)}


def _dvc(root: Path, results: Results) -> dict[str, Contender]:
    """`dvc status` of a folder that DVC was given, in a project of its own."""
    program = peers.find("dvc")
    if program is None:
        results.missing.append(peers.spoken("dvc"))
        return {}
    own = root / "dvc"
    own.mkdir()
    environment = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(own / "site"), "HOME": str(own)}
    (own / "data").mkdir()
    for file in (root / "data").iterdir():
        os.link(file, own / "data" / file.name)
    for words in (["init", "-q", "--no-scm"], ["config", "cache.type", "hardlink"], ["add", "-q", "data"]):
        timed(Contender("dvc", [program, *words], own, environment=environment))
    says = "up to date"
    return {peers.spoken("dvc"): Contender("dvc", [program, "status"], own, environment=environment, says=says)}
