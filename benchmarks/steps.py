"""`python -m benchmarks.steps PRESET STEPS ROUNDS`: times training steps of every contender in one process.

All take the same batches in turns, on one thread. Prints JSON: seconds of each block of steps by the clock and of CPU
time, target tokens and floating-point operations of a block, and this machine's own matrix products.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.loops import Encoder, NanoGPT, plain_step
from benchmarks.places import ROOT
from formation import presets
from formation.benchmark.streams import Special
from formation.params import ModelParams, Params
from formation.training.execution import Execution, choose_execution, deterministic
from formation.training.order import batch_indices
from formation.training.state import Streams, initial_state, take_step, vocabulary_size

SIDE = 2048  # of the matrices whose product is this machine's peak
SEED = 1


@dataclass
class Contender:
    """A way to train: what one of its steps does with the number of the step, and what was measured."""

    name: str
    step: Callable[[int], None]
    around: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def main(preset: str, steps: int, rounds: int) -> None:
    """Measure, and print what was found as one line of JSON."""
    torch.set_num_threads(1)
    params = presets.load(preset, ROOT)
    how = choose_execution(params.training, "cpu")
    streams = made_streams(params)
    every = list(contenders(params, streams, how))
    peaks: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for turn in range(rounds + 1):  # the first turn warms up
        for contender in every:
            _time(contender, turn * steps, steps, keep=turn > 0)
        for dtype, found in peaks.items():
            found.append(matmul_flops(getattr(torch, dtype)))
    blocks = [tokens_of(streams, params, number, steps) for number in range(1, rounds + 1)]
    print(
        json.dumps(
            {
                "preset": preset,
                "dtype": how.dtype,
                "torch": torch.__version__,
                "steps": steps,
                "tokens": blocks,
                "flops_per_token": flops_per_token(params.model, vocabulary_size(params), streams.tokens.shape[1]),
                "peak": {dtype: max(found) for dtype, found in peaks.items()},
                "contenders": [{"name": one.name, "wall": one.wall, "cpu": one.cpu} for one in every],
            }
        )
    )


def contenders(params: Params, streams: Streams, how: Execution) -> Iterator[Contender]:
    """Our step, then the peers: each in our number format, and in float32 where ours is another."""
    state = initial_state(params, SEED, how)

    def own(number: int) -> None:
        take_step(state, streams, params.training, SEED, how)

    yield Contender("formation", own, partial(deterministic, how))
    parameters_ = sum(weight.numel() for weight in state.model.parameters())
    for name, kind in (("nn.TransformerEncoder", Encoder), ("nanoGPT-style", NanoGPT)):
        for dtype in dict.fromkeys([how.dtype, "float32"]):
            torch.manual_seed(SEED)
            model = kind(params.model, vocabulary_size(params))
            if (found := sum(weight.numel() for weight in model.parameters())) != parameters_:
                raise SystemExit(f"{name}: {found} parameters, expected {parameters_}")
            step = plain_step(model, params.training, dtype)
            yield Contender(f"{name}, {dtype}", partial(_with_batch, step, params, streams))


def made_streams(params: Params) -> Streams:
    """Streams of random tokens with the lengths of the preset's training streams: only shapes decide a step's time."""
    shape, rng = params.benchmark.iid, np.random.default_rng(SEED)
    n = params.benchmark.train_streams
    events = sum(rng.integers(one.low, one.high + 1, n) for one in (shape.active_keys, shape.overwrites, shape.reads))
    length = np.asarray(3 * events + 2)
    tokens = rng.integers(len(Special), vocabulary_size(params), (n, int(length.max())))
    tokens[np.arange(tokens.shape[1]) >= length[:, None]] = Special.PAD
    return Streams(tokens, length)


def flops_per_token(model: ModelParams, vocabulary: int, length: int) -> float:
    """Floating-point operations of the matrix products of forward and backward, per token of a stream of `length`.

    Two for each weight and token forward, twice as many backward; attention's two products besides, its causal half
    not subtracted (Kaplan et al. 2020, appendix B; Chowdhery et al. 2022, appendix B).
    """
    weights = model.layers * (4 * model.d_model**2 + 2 * model.d_model * model.d_ff) + vocabulary * model.d_model
    return 6.0 * weights + 12.0 * model.layers * model.d_model * length


def matmul_flops(dtype: torch.dtype) -> float:
    """Operations a second of CPU time of a product of two square matrices on one thread."""
    a, b = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))
    began = time.process_time()
    a @ b
    return 2 * SIDE**3 / (time.process_time() - began)


def tokens_of(streams: Streams, params: Params, block: int, steps: int) -> int:
    """Target tokens of a block of steps."""
    numbers = range(block * steps + 1, (block + 1) * steps + 1)
    return sum(int((streams.length[_indices(params, streams, number)] - 1).sum()) for number in numbers)


def _time(contender: Contender, first: int, steps: int, keep: bool) -> None:
    with contender.around():
        wall, cpu = time.perf_counter(), time.process_time()
        for number in range(first + 1, first + steps + 1):
            contender.step(number)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if keep:
        contender.wall.append(wall)
        contender.cpu.append(cpu)


def _with_batch(step: Callable[[Tensor], float], params: Params, streams: Streams, number: int) -> None:
    step(streams.batch(_indices(params, streams, number)))


def _indices(params: Params, streams: Streams, number: int) -> np.ndarray:
    return batch_indices(SEED, number, params.training.batch, len(streams.tokens))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
