"""What was measured at one checkpoint, read by read and stream by stream: arrays only, so reading needs no model."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int

from formation.benchmark.streams import SplitName, TwinKind

TwinKey = tuple[SplitName, TwinKind]


@dataclass(frozen=True)
class Answers:
    """What the model says at the answer position of each read, and how sure it is of the right answer."""

    prediction: Int[np.ndarray, "read"]  # token id of the largest logit of the whole vocabulary
    correct: Bool[np.ndarray, "read"]
    log_prob: Float[np.ndarray, "read"]  # of the right answer, nats
    margin: Float[np.ndarray, "read"]  # logit of the right answer − logsumexp of all others, nats

    def at(self, rows: Int[np.ndarray, "row"]) -> "Answers":
        """The answers at some of the reads."""
        return Answers(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class TokenSums:
    """Next-token prediction over all targets of each stream: sums, so that any set of streams can be averaged."""

    loss: Float[np.ndarray, "stream"]  # summed cross entropy, nats
    hits: Int[np.ndarray, "stream"]  # targets predicted right
    targets: Int[np.ndarray, "stream"]


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of one checkpoint.

    `placebos` are scores against permuted answers, one for each permutation: `<split>/accuracy`,
    `<split>/stale_accuracy`, `<split>/log_prob` and `<split>/<kind>_twin/flip`.
    """

    answers: Mapping[SplitName, Answers]
    tokens: Mapping[SplitName, TokenSums]
    twins: Mapping[TwinKey, Answers]
    placebos: Mapping[str, Float[np.ndarray, "placebo"]]


def twin_name(key: TwinKey) -> str:
    """What a twin's arrays are called: `<split>/<kind>_twin`."""
    return f"{key[0]}/{key[1]}_twin"


def to_arrays(outcomes: Outcomes) -> dict[str, np.ndarray]:
    """The outcomes as named arrays, in the smallest types that hold them."""
    named = {name.value: said for name, said in outcomes.answers.items()}
    named |= {twin_name(key): said for key, said in outcomes.twins.items()}
    out: dict[str, np.ndarray] = {}
    for name, said in named.items():
        out[f"{name}/prediction"] = said.prediction.astype(np.int16)
        out[f"{name}/correct"] = said.correct
        out[f"{name}/log_prob"] = said.log_prob.astype(np.float32)
        out[f"{name}/margin"] = said.margin.astype(np.float32)
    for split, sums in outcomes.tokens.items():
        out[f"{split}/loss"] = sums.loss.astype(np.float64)
        out[f"{split}/hits"] = sums.hits.astype(np.int32)
        out[f"{split}/targets"] = sums.targets.astype(np.int32)
    return out | {f"placebo/{name}": array.astype(np.float64) for name, array in outcomes.placebos.items()}


def from_arrays(arrays: Mapping[str, np.ndarray]) -> Outcomes:
    """Outcomes from the arrays of `to_arrays`."""
    names = {name.removesuffix("/prediction") for name in arrays if name.endswith("/prediction")}
    said = {name: Answers(*(arrays[f"{name}/{field.name}"] for field in fields(Answers))) for name in names}
    splits = [split for split in SplitName if split in said]
    return Outcomes(
        answers={split: said[split] for split in splits},
        tokens={s: TokenSums(*(arrays[f"{s}/{field.name}"] for field in fields(TokenSums))) for s in splits},
        twins={(s, k): said[twin_name((s, k))] for s in SplitName for k in TwinKind if twin_name((s, k)) in said},
        placebos={name.removeprefix("placebo/"): a for name, a in arrays.items() if name.startswith("placebo/")},
    )
