"""Fits of a sparse basis, beside SAELens on the same rows, with as many latents and the same k.

Rows are a planted dictionary's: sparse sums of given directions, which fall off in how often they occur, and noise; or,
given a run, its own activations at answer positions, standardised at each checkpoint. Both fit with Adam, the same
batch and learning rate, in float32 on one thread. Steps need not be equally many: SAELens takes as many as ours,
doubled until it explains as much. Only the fit is timed, not imports and loading; memory is the peak beyond what the
process held before.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from benchmarks.basis_ours import FILE, LATENTS, STEPS, K
from benchmarks.measuring import BenchmarkError, Measured, Sample
from benchmarks.places import BUILD, ROOT
from benchmarks.results import Results, Row

PACKAGE = "sae-lens==6.54.12"
EQUAL = 0.002  # of the variance: less is no difference
MOST = 16  # times our steps
WIDTH, TRUE, ROWS, NOISE = 128, 256, 65_536, 0.05
HERE = Path(__file__).parent
WHAT = f"basis of {LATENTS} features, {K} active"


@dataclass(frozen=True)
class Fit:
    """One fit: what it took, and the share of the rows' variance that it explains."""

    sample: Sample
    explained: float


def measure(folder: Path, results: Results, repeats: int, run: str | None = None) -> None:
    """Seconds and memory of both, taking turns, at equal explained variance."""
    rows = planted_rows() if run is None else run_rows(run)
    save_file({"rows": rows}, folder / FILE)
    ours = [sys.executable, "-m", "benchmarks.basis_ours", str(folder), str(STEPS)]
    python = peer()
    if python is None:
        results.missing.append(f"{WHAT}: sae-lens (not installed: pip install {PACKAGE})")
        alone = Measured(tuple(_fit(ours).sample for _ in range(repeats)))
        results.rows.append(Row(WHAT, "fit_prepared", alone, peer="ours"))
        return
    reached = _fit(ours).explained
    steps, found = _as_good(python, folder, reached)
    theirs = [str(python), str(HERE / "basis_sae.py"), str(folder), str(steps)]
    samples: dict[str, list[Sample]] = {"ours": [], "theirs": []}
    for _ in range(repeats):
        samples["ours"].append(_fit(ours).sample)
        samples["theirs"].append(_fit(theirs).sample)
    mine, other = (Measured(tuple(one)) for one in samples.values())
    note = f"explains {reached:.3f} after {STEPS} steps; theirs {found:.3f} after {steps}"
    results.rows.append(Row(WHAT, "fit_prepared", mine, peer="ours", note=note))
    ratio = (mine.wall / other.wall, mine.cpu / other.cpu)
    results.rows.append(Row(WHAT, "SAETrainer.fit", other, peer=PACKAGE.replace("==", " "), ratio=ratio))


def peer() -> Path | None:
    """A Python that has SAELens: `SAE_LENS_PYTHON`, or that of `build/bench-sae`."""
    python = Path(os.environ.get("SAE_LENS_PYTHON", BUILD / "bench-sae" / "bin" / "python"))
    if not python.is_file():
        return None
    done = subprocess.run([python, "-c", "import sae_lens"], capture_output=True, check=False)
    return python if done.returncode == 0 else None


def planted_rows(seed: int = 0) -> np.ndarray:
    """Standardised rows of a dictionary whose directions occur as 1/rank, six a row on average."""
    draw = np.random.default_rng(seed)
    directions = draw.standard_normal((TRUE, WIDTH)) / WIDTH**0.5
    often = 1 / np.arange(1, TRUE + 1)
    present = draw.random((ROWS, TRUE)) < np.minimum(6 * often / often.sum(), 0.5)
    rows = (present * (1 + draw.random((ROWS, TRUE)))) @ directions + NOISE * draw.standard_normal((ROWS, WIDTH))
    rows -= rows.mean(0)
    return (rows / rows.std()).astype(np.float32)


def run_rows(name: str) -> np.ndarray:
    """The last stage of a run at its fit checkpoints, each standardised by its own mean and scale."""
    from formation.artifacts import open_run
    from formation.benchmark.stage import load_for_run
    from formation.features.bases.material import choose_checkpoints, fit_samples
    from formation.features.bases.samples import own_scaling

    run = open_run(name, ROOT)
    samples = fit_samples(run, "last_post_mlp", load_for_run(run), choose_checkpoints(run).fit)
    return torch.cat([own_scaling(one.x)(one.x) for one in samples]).numpy()


def _as_good(python: Path, folder: Path, explained: float) -> tuple[int, float]:
    """The fewest steps, our own number doubled, with which the peer explains as much, and what it then explains."""
    best, steps = 0.0, STEPS
    while steps <= MOST * STEPS:
        best = _fit([str(python), str(HERE / "basis_sae.py"), str(folder), str(steps)]).explained
        if best >= explained - EQUAL:
            return steps, best
        steps *= 2
    raise BenchmarkError(f"{WHAT}: ours explains {explained:.3f}, the peer {best:.3f} after {steps // 2} steps")


def _fit(command: list[str]) -> Fit:
    """What a worker says of itself in its last line."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command[:3])}: {(done.stderr.strip() or 'it said nothing').splitlines()[-1]}")
    said = json.loads(done.stdout.splitlines()[-1])
    return Fit(Sample(said["wall"], said["cpu"], said["megabytes"]), said["explained"])


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    found = Results()
    with TemporaryDirectory(prefix="bench-") as scratch:
        measure(Path(scratch), found, 1, *sys.argv[1:])
    print(*found.rows, *found.missing, sep="\n")
