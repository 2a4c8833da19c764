"""Executed chapters by what they were executed on, kept by jupyter-cache.

jupyter-cache matches code cells, cell metadata and kernel, so an edited module would still hit; here a match is made
after the chapter's digest was injected as a parameter, and only if every file it read is as it was. A damaged entry
counts as none, a damaged store is begun anew.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from livingpaper.errors import PressError
from livingpaper.notebooks import Notebook, outputs_digest
from livingpaper.room import no_room

_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR")  # the last: a table or column is not there


def find(
    folder: Path, prepared: Notebook, now: Callable[[str], str | None]
) -> tuple[Notebook, dict[str, str | None]] | None:
    """The prepared notebook with the outputs it once had, and the digest of each file that was read then.

    `None` if there are none, or if any of those files is another by now; `now` gives the digest of a file.
    """
    try:
        cache = _open(folder)
        bundle = cache.get_cache_bundle(cache.match_cache_notebook(prepared).pk)
        about = bundle.record.data
        if about["outputs"] != outputs_digest(bundle.nb):
            return None
        reads = {str(name): then for name, then in about["reads"].items()}
        if any(now(name) != then for name, then in reads.items()):
            return None
        _, merged = cache.merge_match_into_notebook(prepared)
        return merged, reads
    except Exception:  # whatever is wrong with an entry, executing the chapter again is right
        return None


def keep(folder: Path, notebook: Notebook, reads: Mapping[str, str | None], uri: str) -> None:
    """Store an executed chapter with the digest of each file it read; `PressError` if it cannot be."""
    try:
        _keep(folder, notebook, reads, uri)
        return
    except Exception as error:
        if not _damaged(error):
            raise PressError(_reason(error, folder, notebook)) from None
    shutil.rmtree(folder)
    try:
        _keep(folder, notebook, reads, uri)
    except Exception as error:
        raise PressError(_reason(error, folder, notebook)) from None


def _keep(folder: Path, notebook: Notebook, reads: Mapping[str, str | None], uri: str) -> None:
    from jupyter_cache.base import CacheBundleIn

    cache = _open(folder)
    # a kill can leave an entry's folder without its notebook, over which jupyter-cache stumbles
    shutil.rmtree(folder / "executed" / cache.create_hashed_notebook(notebook)[1], ignore_errors=True)
    bundle = CacheBundleIn(notebook, uri=uri, data={"reads": dict(reads), "outputs": outputs_digest(notebook)})
    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def _open(folder: Path) -> Any:
    from jupyter_cache import get_cache

    return get_cache(folder)


def _damaged(error: Exception) -> bool:
    """Whether the store's own database is not one."""
    return getattr(_cause(error), "sqlite_errorname", "").startswith(_DAMAGED)


def _cause(error: BaseException) -> BaseException:
    """What SQLite said, below what jupyter-cache and SQLAlchemy tell around it; else the error itself."""
    below: BaseException | None = error
    while below is not None and not hasattr(below, "orig"):
        below = below.__cause__ or below.__context__
    return error if below is None else below.orig or error


def _reason(error: Exception, folder: Path, notebook: Notebook) -> str:
    """Why an executed chapter could not be stored, in one line."""
    if isinstance(error, OSError):
        import nbformat

        needed = len(nbformat.writes(notebook).encode())
        reason = no_room(error, Path(error.filename or folder), needed)
        if reason:
            return f"{reason}; make room and build again"
    said = " ".join(str(_cause(error)).split())
    return f"{folder}: an executed chapter cannot be kept ({said}); make room or delete the folder, and build again"
