"""The workers of a Dask cluster as an executor: same jobs, same shared folder, other machines.

The build holds a lease, a locked file in `build/cluster/`, as long as it lives; a worker ends a job whose build gave
its lease back or died (see `remote.py`). Workers may come and go: each is looked at before it counts.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from livingpaper.errors import ClusterError, PressError
from livingpaper.execute.claim import at_work
from livingpaper.execute.connecting import RPC, admit, connect
from livingpaper.execute.lease import Lease
from livingpaper.execute.processes import Ended, Job
from livingpaper.execute.remote import Pact, hold, survey
from livingpaper.project import Project

if TYPE_CHECKING:
    from distributed import Client

_FIRST = 3.0  # seconds given to workers that are just starting
_PATIENCE = 30.0  # seconds without any worker, after which a build gives up
_LOOK = 1.0  # seconds between looks at who is there
_ENDING = 15.0  # seconds given to jobs whose build ends
_KILLED = 137  # exit code of a process that was killed


@contextmanager
def open_cluster(address: str, project: Project) -> Iterator["Cluster"]:
    """The cluster behind a scheduler's address, checked; `ClusterError` names what is wrong with it."""
    client = connect(address)
    try:
        with Lease(project.build / "cluster") as lease:
            pact = Pact(str(project.root), str(lease.path), survey())
            with Cluster(client, address, pact, lease) as cluster:
                yield cluster
    finally:
        client.close(timeout=2)


class Cluster(Executor):
    """Runs jobs on the workers of a cluster; `slots` says how many threads they have together just now."""

    def __init__(self, client: "Client", address: str, pact: Pact, lease: Lease) -> None:
        self._client = client
        self._address = address
        self._pact = pact
        self._lease = lease
        self._executor = client.get_executor(pure=False)
        self._placed: dict[str, tuple[str, int]] = {}  # worker and threads by the key of each unfinished job
        self._threads: dict[str, int] = {}  # by worker
        self._unfit: dict[str, str] = {}  # why, by worker
        self._looked = 0.0
        self._seen = time.monotonic()
        self._lost = False
        self._number = 0
        self._begin()

    def standing(self) -> str:
        """Who is there, for people."""
        workers, slots = len(self._threads), sum(self._threads.values())
        said = f"{workers} worker{'s' * (workers != 1)} with {slots} thread{'s' * (slots != 1)}"
        return "; left out: ".join([said, *self._unfit.values()])

    def slots(self) -> int:
        """Threads of all workers that are there and fit; `ClusterError` if nobody was for long."""
        if self._lost:
            raise self._broken()
        if time.monotonic() - self._looked >= _LOOK:
            self._look()
        if not self._threads and time.monotonic() - self._seen > _PATIENCE:
            raise ClusterError(
                f"cluster {self._address}: all workers are gone, since {_PATIENCE:.0f} s; everything finished is kept: "
                "start workers and build again"
            )
        return sum(self._threads.values())

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Send a job to the worker with most threads to spare; if that one is lost, the scheduler finds another."""
        (job,) = args
        self._number += 1
        key = f"livingpaper-{self._lease.path.stem}-{self._number}"
        worker = roomiest(self._threads, self._load())
        self._placed[key] = (worker, job.threads)
        inner = self._executor.submit(
            hold, self._pact, fn, job, key=key, workers=[worker], allow_other_workers=True, **kwargs
        )
        outer: Future[Ended] = Future()
        outer.set_running_or_notify_cancel()
        inner.add_done_callback(lambda _: self._deliver(key, job, inner, outer))
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Give the lease back, at which every job still running ends, and wait until they have."""
        self._lease.release()
        deadline = time.monotonic() + _ENDING
        while wait and self._placed and at_work(self._lease.folder) and time.monotonic() < deadline:
            time.sleep(0.1)

    def _begin(self) -> None:
        """Look who is there; the build does not begin with a worker that does not fit, nor without any."""
        deadline = time.monotonic() + _FIRST
        while not self._threads and time.monotonic() < deadline:
            self._look(strict=True)
            time.sleep(0 if self._threads else 0.2)
        if not self._threads:
            raise ClusterError(
                f"cluster {self._address}: no worker is connected; start some: dask worker {self._address}"
            )

    def _look(self, strict: bool = False) -> None:
        """Count the workers; new ones have to fit."""
        self._looked = time.monotonic()
        try:
            present = self._client.sync(self._client.nthreads, callback_timeout=RPC)
        except Exception:  # whatever distributed calls a scheduler that does not answer
            self._lost = self._client.status != "running"
            return
        wrong = admit(self._client, self._pact, sorted(set(present) - set(self._threads) - set(self._unfit)))
        if wrong and strict:
            raise ClusterError(next(iter(wrong.values())))
        self._unfit = {worker: why for worker, why in (self._unfit | wrong).items() if worker in present}
        self._threads = {worker: number for worker, number in present.items() if worker not in self._unfit}
        self._seen = self._looked if self._threads else self._seen

    def _load(self) -> Counter[str]:
        """Threads taken on each worker, by where the scheduler says that jobs are now."""
        try:
            processing = self._client.sync(self._client.processing, callback_timeout=RPC)
        except Exception:  # as above; then by where they were sent
            processing = {}
        now = {key: worker for worker, keys in processing.items() for key in keys}
        taken: Counter[str] = Counter()
        for key, (worker, threads) in list(self._placed.items()):
            taken[now.get(key, worker)] += threads
        taken.update(worker for key, worker in now.items() if key not in self._placed)
        return taken

    def _deliver(self, key: str, job: Job, inner: "Future[Ended]", outer: "Future[Ended]") -> None:
        """Hand a job's end on, in the press's own words."""
        self._placed.pop(key, None)
        try:
            outer.set_result(inner.result())
        except PressError as error:
            outer.set_exception(error)
        except CancelledError:  # the scheduler knows the job no more: it was lost, or is another
            self._lost = True
            outer.set_exception(self._broken())
        except Exception as error:
            with suppress(OSError), open(job.log, "a", encoding="utf-8") as log:
                log.write(f"\n{_spoken(error)}\n")
            outer.set_result(Ended(_KILLED, 0.0))

    def _broken(self) -> ClusterError:
        return ClusterError(f"cluster {self._address}: the connection to the scheduler broke; build again to go on")


def roomiest(threads: dict[str, int], taken: Counter[str]) -> str:
    """The worker with the most threads to spare; of equals the one with the least to do, then the first by name."""
    return min(threads, key=lambda worker: (taken[worker] - threads[worker], taken[worker], worker))


def _spoken(error: Exception) -> str:
    """What distributed says of a job it could not carry out."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        number = error.allowed_failures + 1
        died = "1 worker died while it ran this:" if number == 1 else f"{number} workers died while they ran this, last"
        return f"{died} {error.last_worker.address}; look at its log (its memory?)"
    return f"the cluster could not run this: {type(error).__name__}: {str(error).splitlines()[0][:200]}"
