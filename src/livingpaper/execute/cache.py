"""Executed chapters by what they were executed on, kept by jupyter-cache.

jupyter-cache matches code cells, cell metadata and kernel, so an edited module would still hit; here a match is made
after the chapter's digest was injected as a parameter. A damaged entry counts as none.
"""

from pathlib import Path
from typing import Any

from livingpaper.notebooks import Notebook, outputs_digest


def find(folder: Path, prepared: Notebook) -> tuple[Notebook, list[str]] | None:
    """The prepared notebook with the outputs it once had, and what was read then; `None` if there are none."""
    try:
        cache = _open(folder)
        bundle = cache.get_cache_bundle(cache.match_cache_notebook(prepared).pk)
        about = bundle.record.data
        if about["outputs"] != outputs_digest(bundle.nb):
            return None
        _, merged = cache.merge_match_into_notebook(prepared)
        return merged, [str(name) for name in about["reads"]]
    except Exception:  # whatever is wrong with an entry, executing the chapter again is right
        return None


def keep(folder: Path, notebook: Notebook, reads: list[str], uri: str) -> None:
    """Store an executed chapter with what it read."""
    from jupyter_cache.base import CacheBundleIn

    bundle = CacheBundleIn(notebook, uri=uri, data={"reads": reads, "outputs": outputs_digest(notebook)})
    _open(folder).cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def _open(folder: Path) -> Any:
    from jupyter_cache import get_cache

    return get_cache(folder)
