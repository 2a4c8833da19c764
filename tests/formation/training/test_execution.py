"""Device, number format and threads: resolved, recorded, and put back."""

from pathlib import Path

import pytest
import torch

from formation import presets
from formation.errors import TrainingError
from formation.training import execution
from formation.training.execution import Execution, choose_denormals, choose_dtype, choose_execution, deterministic
from tests.formation.training.tiny import ROOT

TRAINING = presets.load("smoke", ROOT).training
CPUINFO = (
    "processor\t: 0\ncpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Some  Processor\nflags\t\t: fpu avx512f {}\n\n"
)


@pytest.mark.parametrize(
    ("flags", "dtype"), [("avx512_bf16", "bfloat16"), ("amx_bf16", "bfloat16"), ("avx512_fp16", "float32")]
)
def test_auto_is_bfloat16_only_where_the_processor_has_it(
    flags: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO.format(flags))
    monkeypatch.setattr(execution, "CPUINFO", tmp_path / "cpuinfo")
    assert choose_dtype("auto", "cpu") == dtype
    assert choose_dtype("float32", "cpu") == "float32"
    assert execution.processor_name() == "Some Processor, family 6, model 143"


def test_auto_is_float32_where_nothing_is_known_of_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "CPUINFO", tmp_path / "none")
    assert choose_dtype("auto", "cpu") == "float32"
    assert execution.processor_name()


def test_the_execution_names_what_decides_the_bytes() -> None:
    how = choose_execution(TRAINING, "cpu")
    assert (how.device, how.dtype, how.threads, how.torch) == ("cpu", "float32", 1, torch.__version__)


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="finds no CUDA device here; use --device cpu"):
        choose_execution(TRAINING, "cuda")
    with pytest.raises(TrainingError, match="'tpu': expected cpu or cuda"):
        choose_execution(TRAINING, "tpu")


def test_threads_and_strictness_are_put_back() -> None:
    def settings() -> tuple[int, bool, bool]:
        filling = torch.utils.deterministic.fill_uninitialized_memory
        return torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), filling

    before = settings()
    with deterministic(Execution("cpu", "float32", 2, "", "", "kept")):
        assert settings() == (2, True, False)
    assert settings() == before


def test_denormals_are_flushed_while_the_execution_says_so_and_no_longer() -> None:
    def halved() -> float:
        return (torch.full((64,), 2.0**-126) * 0.5).max().item()  # 2^-126 is the least normal number of float32

    flushes = choose_denormals() == "flushed"  # where the processor cannot, asking for it must change nothing
    with deterministic(Execution("cpu", "float32", 1, "", "", "flushed")):
        assert halved() == (0.0 if flushes else 2.0**-127)
    with deterministic(Execution("cpu", "float32", 1, "", "", "kept")):
        assert halved() == 2.0**-127
    assert halved() == 2.0**-127
