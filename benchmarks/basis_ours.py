"""`python -m benchmarks.basis_ours FOLDER STEPS`: a fit of our own, timed; what it explains beside it."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from benchmarks.components_ours import timed
from formation.features.bases.fit import fit_prepared, prepare
from formation.features.bases.samples import Sample
from formation.features.bases.settings import FitSettings
from formation.features.basis import Basis
from formation.progress import track

FILE = "rows.safetensors"
LATENTS, K, STEPS, BATCH, RATE = 128, 8, 1000, 512, 3e-3


def main(folder: Path, steps: int) -> None:
    """Fit what `benchmarks.basis` wrote into `folder`: two halves of the rows, as if of two checkpoints."""
    torch.set_num_threads(1)
    rows = load_file(folder / FILE)["rows"]
    samples = [Sample("rows", place, part) for place, part in enumerate(rows.tensor_split(2))]
    settings = FitSettings(latents=LATENTS, k=K, steps=steps, batch=BATCH, learning_rate=RATE)
    found: list[Basis] = []

    def fit() -> None:
        with track("fit", steps, "steps") as tracker:
            found.append(fit_prepared(prepare(samples), settings, 1, tracker).basis)

    spent = timed(fit)
    left = float((rows - found[0].reconstruct(rows)).double().square().sum())
    total = float((rows - rows.mean(0)).double().square().sum())
    print(json.dumps({**spent, "explained": 1 - left / total}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
