"""What lies above a residual stage: the logits at answer positions when something is taken from the stage there.

Only what can change is computed again. Behind the last layer that is the final LayerNorm and the unembedding, and there
a removal along a fixed direction has a closed form: with c the centred state, logits are W(γ ⊙ c)/σ + Wβ, and taking
δ·d away changes W(γ ⊙ c) by −δ·W(γ ⊙ d̄) and σ² by (δ²|d̄|² − 2δ c·d̄)/n, d̄ the centred direction. So thousands of
features cost no forward pass. From other stages the pass goes on (`formation.components.forward.tail`).

At stages below the last layer's MLP a stream's answer positions are all changed at once, so that a later answer also
feels what was taken from an earlier one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from formation.components.clean import rows_of
from formation.components.exchange import stage_names
from formation.components.forward import Part, tail, unembedded
from formation.components.material import Material
from formation.components.states import stages, states_at
from formation.errors import MeasureError
from formation.features.measures.closed import Way, margins_along
from formation.model import Transformer

Logits = Float[Tensor, "read vocab"]
Directions = Float[Tensor, "feature d_model"]
Amounts = Float[Tensor, "read feature"]


class Above(ABC):
    """The way from a stage to the answers of a split at one checkpoint; `clean` are the logits with all in place."""

    clean: Logits
    state: Float[Tensor, "read d_model"]  # the stage at answer positions

    @abstractmethod
    def without(self, change: Float[Tensor, "read d_model"]) -> Logits:
        """Logits once `change` is taken from the stage; `without` of zeros is what that is compared with."""

    @abstractmethod
    def margins_without(
        self, directions: Directions, amounts: Amounts, answer: Int[Tensor, "read"]
    ) -> Float[Tensor, "read feature"]:
        """Margins in nats once `amounts` of one direction after the other are taken from the stage.

        An amount of 0 leaves a margin exactly as it is where nothing is taken.
        """

    @abstractmethod
    def gradient(self, answer: Int[Tensor, "read"]) -> Float[Tensor, "read d_model"]:
        """Gradient of the sum of the margins of all answers, in nats, with respect to `state`."""


def margins(logits: Logits, answer: Int[Tensor, "read"]) -> Float[Tensor, "read"]:
    """Margin of the right answer, in nats."""
    right = answer[:, None]
    return logits.gather(1, right)[:, 0] - logits.scatter(1, right, -torch.inf).logsumexp(-1)


@torch.no_grad()  # not in inference mode, whose tensors have no gradients
def whole_stage(
    model: Transformer, material: Material, stage: str, batch: int, step: int | None = None
) -> Float[Tensor, "stream pos d_model"]:
    """A stage at all positions of a split; `MeasureError` where it is not finite, naming the stage and the step."""
    streams, length = material.tokens.shape
    stream = torch.arange(streams).repeat_interleave(length)
    found = states_at(model, material.tokens, [stage], stream, torch.arange(length).repeat(streams), batch)[stage]
    require_finite(found, stage, step)
    return found.clone().view(streams, length, -1)


def require_finite(x: Tensor, stage: str, step: int | None) -> None:
    """Raise `MeasureError` for NaN or infinity, naming stage and checkpoint."""
    bad = int((~torch.isfinite(x)).sum())
    if bad:
        of = "" if step is None else f" of the checkpoint of step {step}"
        raise MeasureError(
            f"{stage}{of}: {bad} of {x.numel()} activations are not finite numbers, expected all; "
            f"leave this checkpoint out, or train again with a lower training.learning_rate"
        )


def above(
    model: Transformer, stage: str, whole: Float[Tensor, "stream pos d_model"], material: Material, batch: int
) -> Above:
    """The way from `stage`, whose activations are `whole`, to the answers; raises `MeasureError` if it is no stage."""
    x = whole[material.stream, material.position]
    if stage == "final_norm":
        return _Unembedded(model, x)
    places = {name: (layer, part) for name, layer, part in stage_names(len(model.layers))}
    if stage not in places:
        raise MeasureError(f"stage = {stage!r}: expected one of: {', '.join(stages(len(model.layers)))}")
    if places[stage] == (len(model.layers) - 1, "mlp"):
        return _Normed(model, x)
    return _Tail(model, *places[stage], whole, material, batch)


# --- behind the last layer -------------------------------------------------------------------------------------------


class _Unembedded(Above):
    """From the final LayerNorm's output: the unembedding alone, which is linear."""

    @torch.no_grad()
    def __init__(self, model: Transformer, x: Float[Tensor, "read d_model"]) -> None:
        self.model, self.state = model, x
        self.clean = F.linear(x, model.token)

    @torch.no_grad()
    def without(self, change: Float[Tensor, "read d_model"]) -> Logits:
        return F.linear(self.state - change, self.model.token)

    @torch.no_grad()
    def margins_without(
        self, directions: Directions, amounts: Amounts, answer: Int[Tensor, "read"]
    ) -> Float[Tensor, "read feature"]:
        way = Way(self.clean, self.clean.new_zeros(self.clean.shape[1]), answer)
        return margins_along(way, F.linear(directions, self.model.token), amounts, torch.ones_like(amounts))

    def gradient(self, answer: Int[Tensor, "read"]) -> Float[Tensor, "read d_model"]:
        return _gradient(lambda x: F.linear(x, self.model.token), self.state, answer)


@dataclass(frozen=True)
class _Seen:
    """Directions as the final LayerNorm sees them."""

    readout: Float[Tensor, "feature vocab"]  # of their centred form, σ apart
    along: Float[Tensor, "read feature"]  # centred state · centred direction, in float64
    squared: Float[Tensor, "feature"]  # squared length of the centred form, in float64


class _Normed(Above):
    """From the last layer's residual stream: the final LayerNorm and the unembedding, in closed form."""

    @torch.no_grad()
    def __init__(self, model: Transformer, x: Float[Tensor, "read d_model"]) -> None:
        self.model, self.state = model, x
        centred = _centred(x)
        self.centred = centred.double()
        self.squared = self.centred.square().sum(-1)
        self.readout = self._readout(centred)
        self.shift = F.linear(model.norm.bias, model.token)
        self.clean = self.readout / self._deviation(self.squared)[:, None] + self.shift

    @torch.no_grad()
    def without(self, change: Float[Tensor, "read d_model"]) -> Logits:
        return unembedded(self.model, self.state - change)

    @torch.no_grad()
    def margins_without(
        self, directions: Directions, amounts: Amounts, answer: Int[Tensor, "read"]
    ) -> Float[Tensor, "read feature"]:
        seen = self._seen(directions)
        exact = amounts.double()
        deviation = self._deviation(self.squared[:, None] - 2 * exact * seen.along + exact.square() * seen.squared)
        return margins_along(Way(self.readout, self.shift, answer), seen.readout, amounts, 1 / deviation)

    def gradient(self, answer: Int[Tensor, "read"]) -> Float[Tensor, "read d_model"]:
        return _gradient(lambda x: unembedded(self.model, x), self.state, answer)

    def _seen(self, directions: Float[Tensor, "feature d_model"]) -> _Seen:
        centred = _centred(directions)
        exact = centred.double()
        return _Seen(self._readout(centred), self.centred @ exact.T, exact.square().sum(-1))

    def _readout(self, centred: Float[Tensor, "row d_model"]) -> Float[Tensor, "row vocab"]:
        return F.linear(centred * self.model.norm.weight, self.model.token)

    def _deviation(self, squared: Float[Tensor, "*row"]) -> Float[Tensor, "*row"]:
        """σ of the LayerNorm from squared lengths; these are differences, so they are taken in float64."""
        return (squared.clamp(min=0) / self.state.shape[1] + self.model.norm.eps).sqrt().to(self.state.dtype)


@torch.enable_grad()
def _gradient(
    logits: Callable[[Tensor], Logits], x: Float[Tensor, "*row d_model"], answer: Int[Tensor, "read"]
) -> Float[Tensor, "*row d_model"]:
    """Gradient of the summed margins with respect to `x`; the model's own gradients are left as they are."""
    x = x.detach().requires_grad_()
    (found,) = torch.autograd.grad(margins(logits(x), answer).sum(), x)
    return found


def _centred(x: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_model"]:
    return x - x.mean(-1, keepdim=True)


# --- below -----------------------------------------------------------------------------------------------------------


class _Tail(Above):
    """From any other stage: the rest of the pass, batch by batch."""

    def __init__(
        self,
        model: Transformer,
        layer: int,
        part: Part,
        whole: Float[Tensor, "stream pos d_model"],
        material: Material,
        batch: int,
    ) -> None:
        self.model, self.layer, self.part = model, layer, part
        self.whole, self.material, self.batch = whole, material, batch
        self.state = whole[material.stream, material.position]
        self.clean = self.without(torch.zeros_like(self.state))

    @torch.no_grad()
    def without(self, change: Float[Tensor, "read d_model"]) -> Logits:
        return torch.cat([self._pass(chosen, x - taken) for chosen, x, taken in self._batches(change)])

    @torch.no_grad()
    def margins_without(
        self, directions: Directions, amounts: Amounts, answer: Int[Tensor, "read"]
    ) -> Float[Tensor, "read feature"]:
        taken = (amount[:, None] * direction for direction, amount in zip(directions, amounts.T, strict=True))
        return torch.stack([margins(self.without(change), answer) for change in taken], dim=1)

    def gradient(self, answer: Int[Tensor, "read"]) -> Float[Tensor, "read d_model"]:
        return torch.cat([self._part(start, answer) for start in range(0, self.material.streams, self.batch)])

    def _batches(self, change: Float[Tensor, "read d_model"]) -> Iterator[tuple[int, Tensor, Tensor]]:
        """First stream, stage and change of each batch, the change spread to the answer positions."""
        for start in range(0, self.material.streams, self.batch):
            x = self.whole[start : start + self.batch]
            spread = torch.zeros_like(x)
            spread[rows_of(self.material, start, self.batch)] = change[self._mine(start)]
            yield start, x, spread

    def _part(self, start: int, answer: Int[Tensor, "read"]) -> Float[Tensor, "row d_model"]:
        x, mine = self.whole[start : start + self.batch], self._mine(start)
        whole = _gradient(lambda stage: self._pass(start, stage), x, answer[mine])
        return whole[rows_of(self.material, start, self.batch)]

    def _mine(self, start: int) -> Bool[Tensor, "read"]:
        """Which reads are of the batch that begins with this stream."""
        stream = self.material.stream
        return (stream >= start) & (stream < start + self.batch)

    def _pass(self, start: int, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "row vocab"]:
        return tail(self.model, self.layer, self.part, x, *rows_of(self.material, start, self.batch))
