"""The lease of a build: a file that it holds locked as long as it lives, for others on other machines to see."""

import fcntl
import os
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from livingpaper.errors import ClusterError


class Lease:
    """Held from `with` on until `release`, or until this process is dead, whatever kills it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / f"{uuid.uuid4().hex}.lease"
        self._descriptor: int | None = None

    def __enter__(self) -> "Lease":
        self.folder.mkdir(parents=True, exist_ok=True)
        _tidy(self.folder)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            raise ClusterError(f"{self.folder}: no locks here ({error.strerror}); a cluster needs them") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the lease back; whoever looks after it sees that this build wants nothing any more."""
        if self._descriptor is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


def _tidy(folder: Path) -> None:
    """Remove leases of builds that were killed."""
    for path in folder.glob("*.lease"):
        with suppress(OSError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
