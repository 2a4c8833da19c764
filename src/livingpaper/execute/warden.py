"""A small guard around one command: whatever ends the build, nothing the command started stays behind.

Started as a script (`python -I -S warden.py <pid of the build> <command> …`), standard library only. The guard asks the
kernel for a signal when the build dies, adopts orphans of the command (Linux), passes SIGTERM and SIGINT on, and kills
what is still there after a grace. It exits with the command's exit code, 128 + signal if a signal ended it. The command
dies with its guard, should that be killed.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from types import FrameType

GRACE = 3.0  # seconds between asking to end and killing
_SET_PDEATHSIG = 1
_SET_CHILD_SUBREAPER = 36
_PARENT_DIED = signal.SIGUSR1


def main() -> int:
    """Run the command named on the command line under guard; return its exit code."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    guard = _Guard()
    for number in (signal.SIGTERM, signal.SIGINT, _PARENT_DIED):
        signal.signal(number, guard.on_signal)
    signal.signal(signal.SIGALRM, guard.on_alarm)
    _prctl(_SET_CHILD_SUBREAPER, 1)
    _prctl(_SET_PDEATHSIG, _PARENT_DIED)
    if os.getppid() != parent:  # the build died before the kernel knew
        return 128 + signal.SIGKILL
    try:
        guard.child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_guard
        )
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        return 127
    guard.begin()
    code = guard.child.wait()
    signal.setitimer(signal.ITIMER_REAL, 0)
    kill_descendants(os.getpid())
    return code if code >= 0 else 128 - code


class _Guard:
    """The running command, and how far its ending has come."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self._asked: int | None = None  # signal that arrived before the command was started
        self._asking = False

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Somebody wants the command to end."""
        self._asked = number
        self.begin()

    def begin(self) -> None:
        """End the command if a signal asked for it: at once if the build is dead, politely otherwise."""
        if self._asked is None or self.child is None:
            return
        if self._asked == _PARENT_DIED:
            kill_descendants(os.getpid())
        elif not self._asking:
            self._asking = True
            signal.setitimer(signal.ITIMER_REAL, GRACE)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGTERM)

    def on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        """The grace is over."""
        kill_descendants(os.getpid())


def kill_descendants(root: int) -> None:
    """Kill every process that descends from `root`, itself apart, until none runs.

    None is waited for here: the command's exit code is the caller's to collect, and the dead are gone with the guard.
    """
    for _ in range(200):
        living = _descendants(root)
        if not living:
            return
        for pid in living:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _descendants(root: int) -> list[int]:
    """Living processes below `root`, from /proc; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    try:
        entries = os.listdir("/proc")
    except OSError:
        return []
    for entry in entries:
        if not entry.isdecimal():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if state != "Z":
            children.setdefault(int(parent), []).append(int(entry))
    out: list[int] = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        out += below
        waiting += below
    return out


def _die_with_guard() -> None:
    """In the command's process, before it becomes the command: be killed when the guard is."""
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    """Ask the Linux kernel; other systems have no such call, and there the process group has to do."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(value), 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
