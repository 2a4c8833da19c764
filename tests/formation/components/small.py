"""A small dataset whose evaluation streams all are probe streams, and small models, for the tests of components."""

from functools import cache

import numpy as np
import torch

from formation.benchmark.generate import Dataset, generate
from formation.benchmark.streams import SplitName, TwinKind
from formation.components.material import Material, materials
from formation.model import Transformer
from formation.params import Ablation, ModelParams, RecordParams
from formation.record.probe_set import EVALUATION, ProbeSet, ProbeSplit
from tests.formation.benchmark.planted import params

CONTEXT = 120
RECORD = RecordParams(
    probe_streams=60,
    probe_seed=7,
    batch=16,
    placebos=40,
    bootstrap_draws=100,
    replay_every=10,
    replay_steps=400,
    ablations=tuple(Ablation),
)


@cache
def dataset() -> Dataset:
    """A hardened benchmark with 60 streams in every evaluation split."""
    return generate(params(train_streams=40), CONTEXT)


@cache
def probe_set() -> ProbeSet:
    """All evaluation streams of the dataset with their twins."""
    data = dataset()
    parts = {}
    for name in EVALUATION:
        split = data.splits[name]
        parts[name] = ProbeSplit(np.arange(len(split.tokens)), split, {k: data.twins[name, k] for k in TwinKind})
    return ProbeSet(digest="", benchmark="", splits=parts)


@cache
def material() -> dict[SplitName, Material]:
    """The materials of the probe set."""
    return materials(probe_set(), RECORD)


def random_model(seed: int = 0, width: int = 16, std: float = 0.4) -> Transformer:
    """A two-layer model with large random weights, so that every block moves the stream."""
    shape = ModelParams(d_model=width, layers=2, heads=2, d_ff=24, context=CONTEXT, embedding_std=1.0, matrix_std=std)
    vocabulary = dataset().splits[SplitName.TEST_IID].vocabulary.size
    return Transformer(shape, vocabulary, torch.Generator().manual_seed(seed)).eval()


def shifted(seed: int, std: float) -> Transformer:
    """A float64 model whose biases and norms are not the identity either."""
    model, generator = random_model(seed, std=std).double(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return model
