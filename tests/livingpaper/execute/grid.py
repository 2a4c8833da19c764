"""A real Dask cluster on this machine: a scheduler and workers, each a process of its own, on loopback."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEDULER = ("-m", "distributed.cli.dask_scheduler")
WORKER = ("-m", "distributed.cli.dask_worker")
LOOPBACK = ("--host", "127.0.0.1", "--no-dashboard")
Process = "subprocess.Popen[bytes]"


def soon(condition: Callable[[], object], seconds: float = 60.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Grid:
    """A scheduler, and workers that are started and killed as a test pleases."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self._environment = environment
        file = folder / "scheduler.json"
        self.scheduler = self._start(*SCHEDULER, *LOOPBACK, "--port", "0", "--scheduler-file", str(file))
        assert soon(file.is_file), self.said(self.scheduler)
        self.address = str(json.loads(file.read_text())["address"])

    def worker(self, program: tuple[str, ...] = WORKER, threads: int = 1, *options: str) -> "subprocess.Popen[bytes]":
        """Start a worker and wait until the scheduler knows it."""
        more = options or ("--no-nanny",)
        words = (self.address, *LOOPBACK, "--nthreads", str(threads), "--local-directory", str(self.folder), *more)
        process = self._start(*program, *words)
        assert soon(lambda: "Registered to" in self.said(process)), self.said(process)
        return process

    def said(self, process: "subprocess.Popen[bytes]") -> str:
        """What a process of the cluster logged."""
        return (self.folder / f"{self.processes.index(process)}.log").read_text()

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        """End a process as a power cut does."""
        process.kill()
        process.wait()

    def close(self) -> None:
        """End what still runs, workers first."""
        for process in reversed(self.processes):
            if process.poll() is None:
                self.kill(process)

    def _start(self, *words: str) -> "subprocess.Popen[bytes]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVINGPAPER_")}
        environment |= {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s", **self._environment}
        with (self.folder / f"{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *words], cwd=self.folder, env=environment, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process


@contextmanager
def grid(folder: Path, workers: int = 0, **environment: str) -> Iterator[Grid]:
    """A cluster for the length of a `with`."""
    made = Grid(folder, **environment)
    try:
        for _ in range(workers):
            made.worker()
        yield made
    finally:
        made.close()
