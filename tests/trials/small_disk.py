"""A disk of few bytes, really full: a tmpfs of its own size, filled to the last byte by a ballast."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_BALLAST = ".ballast"


class SmallDisk:
    """The disk mounted at a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def free(self) -> int:
        """Bytes that still fit."""
        return shutil.disk_usage(self.folder).free

    def fill(self, leaving: int = 0) -> None:
        """Use up all but about `leaving` bytes: the disk gives pages of 4 KiB."""
        with (self.folder / _BALLAST).open("ab", buffering=0) as ballast:
            while self.free > leaving:
                try:
                    ballast.write(b"\1" * min(self.free - leaving, 1 << 20))
                except OSError:
                    return

    def empty(self) -> None:
        """Take the ballast off."""
        (self.folder / _BALLAST).unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """Mount a disk of `size` bytes over a folder, its content copied onto it; skip where nobody may mount."""
    folder.mkdir(parents=True, exist_ok=True)
    before = Path(tempfile.mkdtemp(prefix="before-"))
    shutil.copytree(folder, before, symlinks=True, dirs_exist_ok=True)
    options = f"size={size},nr_inodes=10000"
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False) if shutil.which("mount") else None
    if done is None or done.returncode:
        shutil.rmtree(before)
        pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.strip() if done else 'no mount here'}")
    try:
        shutil.copytree(before, folder, symlinks=True, dirs_exist_ok=True)
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(before)
