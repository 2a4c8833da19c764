"""Notebooks as data: parameters put in by papermill, and everything taken off that differs between two executions.

Imports nbformat and papermill, so it is imported only where a chapter has to be executed or reworded.
"""

import json
from pathlib import Path
from typing import Any

import nbformat
from papermill.parameterize import parameterize_notebook

from livingpaper.files import digest, write_text

DIGEST = "livingpaper_digest"
_INJECTED = "injected-parameters"
_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
Notebook = Any  # a nbformat.NotebookNode


def read(path: Path) -> Notebook:
    """The notebook in a file, as it stands there."""
    return nbformat.reads(path.read_text(encoding="utf-8"), nbformat.NO_CONVERT)


def write(path: Path, notebook: Notebook) -> None:
    """Write a notebook atomically, the same bytes for the same notebook."""
    write_text(path, nbformat.writes(notebook, nbformat.NO_CONVERT).rstrip("\n") + "\n")


def source(path: Path) -> Notebook:
    """A source notebook in format 4.5 with this project's kernel and lasting cell ids, whatever editor saved it."""
    notebook = nbformat.convert(read(path), 4)
    notebook.nbformat_minor = 5
    seen: set[str] = set()
    for number, cell in enumerate(notebook.cells):
        wanted = cell.get("id")
        cell["id"] = wanted if wanted and wanted not in seen else f"cell-{number}"
        seen.add(cell["id"])
        cell.metadata.setdefault("tags", [])  # papermill takes them for granted
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata = nbformat.from_dict({**notebook.metadata, "kernelspec": _KERNEL, "papermill": {}})
    return notebook


def inject(notebook: Notebook, run: str, preset: str, start: str) -> Notebook:
    """The notebook with papermill's cell of parameters: the run, the preset, and the digest of all it depends on."""
    values = {"run": run, "params": preset, DIGEST: start}
    out = parameterize_notebook(notebook, values, kernel_name="python3", language="python")
    for cell in out.cells:
        if _INJECTED in cell.metadata.get("tags", []):
            cell["id"] = _INJECTED
    return out


def without_digest(notebook: Notebook) -> Notebook:
    """A copy of an injected notebook without the line of the digest, which says nothing to a reader."""
    out = nbformat.from_dict(json.loads(json.dumps(notebook)))
    out.metadata.pop("papermill", None)
    for cell in out.cells:
        if cell.get("id") == _INJECTED:
            kept = [line for line in cell.source.split("\n") if not line.startswith(f"{DIGEST} = ")]
            cell.source = "\n".join(kept)
    return out


def without_volatile(executed: Notebook, prepared: Notebook) -> Notebook:
    """The executed notebook with the metadata it had before: no timings, no paths, no versions of tools."""
    for before, after in zip(prepared.cells, executed.cells, strict=True):
        after.metadata = before.metadata
    return _with_language(executed, prepared.metadata, executed.metadata)


def with_outputs(notebook: Notebook, executed: Notebook) -> Notebook | None:
    """`notebook` with the outputs of `executed`, or `None` if their code cells are not the same."""
    before, after = code_cells(executed), code_cells(notebook)
    if [cell.source for cell in before] != [cell.source for cell in after]:
        return None
    for was, now in zip(before, after, strict=True):
        now.outputs, now.execution_count = was.outputs, was.execution_count
    return _with_language(notebook, notebook.metadata, executed.metadata)


def outputs_digest(notebook: Notebook) -> str:
    """Digest of what the code cells say and gave."""
    return digest([[cell.source, cell.outputs, cell.execution_count] for cell in code_cells(notebook)])


def code_cells(notebook: Notebook) -> list[Any]:
    """The code cells, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _with_language(notebook: Notebook, metadata: Any, executed: Any) -> Notebook:
    """The notebook with lasting metadata only: its own, and the language the kernel reported."""
    language = {"language_info": executed["language_info"]} if "language_info" in executed else {}
    kept = {name: value for name, value in metadata.items() if name != "papermill"}
    notebook.metadata = nbformat.from_dict({**kept, **language})
    return notebook
