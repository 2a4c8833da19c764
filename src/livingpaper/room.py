"""What to say when a disk takes no more: which file, how many bytes did not fit, how many are free."""

import errno
import resource
import shutil
from pathlib import Path


def no_room(error: OSError, path: Path, needed: int) -> str | None:
    """One clause on why `needed` bytes did not fit into `path`; `None` if the error is about something else."""
    if error.errno == errno.ENOSPC:
        return f"{path}: the disk is full: {needed:,} bytes do not fit, {_free(path):,} are free"
    if error.errno == errno.EDQUOT:
        return f"{path}: the disk quota is used up: {needed:,} bytes do not fit"
    if error.errno == errno.EFBIG:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        most = f"{limit:,} bytes (ulimit -f)" if limit != resource.RLIM_INFINITY else "its file system takes"
        return f"{path}: no file may be larger than {most}: {needed:,} bytes do not fit"
    return None


def told(error: OSError) -> str:
    """An error of the system in one clause, with the file if it is known."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)


def _free(path: Path) -> int:
    """Free bytes where `path` lies; folders that do not exist yet lie where their nearest parent does."""
    return shutil.disk_usage(next(folder for folder in (path, *path.parents) if folder.is_dir())).free
