"""What a planted circuit is to be: which heads carry it, which only seem to, and what is broken in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

Head = tuple[int, int]  # layer, head


class Decoy(StrEnum):
    """Heads that look like parts of the circuit and are none."""

    SILENT = "silent"  # attends to the matching value as a retrieval head does, and writes nothing
    UNREAD = "unread"  # a previous-token head that writes where nobody reads
    STALE = "stale"  # copies the key's first value, too weakly to matter
    DISTRACTOR = "distractor"  # copies the latest value of whatever key, too weakly to matter


class Damage(StrEnum):
    """What a lesion does to a head of the circuit."""

    NO_OV = "no_ov"  # it writes nothing
    NO_QK = "no_qk"  # it attends everywhere alike
    NO_RECENCY = "no_recency"  # all places with the key count alike
    REVERSED_RECENCY = "reversed_recency"  # the first place with the key wins: the answer is the key's first value
    SHUFFLED_VALUES = "shuffled_values"  # value v is written as value v + 1, the last one as the first


@dataclass(frozen=True)
class Lesion:
    """One damaged head."""

    damage: Damage
    head: Head


@dataclass(frozen=True)
class Plan:
    """A planted circuit: `previous` and `retrieval` heads share their work equally among themselves.

    `strength` in [0, 1] scales what the retrieval heads' queries ask, by its fourth power: at 0 they attend everywhere
    alike, near 0.25 answers come to be right, from 0.55 on all are. `seed` draws the basis in which all features lie.
    """

    layers: int = 2
    heads: int = 4
    previous: tuple[Head, ...] = ((0, 1),)
    retrieval: tuple[Head, ...] = ((1, 2),)
    decoys: Mapping[Head, Decoy] = field(default_factory=dict)
    mlp_decoys: tuple[int, ...] = ()  # layers whose MLP computes, and writes where nobody reads
    lesions: tuple[Lesion, ...] = ()
    strength: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a plan whose parts are not there, overlap, or cannot work in this order."""
        parts = [*self.previous, *self.retrieval, *self.decoys]
        assert len(set(parts)) == len(parts), f"a head with two jobs among {parts}"
        places = [*parts, *((layer, 0) for layer in self.mlp_decoys)]
        assert all(0 <= layer < self.layers and 0 <= head < self.heads for layer, head in places), places
        assert min(self.retrieval)[0] > max(self.previous)[0], "retrieval reads what previous-token heads wrote"
        behind = [head for head, decoy in self.decoys.items() if decoy in (Decoy.SILENT, Decoy.STALE)]
        assert all(layer > max(self.previous)[0] for layer, _ in behind), "these decoys read it too"
        assert {lesion.head for lesion in self.lesions} <= {*self.previous, *self.retrieval}
        assert 0 <= self.strength <= 1

    @property
    def components(self) -> set[Head]:
        """The heads the answers rest on: those any analysis must name, and no others; none if a half is gone."""
        dead = {lesion.head for lesion in self.lesions if lesion.damage in (Damage.NO_OV, Damage.NO_QK)}
        previous, retrieval = set(self.previous) - dead, set(self.retrieval) - dead
        return previous | retrieval if previous and retrieval and self.strength > 0 else set()

    def damaged(self, head: Head, damage: Damage) -> bool:
        """Whether `head` has this lesion."""
        return Lesion(damage, head) in self.lesions

    def with_lesion(self, damage: Damage, *heads: Head) -> "Plan":
        """This plan with `heads` damaged as well."""
        return replace(self, lesions=(*self.lesions, *(Lesion(damage, head) for head in heads)))

    def with_strength(self, strength: float) -> "Plan":
        """This plan at another strength."""
        return replace(self, strength=strength)
