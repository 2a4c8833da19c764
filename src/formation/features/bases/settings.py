"""What a fit of a shared basis may be asked for, and what its stability is judged by."""

from dataclasses import dataclass

from formation.errors import MeasureError
from formation.features.choices import Kind


@dataclass(frozen=True)
class FitSettings:
    """How a basis is fit; `docs/measures.md` §5 says on what."""

    latents: int = 128
    k: int = 16  # activations a position: of each one, or on average
    kind: Kind = Kind.TOPK
    steps: int = 2000
    batch: int = 1024  # positions a step
    learning_rate: float = 3e-3
    warmup: int = 50  # steps in which the rate rises from 0
    decay: float = 0.5  # share of the steps, the last ones, in which the rate falls to 0
    dead_after: int = 100  # steps without an activation after which a latent counts as dead
    auxiliary_k: int = 32  # dead latents that the auxiliary loss lets speak for each position
    auxiliary_weight: float = 1 / 32  # of that loss

    def __post_init__(self) -> None:
        """Raise `MeasureError` for a value that no fit could use."""
        whole = {name: getattr(self, name) for name in ("latents", "k", "steps", "batch", "dead_after", "auxiliary_k")}
        for name, value in whole.items():
            if value < 1:
                raise MeasureError(f"{name} = {value}: expected at least 1")
        if self.k > self.latents:
            raise MeasureError(f"k = {self.k}: expected at most the number of latents, {self.latents}")


@dataclass(frozen=True)
class StabilitySettings:
    """When a feature counts as found again."""

    fits: int = 5  # other fit seeds a basis is compared with
    cosine: float = 0.7  # the least mean best cosine of a stable feature
