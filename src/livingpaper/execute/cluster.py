"""The workers of a Dask cluster as an executor: same jobs, same shared folder, other machines.

The build holds a lease, a locked file in `build/cluster/`, as long as it lives; a worker ends a job whose build gave
its lease back or died (see `remote.py`). Workers may come and go: each is looked at before it counts.
"""

import time
from collections import Counter
from collections.abc import Callable, Container, Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
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

_FIRST = 5.0  # seconds given to workers that are just starting
_PATIENCE = 30.0  # seconds without any worker, after which a build gives up
_LOOK = 1.0  # seconds between looks at who is there
_ENDING = 15.0  # seconds given to jobs whose build ends
_ALLOWED = 3  # workers that may die over a job
_KILLED = 137  # exit code of a process that was killed


@dataclass
class _Sent:
    """A job on its way: to which worker, and how many workers were lost over it."""

    run: Callable[..., Ended]
    job: Job
    outer: "Future[Ended]"
    worker: str = ""
    lost: int = 0
    inner: "Future[Ended]" = field(default_factory=Future)


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
        self._sent: dict[str, _Sent] = {}  # by the key of each unfinished job
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
        """Send a job to the worker with most threads to spare; if that one is lost, another gets it."""
        (job,) = args
        outer: Future[Ended] = Future()
        outer.set_running_or_notify_cancel()
        self._send(_Sent(fn, job, outer))
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Give the lease back, at which every job still running ends, and wait until they have."""
        self._lease.release()
        deadline = time.monotonic() + _ENDING
        while wait and self._sent and at_work(self._lease.folder) and time.monotonic() < deadline:
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
        if self._threads:
            self._send_again(present)

    def _send(self, sent: "_Sent") -> None:
        """Send a job to one worker and no other: whether a worker fits is known here, not to the scheduler."""
        self._number += 1
        key = f"livingpaper-{self._lease.path.stem}-{self._number}"
        sent.worker = roomiest(self._threads, self._load())
        self._sent[key] = sent
        inner = sent.inner = self._executor.submit(hold, self._pact, sent.run, sent.job, key=key, workers=[sent.worker])
        inner.add_done_callback(lambda _: self._deliver(key, inner))

    def _send_again(self, present: Container[str]) -> None:
        """Send the jobs of workers that were lost to others; one that lost as many as are allowed has failed."""
        for key, sent in list(self._sent.items()):
            if sent.worker in present or self._sent.pop(key, None) is None:
                continue
            sent.inner.cancel()
            sent.lost += 1
            if sent.lost <= _ALLOWED:
                self._send(sent)
            else:
                self._fail(sent, f"workers that died over this: {sent.lost}, the last was {sent.worker}")

    def _load(self) -> Counter[str]:
        """Threads taken on each worker."""
        taken: Counter[str] = Counter()
        for sent in list(self._sent.values()):
            taken[sent.worker] += sent.job.threads
        return taken

    def _deliver(self, key: str, inner: "Future[Ended]") -> None:
        """Hand a job's end on, in the press's own words."""
        sent = self._sent.pop(key, None)
        if sent is None:  # it was sent to another worker since
            return
        try:
            sent.outer.set_result(inner.result())
        except PressError as error:
            sent.outer.set_exception(error)
        except CancelledError:  # the scheduler knows the job no more: it was lost, or is another
            self._lost = True
            sent.outer.set_exception(self._broken())
        except Exception as error:
            self._fail(sent, _spoken(error))

    def _fail(self, sent: "_Sent", reason: str) -> None:
        """End a job that no worker could bring to its end, with the reason in its log."""
        with suppress(OSError), open(sent.job.log, "a", encoding="utf-8") as log:
            log.write(f"\n{reason}; look at the worker's log (its memory?)\n")
        sent.outer.set_result(Ended(_KILLED, 0.0))

    def _broken(self) -> ClusterError:
        return ClusterError(f"cluster {self._address}: the connection to the scheduler broke; build again to go on")


def roomiest(threads: dict[str, int], taken: Counter[str]) -> str:
    """The worker with the most threads to spare; of equals the one with the least to do, then the first by name."""
    return min(threads, key=lambda worker: (taken[worker] - threads[worker], taken[worker], worker))


def _spoken(error: Exception) -> str:
    """What distributed says of a job it could not carry out."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):  # where the scheduler allows fewer failures than this build
        return f"workers that died over this: {error.allowed_failures + 1}, the last was {error.last_worker.address}"
    return f"the cluster could not run this: {type(error).__name__}: {(str(error) or '-').splitlines()[0][:200]}"
