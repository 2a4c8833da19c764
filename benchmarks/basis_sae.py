"""`python basis_sae.py FOLDER STEPS`: the same fit with SAELens, timed; what it explains beside it."""

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from sae_lens import SAETrainer, TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.config import LoggingConfig, SAETrainerConfig
from safetensors.torch import load_file
from torch import Tensor

LATENTS, K, BATCH, RATE, WARMUP = 128, 8, 512, 3e-3, 50


def main(folder: Path, steps: int) -> None:
    """Fit what `benchmarks.basis` wrote into `folder`; the rate rises and falls as ours does."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    rows = load_file(folder / "rows.safetensors")["rows"]
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=rows.shape[1], d_sae=LATENTS, k=K, device="cpu"))
    settings = SAETrainerConfig(
        total_training_samples=steps * BATCH,
        train_batch_size_samples=BATCH,
        lr=RATE,
        lr_end=0.0,
        lr_warm_up_steps=WARMUP,
        lr_decay_steps=steps // 2,
        dead_feature_window=100,
        logger=LoggingConfig(log_to_wandb=False),
    )
    trainer = SAETrainer(settings, sae, _batches(rows))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    trainer.fit()
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({**spent, "megabytes": (peak - before) / 1024, "explained": _explained(sae, rows)}))


def _batches(rows: Tensor) -> Iterator[Tensor]:
    while True:
        order = torch.randperm(len(rows))
        for start in range(0, len(rows) - BATCH + 1, BATCH):
            yield rows[order[start : start + BATCH]]


@torch.no_grad()
def _explained(sae: TopKTrainingSAE, rows: Tensor) -> float:
    left = sum(float((part - sae.decode(sae.encode(part))).double().square().sum()) for part in rows.split(8192))
    return 1 - left / float((rows - rows.mean(0)).double().square().sum())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
