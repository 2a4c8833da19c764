"""Speed of a training step beside the loops most people would write, and beside this machine's own matrix products."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measuring import BenchmarkError
from benchmarks.places import ROOT
from benchmarks.results import Results, Training

AIM = 1.3  # times the tokens a second of the better peer
SIZES = ("quick", "reference")


def measure(folder: Path, results: Results, rounds: int, steps: int) -> None:
    """Blocks of steps at each size, contenders taking turns within one process."""
    for preset in SIZES:
        results.training += rows(_measured(folder, preset, rounds, steps))


def rows(found: dict[str, Any]) -> list[Training]:
    """A row for each contender; ratios are medians over blocks that followed one another, which load changes alike."""
    own, out = found["contenders"][0], []
    for one in found["contenders"]:
        speeds = [tokens / wall for tokens, wall in zip(found["tokens"], one["wall"], strict=True)]
        by_cpu = statistics.median(tokens / cpu for tokens, cpu in zip(found["tokens"], one["cpu"], strict=True))
        peer = one is not own
        out.append(
            Training(
                size=found["preset"],
                by=one["name"] if peer else f"formation, {found['dtype']}",
                tokens=statistics.median(speeds),
                slowest=min(speeds),
                fastest=max(speeds),
                milliseconds=1000 * statistics.median(one["wall"]) / found["steps"],
                # by CPU time: what else the machine does takes no share of it
                peak_share=by_cpu * found["flops_per_token"] / found["peak"]["float32"],
                ratio=(_ratio(own["wall"], one["wall"]), _ratio(own["cpu"], one["cpu"])) if peer else None,
                note=f"torch {found['torch']}; a product of two 2048² matrices makes "
                f"{found['peak']['float32'] / 1e9:.0f} GFLOP/s in float32 and {found['peak']['bfloat16'] / 1e9:.0f} in "
                "bfloat16 on one thread",
            )
        )
    return out


def missed(found: list[Training]) -> list[str]:
    """Sizes at which ours is less than `AIM` times as fast as the better peer, by CPU time."""
    sizes = dict.fromkeys(row.size for row in found)
    worst = {size: min(row.ratio[1] for row in found if row.size == size and row.ratio) for size in sizes}
    return [f"training at {size} size: {ratio:.2f} × the better peer" for size, ratio in worst.items() if ratio < AIM]


def _ratio(own: list[float], other: list[float]) -> float:
    return statistics.median(theirs / mine for mine, theirs in zip(own, other, strict=True))


def _measured(folder: Path, preset: str, rounds: int, steps: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.steps", preset, str(steps), str(rounds)]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise BenchmarkError(f"benchmarks.steps {preset} (exit code {done.returncode}): {said[:300]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
