"""Measures what the throws of a run say, and writes the evidence behind the claims."""

import sys

from tinylab import door
from tinylab.statistics import mean_with_interval


def main(run: str) -> None:
    """Write `evidence.json` and `summary.json` of the run."""
    dice = door.section(run, "dice")
    z = door.section(run, "measure")["confidence"]
    folder = door.run_folder(run)
    throws = [value for part in range(dice["parts"]) for value in door.read(folder / "throws" / f"part_{part}.json")]
    door.write(
        folder / "evidence.json",
        {
            "mean_throw": evidence(throws, z, "eyes"),
            "share_of_sixes": evidence([float(value == dice["sides"]) for value in throws], z, "share"),
            "first_seven": {"value": None, "reason": "no throw shows more eyes than the die has sides"},
        },
    )
    counts = {str(side): throws.count(side) for side in range(1, dice["sides"] + 1)}
    door.write(folder / "summary.json", {"throws": len(throws), "mean": sum(throws) / len(throws), "counts": counts})


def evidence(values: list[float], z: float, unit: str) -> dict[str, object]:
    """An entry of evidence: value, interval, number of values, unit."""
    mean, low, high = mean_with_interval(values, z)
    return {"value": mean, "low": low, "high": high, "n": len(values), "unit": unit}


if __name__ == "__main__":
    main(sys.argv[1])
