"""A shared feature basis: sparse coordinates of one residual stage that mean the same at every checkpoint.

A stage's activation x is always seen as (x − μ)/s, with one mean and one scale for all checkpoints
(`docs/measures.md` §5). Feature f has the *score* ReLU(w_f · (x − μ)/s + b_f), differentiable in x (§6). Its
*activation* is its score where it is among those kept: the k largest of the position (TopK: Gao et al. 2024,
arXiv:2406.04093) or all above a threshold (BatchTopK as it is used after fitting: Bussmann et al. 2024,
arXiv:2412.06410). Both papers subtract the decoder's bias before encoding; here it is already part of b_f.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from formation.errors import MeasureError
from formation.features.choices import Kind


@dataclass(frozen=True, eq=False)
class Basis:
    """An encoder and a decoder of one stage; all tensors have one dtype."""

    stage: str
    kind: Kind
    k: int
    encoder: Float[Tensor, "latent d_model"]
    encoder_bias: Float[Tensor, "latent"]
    decoder: Float[Tensor, "latent d_model"]  # rows of unit length
    decoder_bias: Float[Tensor, "d_model"]
    mean: Float[Tensor, "d_model"]
    scale: float
    threshold: float  # BatchTopK: what a score must exceed to count; TopK: 0

    @property
    def latents(self) -> int:
        """Number of features."""
        return len(self.encoder)

    def scores(self, x: Float[Tensor, "*row d_model"]) -> Float[Tensor, "*row latent"]:
        """Every feature's score, whether it is kept or not."""
        return F.relu(F.linear((x - self.mean) / self.scale, self.encoder, self.encoder_bias))

    def encode(self, x: Float[Tensor, "*row d_model"]) -> Float[Tensor, "*row latent"]:
        """Every feature's activation: its score, or 0 where it is not kept."""
        scores = self.scores(x)
        if self.kind == Kind.TOPK:
            return keep_largest(scores, self.k)
        return torch.where(scores > self.threshold, scores, 0)

    def decode(self, activations: Float[Tensor, "*row latent"]) -> Float[Tensor, "*row d_model"]:
        """The activation of the stage that these features make up."""
        return self.mean + self.scale * (activations @ self.decoder + self.decoder_bias)

    def reconstruct(self, x: Float[Tensor, "*row d_model"]) -> Float[Tensor, "*row d_model"]:
        """What of `x` passes through the features."""
        return self.decode(self.encode(x))

    def to(self, dtype: torch.dtype) -> "Basis":
        """The same basis with tensors of another dtype."""
        return replace(
            self,
            encoder=self.encoder.to(dtype),
            encoder_bias=self.encoder_bias.to(dtype),
            decoder=self.decoder.to(dtype),
            decoder_bias=self.decoder_bias.to(dtype),
            mean=self.mean.to(dtype),
        )

    def check(self, stage: str, width: int) -> None:
        """Raise `MeasureError` unless activations of `stage` with `width` dimensions are what this basis was fit on."""
        if (stage, width) != (self.stage, len(self.mean)):
            raise MeasureError(
                f"activations of {stage} with {width} dimensions; the basis was fit on {self.stage} with "
                f"{len(self.mean)}: fit one with formation shared-feature-fit --stage {stage}"
            )


def keep_largest(scores: Float[Tensor, "*row latent"], k: int) -> Float[Tensor, "*row latent"]:
    """The k largest scores of every row in their places, 0 elsewhere."""
    if k >= scores.shape[-1]:
        return scores
    kept, place = scores.topk(k, dim=-1, sorted=False)
    return torch.zeros_like(scores).scatter(-1, place, kept)
