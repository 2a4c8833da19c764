"""Throws the dice of a run, part by part; parts that are there already are kept."""

import random
import sys
import time

from tinylab import door


def main(run: str) -> None:
    """Write `throws/part_<n>.json` for every part of the run."""
    dice = door.section(run, "dice")
    seed = int(run.rpartition("-s")[2])
    for part in range(dice["parts"]):
        path = door.run_folder(run) / "throws" / f"part_{part}.json"
        if door.read(path) is None:
            source = random.Random(f"{seed}/{part}")
            door.write(path, [source.randint(1, dice["sides"]) for _ in range(dice["throws"])])
            time.sleep(dice["pause"])
        door.report(part + 1, dice["parts"], "parts")


if __name__ == "__main__":
    main(sys.argv[1])
