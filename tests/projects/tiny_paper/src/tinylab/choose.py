"""Chooses the run whose mean throw comes closest to that of a fair die."""

import sys

import yaml

from tinylab import door


def main(preset: str) -> None:
    """Write `chosen.json` of the study."""
    layers = [yaml.safe_load((door.ROOT / "params" / f"{name}.yml").read_text()) for name in ("base", preset)]
    runs = [f"{preset}-s{seed}" for seed in (layers[1].get("seeds") or layers[0]["seeds"])]
    fair = (door.section(runs[0], "dice")["sides"] + 1) / 2
    means = {run: door.read(door.run_folder(run) / "summary.json")["mean"] for run in runs}
    best = min(runs, key=lambda run: abs(means[run] - fair))
    target = door.ROOT / "artifacts" / "studies" / preset / "chosen.json"
    door.write(target, {"run": best, "fair": fair, "means": means})


if __name__ == "__main__":
    main(sys.argv[1])
