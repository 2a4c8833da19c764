"""Heads and MLP blocks of one checkpoint, beside the same measurements made with TransformerLens on the same weights.

Both take the probe streams of three splits and give attention at answers, direct effects on the margin, and the logits
with every head and MLP block ablated by zero, by its mean, and by either twin. TransformerLens does it as its tutorials
do: `run_with_cache`, then a whole pass with a hook for each ablation. Only the measuring is timed, not imports and
loading; memory is the peak beyond what the process held before. The numbers must agree, or there is no time.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from benchmarks.components_ours import FILE, STD, drawn_model
from benchmarks.measuring import BenchmarkError, Measured, Sample
from benchmarks.places import BUILD, ROOT
from benchmarks.results import Results, Row
from formation.artifacts import create_run
from formation.benchmark.stage import generate_for_run
from formation.benchmark.streams import TwinKind
from formation.components.material import SCORED, Material, materials
from formation.record.probe_set import generate_probe_set, load_probe_set

PACKAGE = "transformer-lens==3.9.0"
AGREE = 1e-4  # largest difference of a logit, a direct effect (nats) or a share of attention
HERE = Path(__file__).parent


def measure(folder: Path, results: Results, repeats: int, preset: str = "reference", *overrides: str) -> None:
    """Seconds and memory of both, taking turns, after a first execution of each whose numbers are compared."""
    _prepare(folder, preset, overrides)
    what = f"heads and MLP blocks of one checkpoint ({preset} size)"
    ours, command = [sys.executable, "-m", "benchmarks.components_ours"], "measure_writers, without placebos"
    lens = peer()
    if lens is None:
        results.missing.append(f"{what}: transformer-lens (not installed: pip install {PACKAGE})")
        results.rows.append(
            Row(what, command, Measured(_samples({"ours": ours}, folder, repeats)["ours"]), peer="ours")
        )
        return
    both = {"ours": ours, "theirs": [str(lens), str(HERE / "components_lens.py")]}
    note = _agreement(both, folder)
    found = {name: Measured(samples) for name, samples in _samples(both, folder, repeats).items()}
    mine, theirs = found["ours"], found["theirs"]
    share = mine.megabytes / theirs.megabytes
    note = f"{note}; memory {share:.2g} of theirs"
    results.rows.append(Row(what, command, mine, peer="ours", note=note))
    ratio = (mine.wall / theirs.wall, mine.cpu / theirs.cpu)
    results.rows.append(
        Row(what, "run_with_cache, run_with_hooks", theirs, peer=PACKAGE.replace("==", " "), ratio=ratio)
    )


def peer() -> Path | None:
    """A Python that has TransformerLens: `TRANSFORMER_LENS_PYTHON`, or that of `build/bench-lens`."""
    python = Path(os.environ.get("TRANSFORMER_LENS_PYTHON", BUILD / "bench-lens" / "bin" / "python"))
    if not python.is_file():
        return None
    done = subprocess.run([python, "-c", "import transformer_lens"], capture_output=True, check=False)
    return python if done.returncode == 0 else None


def _prepare(folder: Path, preset: str, overrides: tuple[str, ...]) -> None:
    """A run with its probe set, and what the peer needs of it: weights, streams and where to look, in one file."""
    os.environ["FORMATION_ARTIFACTS"] = str(folder / "artifacts")
    run = create_run(f"{preset}-s1", ROOT, ["benchmark.train_streams=64", *STD, *overrides])
    generate_for_run(run)
    generate_probe_set(run)
    model = drawn_model(run)
    arrays = {f"model.{name}": tensor.numpy() for name, tensor in model.state_dict().items()}
    given = materials(load_probe_set(run), run.params.record)
    for name in SCORED:
        arrays |= {f"{name}.{key}": array for key, array in _arrays(given[name]).items()}
    arrays["sizes"] = np.array([model.params.heads, model.params.layers, run.params.record.batch])
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / FILE)


def _arrays(material: Material) -> dict[str, np.ndarray]:
    named = {"tokens": material.tokens, "kinds": material.kinds, "answer": material.answer}
    named |= {"stream": material.stream, "position": material.position}
    for kind in TwinKind:
        named |= {f"{kind}.tokens": material.twins[kind].tokens, f"{kind}.first": material.twins[kind].first}
    return {name: tensor.numpy() for name, tensor in named.items()}


def _agreement(commands: dict[str, list[str]], folder: Path) -> str:
    """The largest differences of what both wrote down; `BenchmarkError` if one is above `AGREE`."""
    for name, command in commands.items():
        _execute([*command, str(folder), str(folder / f"{name}.safetensors")], folder)
    ours, theirs = (load_file(folder / f"{name}.safetensors") for name in commands)
    if ours.keys() != theirs.keys():
        raise BenchmarkError(f"measured by one alone: {', '.join(sorted(ours.keys() ^ theirs.keys()))}")
    worst: dict[str, float] = {}
    for name, array in ours.items():
        kind = name.rpartition("/")[2]
        worst[kind] = max(worst.get(kind, 0.0), float(np.abs(array - theirs[name]).max()))
    if max(worst.values()) > AGREE:
        raise BenchmarkError(f"numbers differ by more than {AGREE:g}: {worst}")
    spread = max(float(np.ptp(array)) for name, array in ours.items() if not name.endswith("pattern"))
    listed = ", ".join(f"{kind} {value:.0e}" for kind, value in worst.items())
    return f"largest differences: {listed} (of values that range over {spread:.0f})"


def _samples(commands: dict[str, list[str]], folder: Path, repeats: int) -> dict[str, tuple[Sample, ...]]:
    found: dict[str, list[Sample]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            found[name].append(_execute([*command, str(folder)], folder))
    return {name: tuple(samples) for name, samples in found.items()}


def _execute(command: list[str], folder: Path) -> Sample:
    """What a worker says of itself in its last line."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    environment |= {"FORMATION_ARTIFACTS": str(folder / "artifacts"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command[:3])}: {(done.stderr.strip() or 'it said nothing').splitlines()[-1]}")
    return Sample(**json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    torch.set_num_threads(1)
    found = Results()
    with TemporaryDirectory(prefix="bench-") as scratch:
        measure(Path(scratch), found, 1, *sys.argv[1:])
    print(*found.rows, *found.missing, sep="\n")
