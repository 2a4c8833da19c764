"""Executes one prepared notebook by papermill: `python -m livingpaper.execute.chapter PREPARED EXECUTED`.

Runs in a process of its own. The kernel is this very Python, whatever kernels are installed for the user. When a cell
raises, the notebook up to there is written with a small file beside it that names the cell; the exit code is then 3.
What is written is written whole or not at all; the exit code is 2 where it could not be.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook, remove_error_markers
from papermill.iorw import papermill_io

from livingpaper import notebooks
from livingpaper.errors import PressError
from livingpaper.execute.outcomes import RAISED
from livingpaper.files import write_json, write_text
from livingpaper.room import told

_STARTUP = 120  # seconds a kernel may take to start on a busy machine
_WHOLE = "whole:"  # before a path: papermill writes there through `Whole`


class ThisPython(AsyncKernelManager):
    """Starts kernels with the Python that runs the press, spoken to through sockets in a folder of their own.

    No port is opened: nobody else can connect, and kernels that start at once cannot take each other's port.
    """

    def __init__(self, **options: Any) -> None:
        runtime = os.environ.get("JUPYTER_RUNTIME_DIR", "")
        short = 0 < len(runtime) < 60 and Path(runtime).is_dir()  # the path of a socket has 107 bytes at most
        self._sockets = TemporaryDirectory(prefix="chapter-", dir=runtime if short else None)
        super().__init__(transport="ipc", ip=f"{self._sockets.name}/kernel", **options)

    @property
    def kernel_spec(self) -> KernelSpec:
        """The one kernel there is."""
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


class Whole:
    """Papermill's way to a file, made atomic: a full disk is told in one line and leaves nothing half-written."""

    def write(self, text: str, path: str) -> None:
        """Write a notebook."""
        write_text(Path(path.removeprefix(_WHOLE)), text)

    def pretty_path(self, path: str) -> str:
        """The path as papermill's log shows it."""
        return path.removeprefix(_WHOLE)


def main(prepared: Path, executed: Path) -> int:
    """Execute `prepared` into `executed`; 0, or 3 if a cell raised, or 2 if the result cannot be written."""
    try:
        return _execute(prepared, executed)
    except PressError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(told(error), file=sys.stderr)
    return 2


def _execute(prepared: Path, executed: Path) -> int:
    papermill_io.register(_WHOLE, Whole())
    try:
        execute_notebook(
            prepared,
            f"{_WHOLE}{executed}",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            request_save_on_cell_execute=False,
            start_timeout=_STARTUP,
            cwd=os.getcwd(),
            kernel_manager_class=ThisPython,
            coalesce_streams=True,
        )
    except PapermillExecutionError as error:
        _explain(error, executed)
        print("\n".join(error.traceback), file=sys.stderr)
        return RAISED
    return 0


def _explain(error: Any, executed: Path) -> None:
    """Take papermill's own marks off the notebook and write down which cell of the source raised what."""
    notebook = remove_error_markers(notebooks.read(executed))
    notebooks.write(executed, notebook)
    before = notebook.cells[: error.cell_index]
    injected = any("injected-parameters" in cell.metadata.get("tags", []) for cell in before)
    about = {
        "cell": error.cell_index + (0 if injected else 1),
        "name": error.ename,
        "message": str(error.evalue).strip().split("\n")[0][:300],
    }
    write_json(executed.with_suffix(".error"), about)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
