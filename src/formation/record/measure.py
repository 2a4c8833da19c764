"""One checkpoint measured: what the model says on every split and twin, and what permuted answers would have scored."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from formation.benchmark.streams import SplitName
from formation.record.behaviour import Model, answers, run_streams
from formation.record.frames import Frame, TwinFrame
from formation.record.outcomes import Answers, Outcomes, TokenSums, TwinKey, twin_name


def measure(
    model: Model, frames: Mapping[SplitName, Frame], twins: Mapping[TwinKey, TwinFrame], batch: int
) -> Outcomes:
    """The outcomes of `model` on every split and twin."""
    said: dict[SplitName, Answers] = {}
    tokens: dict[SplitName, TokenSums] = {}
    placebos: dict[str, np.ndarray] = {}
    for name, frame in frames.items():
        logits, tokens[name] = run_streams(model, frame.split.tokens, frame.split.reads, batch)
        said[name] = answers(logits, frame.answers)
        placebos |= {f"{name}/{key}": array for key, array in _placebos(logits, said[name], frame).items()}
    twin_said: dict[TwinKey, Answers] = {}
    for key, twin in sorted(twins.items(), key=lambda item: item[0][0] is not SplitName.COUNTERFACTUAL):
        whole = twin_said.get((SplitName.COUNTERFACTUAL, key[1]))
        if twin.base is SplitName.TEST_IID and whole is not None:
            twin_said[key] = whole.at(twin.rows)  # these streams have been run as counterfactual ones
        else:
            logits, _ = run_streams(model, twin.twin.tokens, twin.split.reads, batch)
            twin_said[key] = answers(logits, twin.answers)
        placebos[f"{twin_name(key)}/flip"] = _flip_placebos(said[twin.base], twin_said[key], twin, frames)
    return Outcomes(said, tokens, {key: twin_said[key] for key in twins}, placebos)


def _placebos(
    logits: Float[Tensor, "read vocab"], said: Answers, frame: Frame
) -> dict[str, Float[np.ndarray, "placebo"]]:
    """Scores against permuted answers: what a model that knows nothing of the streams would get for its answers."""
    hits = said.prediction == frame.permuted
    log_probs = torch.log_softmax(logits, -1).numpy()
    return {
        "accuracy": hits.mean(1),
        "stale_accuracy": hits[:, frame.has_stale].mean(1) if frame.has_stale.any() else np.zeros(len(hits)),
        "log_prob": log_probs[np.arange(len(log_probs)), frame.permuted].mean(1, dtype=np.float64),
    }


def _flip_placebos(
    base: Answers, said: Answers, twin: TwinFrame, frames: Mapping[SplitName, Frame]
) -> Float[np.ndarray, "placebo"]:
    """P(base right and twin right) where pairs of right answers are permuted over the affected reads."""
    affected = np.flatnonzero(twin.twin.affected)
    rows = twin.rows[affected]
    base_right = frames[twin.base].answers[rows][twin.permuted]
    twin_right = twin.answers[affected][twin.permuted]
    both = (base.prediction[rows] == base_right) & (said.prediction[affected] == twin_right)
    return np.asarray(both.mean(1)) if len(affected) else np.zeros(len(both))
