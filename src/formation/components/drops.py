"""What an ablation costs: margin, log-probability and accuracy of the right answers, clean minus ablated."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from formation.components.ablation import Ablated, Component
from formation.components.material import Material, Measured, measured
from formation.components.placebos import means_of_permuted, permuted_answers
from formation.params import Ablation

_WITH_DETAIL = (Ablation.MEAN, Ablation.RESAMPLE_KEY)
_DETAIL = {"drop": "margin", "log_prob_drop": "log_prob", "accuracy_drop": "hit"}  # else the margin alone


@dataclass(frozen=True)
class Scores:
    """Every token scored as if it were the right answer; margins and log-probabilities in nats."""

    margin: Float[Tensor, "row vocab"]
    log_prob: Float[Tensor, "row vocab"]
    hit: Float[Tensor, "row vocab"]


def scores(logits: Float[Tensor, "row vocab"]) -> Scores:
    """Margins, log-probabilities and hits of all tokens."""
    log_p, top = logits.log_softmax(-1), logits.argmax(-1, keepdim=True)
    others = logits.scatter(1, top, -torch.inf).logsumexp(-1, keepdim=True)
    # the log-odds; only the likeliest token can have p near 1, where 1 − p has no digits left
    margin = (log_p - torch.log1p(-log_p.exp())).scatter(1, top, logits.gather(1, top) - others)
    return Scores(margin, F.logsigmoid(margin), torch.zeros_like(logits).scatter_(1, top, 1.0))


@torch.inference_mode()
def measure_drops(material: Material, kind: Ablation, found: Mapping[Component, Ablated]) -> Iterator[Measured]:
    """The drops of every component, with those of permuted answers as placebos."""
    rows = next(iter(found.values())).rows
    permuted = permuted_answers(material, rows)
    pairs = [(scores(ablated.clean), scores(ablated.logits)) for ablated in found.values()]
    for metric, name in _DETAIL.items() if kind in _WITH_DETAIL else [("drop", "margin")]:
        lost = [getattr(before, name) - getattr(after, name) for before, after in pairs]
        placebos = means_of_permuted(lost, permuted)
        for component, by_answer, own in zip(found, lost, placebos, strict=True):
            right = by_answer.gather(1, material.answer[rows][:, None])[:, 0]
            yield measured(component.name, f"{metric}_{kind}", material, right, rows, own)
