"""The way to a Dask cluster: connect, and look whether the scheduler and each worker fit this build."""

import logging
import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from livingpaper.errors import ClusterError
from livingpaper.execute.remote import Pact, difference, held, survey, unfit

if TYPE_CHECKING:
    from distributed import Client

RPC = 30.0  # seconds a scheduler or worker that is there may take to answer
_CONNECT = 3.0
_ADDRESS = re.compile(r"(tcp|tls|ws|wss)://[^\s/]+:\d+")
_LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio")


def connect(address: str) -> "Client":
    """A client of the scheduler at an address; `ClusterError` if there is none, or one that does not fit."""
    if not _ADDRESS.fullmatch(address):
        raise ClusterError(f"--cluster {address!r}: expected an address as the scheduler prints it: tcp://host:8786")
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError("--cluster: the package distributed is not installed: pip install distributed") from None
    for name in _LOGGERS:  # what matters is said by the press, in a line of its own
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # versions are compared below
        _knock(address)
        try:
            client = Client(address, timeout=RPC, set_as_default=False, name="livingpaper")
        except (OSError, RuntimeError) as error:
            raise ClusterError(f"cluster {address}: the scheduler answered once and no more ({error})") from None
    try:
        _check_scheduler(client, address)
    except BaseException:
        client.close(timeout=2)
        raise
    return client


def _knock(address: str) -> None:
    """Make sure that a scheduler listens there; a client would wait for ever for the first word of something else."""
    import asyncio

    from distributed.core import rpc
    from distributed.security import Security

    async def identity() -> str:
        async with rpc(address, timeout=_CONNECT, connection_args=Security().get_connection_args("client")) as there:
            return str((await there.identity())["type"])

    async def patiently() -> str:
        return await asyncio.wait_for(identity(), 2 * _CONNECT)

    try:
        found = asyncio.run(patiently())
    except Exception as error:  # distributed's own errors are OSErrors; what is no scheduler may cause anything
        nobody = isinstance(error, OSError) and not isinstance(error, TimeoutError)
        told = "no scheduler answers there" if nobody else "what answers there is no Dask scheduler"
    else:
        if found == "Scheduler":
            return
        told = f"a {found.lower()} answers there, not its scheduler"
    raise ClusterError(f"cluster {address}: {told}; start one: {_program('scheduler')}")


def admit(client: "Client", pact: Pact, workers: list[str]) -> dict[str, str]:
    """What is wrong with each of the workers that do not fit."""
    if not workers:
        return {}
    try:
        found = client.sync(client.run, _examine, pact, workers=workers, on_error="return", callback_timeout=RPC)
    except Exception as error:  # one that hangs, or the scheduler
        found = dict.fromkeys(workers, error)
    return {
        worker: f"worker {worker} does not fit: {_spoken(said, 'worker')}"
        for worker, said in sorted(found.items())
        if said is not None
    }


def _examine(pact: Pact) -> str | None:
    """On a worker: what is wrong with it."""
    wrong = unfit(pact)
    if wrong is None and not held(pact.lease):
        return (
            f"locks in {Path(pact.root).name}/build do not reach from machine to machine; mount the shared folder with "
            "locks (NFS without nolock, Lustre with flock)"
        )
    return wrong


def _check_scheduler(client: "Client", address: str) -> None:
    """Refuse a scheduler of another environment: it has to read what is sent to the workers."""
    try:
        found = client.sync(client.run_on_scheduler, survey, callback_timeout=RPC)
    except Exception as error:
        raise ClusterError(f"cluster {address}: the scheduler does not fit: {_spoken(error, 'scheduler')}") from None
    unlike = difference(survey(), found)
    if unlike:
        raise ClusterError(f"cluster {address}: the scheduler does not fit: {unlike}; start {_program('scheduler')}")


def _spoken(said: object, kind: str) -> str:
    """An examination's result, or the error it ended with, in half a sentence."""
    if not isinstance(said, Exception):
        return str(said)
    told = (str(said) or "it does not answer").splitlines()[0][:200]
    if "ModuleNotFoundError" in told or isinstance(said, ImportError | AttributeError):  # as such, or wrapped
        return f"its Python has no livingpaper like this one's ({told}); start {_program(kind)}"
    return f"{type(said).__name__}: {told}"


def _program(kind: str) -> str:
    """The command that starts a scheduler or worker in this environment."""
    return f"{Path(sys.executable).with_name('dask')} {kind}"
