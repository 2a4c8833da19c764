"""`python launch.py REPORT COMMAND …`: runs a command and writes down what it took.

A process of its own and a small one: Linux counts the memory of whoever starts a command into that command's peak.
"""

import json
import os
import sys
import time


def main(report: str, command: list[str]) -> int:
    """Run the command; its exit code."""
    began = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(child, 0)  # usage of the process and of all it waited for
    wall = time.perf_counter() - began
    about = {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss / 1024}
    with open(report, "w") as file:
        json.dump(about, file)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
