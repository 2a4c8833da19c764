"""What a model says: at every answer position, and over all targets of a stream, in float32 whatever it was trained in.

Definitions: `docs/measures.md` §0 (margin) and §3 *Behaviour*. Everything is kept per read or per stream, so that means
can be taken over any stratum and streams can be resampled.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from formation.benchmark.streams import Reads, Special
from formation.record.outcomes import Answers, TokenSums

# a transformer, or anything else that gives the next token's logits at every position
Model = Callable[[Int[Tensor, "batch pos"]], Float[Tensor, "batch pos vocab"]]


@torch.inference_mode()
def run_streams(
    model: Model, tokens: Int[np.ndarray, "stream pos"], reads: Reads, batch: int
) -> tuple[Float[Tensor, "read vocab"], TokenSums]:
    """Logits at every read's answer position, and the token sums of every stream; `batch` streams a forward pass."""
    logits, sums = [], []
    for start in range(0, len(tokens), batch):
        part = torch.from_numpy(_trimmed(tokens[start : start + batch]))
        out = model(part).float()
        sums.append(_token_sums(out, part))
        rows = slice(*np.searchsorted(reads.stream, [start, start + batch]))
        logits.append(out[torch.from_numpy(reads.stream[rows] - start), torch.from_numpy(reads.position[rows])])
    loss, hits, targets = (torch.cat(column).numpy() for column in zip(*sums, strict=True))
    return torch.cat(logits), TokenSums(loss, hits, targets)


def answers(logits: Float[Tensor, "read vocab"], right: Int[np.ndarray, "read"]) -> Answers:
    """What `logits` say where the right answers are the token ids `right`."""
    index = torch.from_numpy(right)[:, None]
    prediction = logits.argmax(-1)
    others = logits.scatter(1, index, -torch.inf).logsumexp(-1)
    margin = logits.gather(1, index)[:, 0] - others
    return Answers(
        prediction=prediction.numpy(),
        correct=(prediction == index[:, 0]).numpy(),
        # log p = log σ(m): exact, and finite where p rounds to 0
        log_prob=F.logsigmoid(margin).numpy(),
        margin=margin.numpy(),
    )


def _trimmed(tokens: Int[np.ndarray, "stream pos"]) -> Int[np.ndarray, "stream pos"]:
    """The streams without the columns in which all are padded."""
    return tokens[:, : int((tokens != Special.PAD).any(0).sum())]


def _token_sums(
    logits: Float[Tensor, "stream pos vocab"], tokens: Int[Tensor, "stream pos"]
) -> tuple[Float[Tensor, "stream"], Int[Tensor, "stream"], Int[Tensor, "stream"]]:
    """Loss, hits and targets of each stream; padding is no target."""
    predicted, target = logits[:, :-1], tokens[:, 1:]
    real = target != Special.PAD
    loss = F.cross_entropy(predicted.transpose(1, 2), target, ignore_index=int(Special.PAD), reduction="none")
    hits = (predicted.argmax(-1) == target) & real
    return loss.double().sum(1), hits.sum(1), real.sum(1)
