"""Where and how a run is computed: device, number format, threads. With params and seed this decides every bit."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from formation.errors import TrainingError
from formation.params import TrainingParams

CPUINFO = Path("/proc/cpuinfo")
_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}  # the processor multiplies bfloat16 itself; elsewhere it is slower


@dataclass(frozen=True)
class Execution:
    """What has to be equal for two trainings to agree in every bit; recorded in checkpoints and in `training.json`."""

    device: str
    dtype: str
    threads: int
    torch: str
    processor: str
    denormals: str  # flushed: numbers below 1.2e-38 are zero, because each costs a hundred cycles; or kept

    def as_dict(self) -> dict[str, str | int]:
        """As plain JSON data."""
        return asdict(self)


def choose_execution(params: TrainingParams, device: str) -> Execution:
    """The execution that `params` ask for on this machine; raises `TrainingError` for a device that is not there."""
    if device not in ("cpu", "cuda"):
        raise TrainingError(f"--device {device!r}: expected cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("--device cuda: PyTorch finds no CUDA device here; use --device cpu")
    processor = torch.cuda.get_device_name() if device == "cuda" else processor_name()
    return Execution(
        device, choose_dtype(params.dtype, device), params.threads, torch.__version__, processor, choose_denormals()
    )


def choose_dtype(wanted: str, device: str) -> str:
    """`wanted`, with `auto` resolved: bfloat16 where the hardware multiplies it, else float32."""
    if wanted != "auto":
        return wanted
    fast = torch.cuda.is_bf16_supported() if device == "cuda" else not _BF16_FLAGS.isdisjoint(_cpu_words("flags"))
    return "bfloat16" if fast else "float32"


@cache  # asking sets it: never within a computation
def choose_denormals() -> str:
    """`flushed` where the processor can: a peaked softmax is full of them, and they double the time of a step."""
    can = torch.set_flush_denormal(True)
    torch.set_flush_denormal(False)
    return "flushed" if can else "kept"


def processor_name() -> str:
    """The processor's own name, with family and model number where the system tells them."""
    if not CPUINFO.is_file():
        return platform.processor() or platform.machine()
    name, family, model = (" ".join(_cpu_words(key)) for key in ("model name", "cpu family", "model"))
    return f"{name or platform.machine()}, family {family or '?'}, model {model or '?'}"


def _cpu_words(key: str) -> list[str]:
    """Words of a field of the first processor in `/proc/cpuinfo`; none where there is no such file or field."""
    if not CPUINFO.is_file():
        return []
    for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
        field, _, value = line.partition(":")
        if field.strip() == key:
            return value.split()
    return []


@contextmanager
def deterministic(execution: Execution) -> Iterator[None]:
    """Compute with the execution's threads and deterministic kernels only; afterwards all is as it was before."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    filling = memory.fill_uninitialized_memory
    if execution.device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products ask for it
    torch.set_num_threads(execution.threads)
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False  # nothing reads it, and it costs an eighth of a step
    torch.set_flush_denormal(execution.denormals == "flushed")
    try:
        yield
    finally:
        torch.set_flush_denormal(False)  # PyTorch's own default; it cannot be asked what it was
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
        memory.fill_uninitialized_memory = filling
