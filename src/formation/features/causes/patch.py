"""Two checkpoints exchanged feature by feature (`docs/measures.md` §5 *Patch*), and what a basis leaves out.

The receiver's activations of some features are replaced by the donor's on the same streams; the features are decoded
and what the basis does not explain of the receiver's state is added back. So a patch moves the state by the difference
of two decodings, and one that changes no activation moves it by exactly nothing. All is done at answer positions, and
everything above the stage is the receiver's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor

from formation.errors import MeasureError
from formation.features.basis import Basis
from formation.features.measures.above import Above, margins


class PatchMode(StrEnum):
    """What becomes of the chosen features."""

    SWAP = "swap"  # they take the donor's activations, all others stay
    KEEP = "keep"  # they stay, all others take the donor's activations


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two checkpoints at the answer positions of a split."""

    above: Above
    activation: Float[Tensor, "read feature"]


@dataclass(frozen=True, eq=False)
class FeaturePatch:
    """Margins of every read, in nats; errors are shares of variance that the basis does not explain."""

    mode: PatchMode
    features: tuple[int, ...]
    receiver: Float[Tensor, "read"]
    patched: Float[Tensor, "read"]
    no_op: Float[Tensor, "read"]  # patched with the receiver's own activations, minus `receiver`: exactly 0
    whole: Float[Tensor, "read"]  # the donor's whole state in the receiver: what a perfect patch could reach
    donor: Float[Tensor, "read"]
    receiver_error: float | None
    donor_error: float | None

    @property
    def carried(self) -> float | None:
        """Share of the mean margin's change by the whole state that the features carry; null if that is 0."""
        total = float((self.whole - self.receiver).mean())
        return float((self.patched - self.receiver).mean()) / total if total else None


@dataclass(frozen=True, eq=False)
class Preserved:
    """Margins of every read, in nats, with the stage replaced: by its reconstruction, and by its mean alone."""

    clean: Float[Tensor, "read"]
    reconstructed: Float[Tensor, "read"]
    mean: Float[Tensor, "read"]
    accuracy: tuple[float, float, float]  # clean, reconstructed, mean

    @property
    def share(self) -> float | None:
        """Of the margin above that of the mean state, what the reconstruction keeps; null if there is none."""
        total = float((self.clean - self.mean).mean())
        return float((self.reconstructed - self.mean).mean()) / total if total else None


def side(above: Above, basis: Basis) -> Side:
    """A checkpoint with its features; both sides of a patch need the same split."""
    return Side(above, basis.encode(above.state))


def patch_features(
    receiver: Side,
    donor: Side,
    basis: Basis,
    features: Sequence[int],
    mode: PatchMode,
    answer: Int[Tensor, "read"],
) -> FeaturePatch:
    """The receiver with the donor's features, beside a patch that changes nothing and one that changes everything.

    Raises `MeasureError` for a feature the basis does not have, or for sides of different reads.
    """
    _require(receiver, donor, basis, features)
    chosen = torch.zeros(basis.latents, dtype=torch.bool)
    chosen[list(features)] = True
    taken = chosen if mode is PatchMode.SWAP else ~chosen
    before = _margins(receiver.above, torch.zeros_like(receiver.above.state), answer)
    state, theirs = receiver.above.state, donor.above.state
    return FeaturePatch(
        mode,
        tuple(features),
        receiver=before,
        patched=_margins(receiver.above, _change(receiver, donor, basis, taken), answer),
        no_op=_margins(receiver.above, _change(receiver, receiver, basis, taken), answer) - before,
        whole=_margins(receiver.above, state - theirs, answer),
        donor=_margins(donor.above, torch.zeros_like(theirs), answer),
        receiver_error=unexplained(basis, state),
        donor_error=unexplained(basis, theirs),
    )


def identity_error(receiver: Side, donor: Side, basis: Basis, answer: Int[Tensor, "read"]) -> float:
    """Largest difference of any margin, in nats, between two ways to put the donor's whole state into the receiver.

    One swaps every feature and the unexplained residual as well, the other the state itself: rounding alone may differ.
    """
    state, theirs = receiver.above.state, donor.above.state
    every = torch.ones(basis.latents, dtype=torch.bool)
    residual = (state - basis.decode(receiver.activation)) - (theirs - basis.decode(donor.activation))
    found = _margins(receiver.above, _change(receiver, donor, basis, every) + residual, answer)
    return float((found - _margins(receiver.above, state - theirs, answer)).abs().max())


def preserved_margin(above: Above, basis: Basis, answer: Int[Tensor, "read"]) -> Preserved:
    """What is left of the margins when the stage is its reconstruction, beside its mean over these reads alone."""
    state = above.state
    changes = (torch.zeros_like(state), state - basis.reconstruct(state), state - state.mean(0))
    logits = [above.without(change) for change in changes]
    accuracy = [float((one.argmax(-1) == answer).double().mean()) for one in logits]
    clean, reconstructed, mean = (margins(one, answer) for one in logits)
    return Preserved(clean, reconstructed, mean, (accuracy[0], accuracy[1], accuracy[2]))


def unexplained(basis: Basis, x: Float[Tensor, "row d_model"]) -> float | None:
    """Squared error of the reconstruction over the variance around the rows' mean; null where they do not vary."""
    if (x == x[:1]).all():
        return None
    exact = x.double()
    total = (exact - exact.mean(0)).square().sum()
    return float((exact - basis.reconstruct(x).double()).square().sum() / total)


def _change(receiver: Side, donor: Side, basis: Basis, taken: Tensor) -> Float[Tensor, "read d_model"]:
    """What a patch takes from the receiver's state."""
    mixed = torch.where(taken, donor.activation, receiver.activation)
    return basis.decode(receiver.activation) - basis.decode(mixed)


def _margins(above: Above, change: Float[Tensor, "read d_model"], answer: Int[Tensor, "read"]) -> Float[Tensor, "read"]:
    return margins(above.without(change), answer)


def _require(receiver: Side, donor: Side, basis: Basis, features: Sequence[int]) -> None:
    """Refuse what cannot be patched."""
    for feature in features:
        if not 0 <= feature < basis.latents:
            raise MeasureError(f"feature {feature}: expected one of 0 to {basis.latents - 1}, the basis has no other")
    if receiver.activation.shape != donor.activation.shape:
        raise MeasureError(
            f"a patch of {len(receiver.activation)} reads with {len(donor.activation)}: expected the same reads of the "
            f"same split at both checkpoints"
        )
