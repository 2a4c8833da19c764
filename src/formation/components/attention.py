"""Where heads look at answer positions, and by how much they prefer it (`docs/measures.md` §3 *Heads*).

All of it is read off the value tokens before a read: each stands in a *slot*. An earlier layer can move a value and its
key on, by attending a fixed distance back; the key token behind the value, two on, is the first that the read's own key
resembles. The placebo of a role is the same number with the role moved on, in every read, by an even draw of slots
(around the end): other value tokens before that read, as many as the role has and as far apart.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from formation.benchmark.streams import SplitName
from formation.components.clean import Clean
from formation.components.material import Material, Measured, measured
from formation.components.roles import value_positions
from formation.params import RecordParams

Values = Float[Tensor, "read head"]
# metric → whose slots it sums the attention over
_ON_VALUES = {
    "attention_matching_value": "matching",
    "attention_matching_any": "matching_any",
    "attention_stale": "stale",
    "attention_distractor": "distractor",
    "prefix_matching": "prefix",
}
_MARGINS = {"qk_margin": "matching", "qk_margin_any": "matching_any"}


@dataclass(frozen=True)
class Slots:
    """The value tokens before each read; `members` says which of them have a role, `moved` those of its placebos."""

    place: Int[Tensor, "read slot"]  # positions; 0 behind the last
    count: Int[Tensor, "read"]
    members: dict[str, Bool[Tensor, "read slot"]]
    offsets: Int[Tensor, "placebo read"]  # 1 to count − 1; 0 in a read with a single value before it

    @property
    def valid(self) -> Bool[Tensor, "read slot"]:
        """Which slots hold a value."""
        return torch.arange(self.place.shape[1]) < self.count[:, None]

    def moved(self, role: str) -> Bool[Tensor, "offset read slot"]:
        """The role's slots moved on by every offset from 0 on, around the end of each read's slots."""
        slot, count = torch.arange(self.place.shape[1]), self.count.clamp(min=1)[:, None]
        source = [(slot - offset) % count for offset in slot.tolist()]
        return torch.stack([self.members[role].gather(1, place) for place in source]) & self.valid


def slots(material: Material, record: RecordParams) -> Slots:
    """Lay out a split's value tokens; offsets are the same at every checkpoint."""
    length = material.tokens.shape[1]
    masks = {name: mask[:, :length] for name, mask in value_positions(material.split).items()}
    whole = masks["matching_any"] | masks["stale"] | masks["distractor"]
    count = whole.sum(1)
    place = np.argsort(~whole, axis=1, kind="stable")[:, : count.max(initial=1)]
    valid = np.arange(place.shape[1]) < count[:, None]
    members = {name: np.take_along_axis(mask, place, 1) & valid for name, mask in masks.items()}
    # the token behind an earlier occurrence of the read's key is always a value of it (Olsson et al. 2022)
    members["prefix"] = members["matching_any"] | members["stale"]
    generator = np.random.default_rng([record.probe_seed, 3, list(SplitName).index(material.name)])
    offsets = generator.integers(1, np.maximum(count, 2), (record.placebos, len(count))) * (count > 1)
    return Slots(
        torch.from_numpy(np.where(valid, place, 0)),
        torch.from_numpy(count),
        {name: torch.from_numpy(mask) for name, mask in members.items()},
        torch.from_numpy(offsets),
    )


@torch.inference_mode()
def measure_attention(clean: Clean, material: Material, at: Slots) -> Iterator[Measured]:
    """Every attention metric of every head: shares of attention, QK margins in score units, entropy in nats.

    Reads that have no token of a role do not count for it.
    """
    pattern = torch.cat([answers.pattern for answers in clean.answers], dim=1)
    scores = _at(torch.cat([answers.scores for answers in clean.answers], dim=1), at.place)
    on_values, on_keys = _at(pattern, at.place), _at(pattern, (at.place - 1).clamp(min=0))
    on_next = _at(pattern, (at.place + 2).clamp(max=pattern.shape[-1] - 1))  # the key token of the event behind a value
    names = [f"layer_{layer}.head_{head}" for layer, one in enumerate(clean.previous) for head in range(one.shape[1])]
    moved = {role: at.moved(role) for role in at.members}
    for metric, role in _ON_VALUES.items():
        yield from _metric(metric, names, material, at, at.members[role].any(1), _shares(on_values, moved[role]))
    rows = at.members["matching"].any(1)
    yield from _metric("attention_matching_key", names, material, at, rows, _shares(on_keys, moved["matching"]))
    rows = at.members["matching_any"].any(1)
    yield from _metric("attention_next_key", names, material, at, rows, _shares(on_next, moved["matching_any"]))
    for metric, role in _MARGINS.items():
        rows = at.members[role].any(1) & (at.valid & ~at.members[role]).any(1)
        yield from _metric(metric, names, material, at, rows, _margins(scores, moved[role], at.valid))
    everywhere = torch.ones(len(pattern), dtype=torch.bool)
    yield from _by_head(names, "entropy", material, torch.special.entr(pattern).sum(-1), everywhere, None)
    yield from _previous_token(names, clean, material)


def _metric(
    metric: str,
    names: Sequence[str],
    material: Material,
    at: Slots,
    rows: Bool[Tensor, "read"],
    by_offset: Float[Tensor, "offset read head"],
) -> Iterator[Measured]:
    """A metric whose first offset, none, is what was measured, and whose others make the placebos."""
    return _by_head(names, metric, material, by_offset[0], rows, _placebos(by_offset, at, rows))


def _shares(
    seen: Float[Tensor, "read head slot"], moved: Bool[Tensor, "offset read slot"]
) -> Float[Tensor, "offset read head"]:
    """The attention to all slots of a role, moved by each offset."""
    return torch.einsum("rhs,ors->orh", seen, moved.to(seen.dtype))


def _margins(
    scores: Float[Tensor, "read head slot"],
    moved: Bool[Tensor, "offset read slot"],
    valid: Bool[Tensor, "read slot"],
) -> Float[Tensor, "offset read head"]:
    """The best score on a role's slots minus the best on any other slot, before the softmax."""
    return torch.stack([_best(scores, member) - _best(scores, valid & ~member) for member in moved])


def _best(scores: Float[Tensor, "read head slot"], member: Bool[Tensor, "read slot"]) -> Values:
    hidden = torch.zeros(member.shape, dtype=scores.dtype).masked_fill(~member, -torch.inf)
    return (scores + hidden[:, None]).amax(-1)


def _placebos(
    by_offset: Float[Tensor, "offset read head"], at: Slots, rows: Bool[Tensor, "read"]
) -> Float[np.ndarray, "head placebo"] | None:
    """Means over reads, each moved by its drawn offset; null where no read has a second value before it."""
    chosen = (rows & (at.count > 1)).nonzero()[:, 0]
    if not len(chosen):
        return None
    place = at.offsets[:, chosen] * by_offset.shape[1] + chosen
    return np.asarray(F.embedding_bag(place, by_offset.flatten(0, 1), mode="mean").T.double().numpy())


def _previous_token(names: Sequence[str], clean: Clean, material: Material) -> Iterator[Measured]:
    """Mean attention of real tokens to the one before them."""
    counts = material.split.length.astype(np.float64) - 1
    for name, sums in zip(names, torch.cat(clean.previous, dim=1).double().T.numpy(), strict=True):
        yield Measured(name, "previous_token", material.name, sums, counts, None)


def _by_head(
    names: Sequence[str],
    metric: str,
    material: Material,
    values: Values,
    rows: Bool[Tensor, "read"],
    placebos: Float[np.ndarray, "head placebo"] | None,
) -> Iterator[Measured]:
    chosen = rows.nonzero()[:, 0]
    for head, name in enumerate(names):
        own = None if placebos is None else placebos[head]
        yield measured(name, metric, material, values[chosen, head], chosen, own)


def _at(whole: Float[Tensor, "read head pos"], place: Int[Tensor, "read slot"]) -> Float[Tensor, "read head slot"]:
    return whole.gather(2, place[:, None].expand(-1, whole.shape[1], -1))
