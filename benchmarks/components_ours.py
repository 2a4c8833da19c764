"""`python -m benchmarks.components_ours FOLDER [FILE]`: the record's heads and MLP blocks, timed; numbers to FILE."""

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from formation.artifacts import Run, open_run
from formation.benchmark.streams import SplitName
from formation.components.ablation import TWINS, ablate, by_kind, components, means, nothing, resample
from formation.components.clean import clean_pass
from formation.components.direct import attribution, final_state, head_rows, margin_effect, mlp_rows, wrong_answers
from formation.components.material import SCORED, Material, materials
from formation.model import Transformer
from formation.params import Ablation
from formation.record.probe_set import load_probe_set
from formation.training.state import vocabulary_size

FILE = "given.safetensors"
STD = (
    "model.embedding_std=0.3",
    "model.matrix_std=0.1",
)  # every component matters, and logits are as large as trained ones


def main(folder: Path, file: Path | None) -> None:
    """Measure the run in `folder`; its only one."""
    torch.set_num_threads(1)
    name = next((folder / "artifacts" / "runs").iterdir()).name
    run = open_run(name, Path(__file__).parents[1])
    given, model = materials(load_probe_set(run), run.params.record), drawn_model(run)
    kept: dict[str, Tensor] = {}
    print(json.dumps(timed(lambda: _measure(model, given, run.params.record.batch, kept if file else None))))
    if file:
        save_file({key: tensor.contiguous() for key, tensor in kept.items()}, file)


def drawn_model(run: Run) -> Transformer:
    """The model that both measure."""
    return Transformer(run.params.model, vocabulary_size(run.params), torch.Generator().manual_seed(1)).eval()


def timed(work: Callable[[], None]) -> dict[str, float]:
    """Seconds by the clock and of CPU time, and megabytes beyond what the process had at its start."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return {**spent, "megabytes": (peak - before) / 1024}


@torch.inference_mode()
def _measure(
    model: Transformer, given: Mapping[SplitName, Material], batch: int, kept: dict[str, Tensor] | None
) -> None:
    mean = None
    for name in sorted(SCORED, key=lambda name: name is not SCORED[0]):
        material, clean = given[name], None  # both sides let go of a split's pass before the next
        clean = clean_pass(model, material, batch)
        mean = mean or means(clean, material)
        x, p = final_state(clean, material), wrong_answers(clean.logits, material.answer)
        direct = []
        for part in components(model):
            head = part.head
            rows = mlp_rows(clean, material, part.layer)
            rows = rows if head is None else head_rows(model, clean, material, part.layer, head)
            direct.append(margin_effect(attribution(model, x, rows), p, material.answer))
        _keep(kept, f"{name}/direct", torch.stack(direct))
        _keep(kept, f"{name}/pattern", torch.stack([layer.pattern for layer in clean.answers]))
        for kind in Ablation:
            if kind in TWINS:
                found = resample(model, clean, material, TWINS[kind], batch)
                logits = torch.stack([one.logits[one.rows.argsort()] for one in found.values()])
            else:
                stand_in = nothing(clean) if kind is Ablation.ZERO else by_kind(mean, material)
                found = dict(ablate(model, clean, material, stand_in, batch))
                logits = torch.stack([one.logits for one in found.values()])
            _keep(kept, f"{name}/{kind}/logits", logits)


def _keep(kept: dict[str, Tensor] | None, name: str, tensor: Tensor) -> None:
    if kept is not None:
        kept[name] = tensor


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
