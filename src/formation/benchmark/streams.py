"""The data structures of the benchmark: vocabulary, streams with their events, splits, twins.

Everything downstream (training, record, figures) reads these; nothing here draws random numbers.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

import numpy as np
from jaxtyping import Bool, Int


class Special(IntEnum):
    """Special tokens; five are unused, which makes the vocabulary, and so the parameter count, the source's own."""

    PAD = 0
    BOS = 1
    EOS = 2
    WRITE = 3
    READ = 4
    UNUSED_0 = 5
    UNUSED_1 = 6
    UNUSED_2 = 7
    UNUSED_3 = 8
    UNUSED_4 = 9


class SplitName(StrEnum):
    """The six splits. `COUNTERFACTUAL` holds streams of `TEST_IID`, each with its value twin and its key twin."""

    TRAIN = "train"
    VALIDATION_IID = "validation_iid"
    TEST_IID = "test_iid"
    HELDOUT_PAIRS = "heldout_pairs"
    STRUCTURAL_OOD = "structural_ood"
    COUNTERFACTUAL = "counterfactual"


class TwinKind(StrEnum):
    """VALUE: the supporting write's value replaced. KEY: the keys of two active keys' current writes swapped."""

    VALUE = "value"
    KEY = "key"


@dataclass(frozen=True)
class Vocabulary:
    """Token ids: special tokens, then keys, then values."""

    keys: int
    values: int

    @property
    def size(self) -> int:
        """Number of token ids."""
        return len(Special) + self.keys + self.values

    def key(self, index: int) -> int:
        """Token id of key `index`."""
        return len(Special) + index

    def value(self, index: int) -> int:
        """Token id of value `index`."""
        return len(Special) + self.keys + index

    def name(self, token: int) -> str:
        """What a token is called in a figure: `<bos>`, `W`, `R`, `K03`, `V12`."""
        if token < len(Special):
            marks = {Special.WRITE: "W", Special.READ: "R"}
            special = Special(token)
            return marks.get(special, f"<{special.name.lower()}>")
        index = token - len(Special)
        return f"K{index:02d}" if index < self.keys else f"V{index - self.keys:02d}"


@dataclass(frozen=True)
class Writes:
    """All writes of a split, ordered by stream and position. `position` is that of the `W` token."""

    stream: Int[np.ndarray, "write"]
    position: Int[np.ndarray, "write"]
    key: Int[np.ndarray, "write"]  # key index, not token id
    value: Int[np.ndarray, "write"]  # value index, not token id


@dataclass(frozen=True)
class Reads:
    """All reads of a split, ordered by stream and position.

    `position` is the answer position: the index of the read's `K` token, whose logits predict the answer at
    `position + 1`. `support` is the position of the supporting write's `W` token, so the matching key stands at
    `support + 1` and the matching value at `support + 2`.
    """

    stream: Int[np.ndarray, "read"]
    position: Int[np.ndarray, "read"]
    key: Int[np.ndarray, "read"]  # key index
    value: Int[np.ndarray, "read"]  # value index of the right answer
    support: Int[np.ndarray, "read"]
    lag: Int[np.ndarray, "read"]  # writes since the supporting write; 0: it was the last write
    stale: Int[np.ndarray, "read"]  # earlier, overwritten values of the key


@dataclass(frozen=True)
class Split:
    """Streams of one split as padded token ids, with their writes and reads."""

    name: str
    vocabulary: Vocabulary
    tokens: Int[np.ndarray, "stream pos"]  # int64, Special.PAD behind the end
    length: Int[np.ndarray, "stream"]
    writes: Writes
    reads: Reads

    def answer_tokens(self) -> Int[np.ndarray, "read"]:
        """Token ids of the right answers."""
        return len(Special) + self.vocabulary.keys + self.reads.value


@dataclass(frozen=True)
class Twin:
    """Counterfactual streams of a split, aligned with it by stream, position and read.

    `affected` marks the reads whose right answer differs between base and twin; `value` is the right answer in the
    twin. `target` is the read (an index into the split's reads) the twin of each stream was made for.
    """

    kind: TwinKind
    tokens: Int[np.ndarray, "stream pos"]
    value: Int[np.ndarray, "read"]
    affected: Bool[np.ndarray, "read"]
    target: Int[np.ndarray, "stream"]
