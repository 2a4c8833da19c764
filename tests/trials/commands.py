"""Commands of the laboratory in processes of their own, quickly: they are forked from one that has torch already."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from formation.cli import main
from tests.formation.training.tiny import _CHILDREN, ROOT

RUN = "smoke-s1"
SIZES = (
    "model={d_model: 16, layers: 1, heads: 2, d_ff: 24, context: 120}",
    "benchmark.train_streams=64",
    "benchmark.evaluation_streams=12",
)
DENSE = "training={{steps: {steps}, batch: 8, warmup: 10, checkpoint_every: 2, log_every: 1, dtype: float32}}"


def formation(folder: Path, *words: str) -> int:
    """Exit code of a command of the laboratory, its artifacts in a folder, in this process."""
    os.environ["FORMATION_ARTIFACTS"] = str(folder)
    os.chdir(ROOT)
    sys.argv = ["formation", *words]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _command(folder: Path, words: tuple[str, ...], limits: Callable[[], None] | None) -> None:
    """As `formation`, in a process of its own that is quiet on the way."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(_err(folder), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 2)
    if limits:
        limits()
    sys.exit(formation(folder, *words))


def said(folder: Path) -> str:
    """What the last command on a folder said that was wrong."""
    return _err(folder).read_text()


def _err(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.err")


def run_command(
    folder: Path,
    *words: str,
    moment: float | None = None,
    number: int = 0,
    limits: Callable[[], None] | None = None,
) -> int | None:
    """Exit code of a command; at a moment it is sent the signal `number`, and it begins by taking its limits on."""
    process = _CHILDREN.Process(target=_command, args=(folder, words, limits))
    process.start()
    assert process.pid is not None
    process.join(moment)
    if process.exitcode is None:
        os.kill(process.pid, number)
    process.join()
    return process.exitcode


def prepare(folder: Path, steps: int) -> None:
    """A run and its benchmark, ready to be trained."""
    folder.mkdir()
    words = [word for size in (*SIZES, DENSE.format(steps=steps)) for word in ("--set", size)]
    for command in ("create-run", "generate-benchmark"):
        assert formation(folder, command, "--run", RUN, *words) == 0


def all_of(folder: Path) -> dict[str, bytes]:
    """Every file of the record, hidden ones included; logs are none of it."""
    paths = [path for path in (folder / "runs").rglob("*") if path.is_file() and "logs" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
